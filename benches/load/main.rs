//! A ladder of load over real UDP: replicas of this build, a thread that carries their datagrams, a
//! thread that asks for clients, more requests a second at each step, far past what the cluster can
//! serve, and then few again. A row says how many requests were due, how many the clients had time
//! to send, and what became of them: `ok`, `fail`, or silence; what full sockets lost (at the
//! replicas, requests and messages; at the carrier, answers and messages); how long answers took;
//! messages a commit; the leader's memory, and how often another leader was named; and how busy the
//! leader and both threads were.
//!
//! Replicas, carrier and clients share the machine's processors, so the rate at which it breaks is
//! the machine's. What counts is the shape: past that rate much is still served and refusals are
//! quick, memory stays where it was, the leader stays, and the last row is as the first.
//!
//! `cargo bench --bench load`: 3, 5 and 9 replicas, a minute each. `-- --soak 600 --rate 1000` asks
//! at one rate for so many seconds, a row each tenth of it, and says how the leader's memory grew.
//! The log is never cut, so it grows with what was put.

mod cluster;
mod step;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cluster::Cluster;
use step::Step;

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
    /// How many of ten requests are puts
    #[arg(long, default_value_t = 8)]
    puts: u64,
    /// Rates to ask at, one after the other
    #[arg(long, value_delimiter = ',', default_values_t = LADDER)]
    ladder: Vec<u64>,
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
        None => (options.replicas, options.ladder.iter().map(|rate| (*rate, seconds)).collect()),
    };
    for count in replicas {
        let of_ten = options.puts;
        println!("{count} replicas, profile course, {of_ten} of 10 are puts, values of 32 bytes");
        println!("{}", Step::HEADER);
        let mut cluster = Cluster::start(count, options.puts)?;
        let mut first = None;
        let mut puts = 0;
        for (rate, span) in &steps {
            let step = cluster.ask(*rate, *span)?;
            println!("{step}");
            puts += if first.is_some() { step.commits } else { 0 };
            let grown = step.memory_kib.saturating_sub(*first.get_or_insert(step.memory_kib));
            if options.soak.is_some() && puts > 0 {
                println!("{:>9} bytes of memory a put since the first row", grown * 1024 / puts);
            }
        }
        println!();
    }
    Ok(())
}
