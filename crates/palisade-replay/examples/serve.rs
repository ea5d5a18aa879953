//! Serves a recording until Enter is pressed, then tells what was asked. To try another tool against it:
//!
//! `cargo run -p palisade-replay --example serve -- catalog/demo/account.recording [latency in milliseconds]`
#![expect(clippy::print_stdout, reason = "a tool for people")]

use std::sync::Arc;
use std::time::Duration;

use palisade_replay::{Faults, Recording, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let recording = Recording::load(
        arguments
            .next()
            .unwrap_or_else(|| "catalog/demo/account.recording".to_owned()),
    )?;
    let latency = Duration::from_millis(arguments.next().map_or(Ok(0), |text| text.parse())?);
    let header = recording.header().clone();
    let server = Server::start(Arc::new(recording), Faults::none().latency(latency))?;
    println!(
        "{} ({}), regions {}: {}",
        header.description,
        header.recorded_at,
        header.regions.join(","),
        server.url()
    );
    std::io::stdin().read_line(&mut String::new())?;
    let statistics = server.shutdown();
    println!(
        "{} requests, at most {} at once",
        statistics.total, statistics.max_in_flight
    );
    for duplicate in &statistics.duplicates {
        println!(
            "  {} times: {}:{} in {}",
            duplicate.times,
            duplicate.key.service,
            duplicate.key.operation(),
            duplicate.key.region
        );
    }
    for (operation, times) in &statistics.not_recorded {
        println!("  not recorded, {times} times: {operation}");
    }
    Ok(())
}
