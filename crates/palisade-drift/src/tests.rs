mod common;
mod lifetimes;
mod properties;
mod resources;
mod verdicts;
