//! The crash test: clients play episodes on a host that is killed over and
//! over, and find that no session, no acknowledged call and no reward is lost,
//! and that no call runs twice.
//!
//! Exit codes: 0 all is well, 1 something was lost, ran twice or differed, 2 a
//! command line that makes no sense, 3 all is well, but there was no time for
//! as many kills as were asked for.

mod chain;
mod player;
mod run;
mod script;
mod tally;
mod wire;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::run::Plan;

/// Kills a host under load, again and again.
#[derive(Parser)]
#[command(name = "crash")]
struct Crash {
    /// How often the host is killed.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    kills: u64,
    /// What the moments of the kills and the clients' scripts are made of;
    /// drawn if it is not said.
    #[arg(long)]
    seed: Option<u64>,
    /// Minutes after which the host is killed no more.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// Sessions at a time.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=1000))]
    sessions: u64,
    /// How the host keeps its journal: process, power, or none, with which
    /// this has to fail.
    #[arg(long, default_value = "process")]
    durability: String,
    /// Milliseconds that the host is left alone at most.
    #[arg(long, default_value_t = 1200, value_parser = clap::value_parser!(u64).range(50..=600_000))]
    uptime: u64,
}

fn main() -> ExitCode {
    let crash = Crash::parse();
    let plan = Plan {
        kills: crash.kills,
        seed: crash.seed.unwrap_or_else(|| rand::random::<u32>().into()),
        time: Duration::from_secs(60 * crash.minutes),
        sessions: crash.sessions,
        durability: crash.durability,
        uptime: Duration::from_millis(crash.uptime),
    };
    println!("{plan:?}");
    let begin = Instant::now();
    let tally = run::run(&plan, |line| println!("{line}"));
    println!("\nseed {}, {} s", plan.seed, begin.elapsed().as_secs());
    print!("{tally}");
    let (verdict, code) = if !tally.is_clean() {
        ("FAILED", 1)
    } else if tally.kills.get() < plan.kills {
        (
            "well as far as it went: there was no time for more kills",
            3,
        )
    } else {
        ("well: nothing was lost, nothing ran twice", 0)
    };
    println!("{verdict}");
    ExitCode::from(code)
}
