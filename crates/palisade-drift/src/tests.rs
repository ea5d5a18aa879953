mod common;
mod properties;
mod resources;
mod verdicts;
