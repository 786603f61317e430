//! A ladder of load over real UDP: replicas of this build, one thread that carries their datagrams
//! and asks for clients, more requests a second at each step, far past what the cluster can serve,
//! and then few again. A row says how many requests were answered and how, their latency, messages
//! a commit, the leader's memory, and how often another leader was named.
//!
//! Replicas and the carrier share the machine's processors, so the rate at which it breaks is the
//! machine's, carrier included. What counts is the shape: past that rate answers turn to quick
//! refusals, memory stays where it was, the leader stays, and the last row is as the first.
//!
//! `cargo bench --bench load`: 3, 5 and 9 replicas, a minute each. `-- --soak 600 --rate 1000` asks
//! at one rate for so many seconds, a row each tenth of it.

mod cluster;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cluster::{Cluster, Step};

const LADDER: [u64; 10] = [250, 1_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 250];

/// Real replicas under more and more load.
#[derive(Parser)]
struct Options {
    /// Numbers of replicas
    #[arg(long, value_delimiter = ',', default_values_t = [3, 5, 9])]
    replicas: Vec<u16>,
    /// Seconds a step
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Ask at one rate for so many seconds instead
    #[arg(long)]
    soak: Option<u64>,
    /// Requests a second of a soak
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// Cargo says so, and it means nothing here
    #[arg(long, hide = true)]
    bench: bool,
    /// Only check that the program works
    #[arg(long, hide = true)]
    test: bool,
}

fn main() -> ExitCode {
    match climb() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn climb() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let seconds = Duration::from_secs(options.seconds.max(1));
    let (replicas, steps): (Vec<u16>, Vec<(u64, Duration)>) = match options.soak {
        _ if options.test => (vec![3], vec![(200, Duration::from_millis(500))]),
        Some(soak) => {
            let tenth = Duration::from_secs((soak / 10).max(1));
            (options.replicas.into_iter().take(1).collect(), vec![(options.rate, tenth); 10])
        }
        None => (options.replicas, LADDER.map(|rate| (rate, seconds)).to_vec()),
    };
    for count in replicas {
        println!("{count} replicas, profile course, four puts to one get, values of 32 bytes");
        println!("{}", Step::HEADER);
        let mut cluster = Cluster::start(count)?;
        for (rate, span) in &steps {
            println!("{}", cluster.ask(*rate, *span)?);
        }
        println!();
    }
    Ok(())
}
