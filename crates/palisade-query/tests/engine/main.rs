//! One binary for all tests over the engine: each binary links DataFusion.
mod common;
mod evaluate;
mod planning;
mod shipped;
mod sql_page;
