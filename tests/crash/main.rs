//! The crash test: clients play episodes on a host that is killed repeatedly, and
//! check that no session, acknowledged call or reward is lost, and that no call
//! runs twice.
//!
//! Exit codes: 0 success, 1 something was lost, ran twice or differed, 2 an
//! invalid command line, 3 success, but fewer kills than requested in the time.

mod client;
mod commit_watch;
mod expected_chain;
mod judge;
mod run;
mod run_client;
mod script;
mod tally;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::run::CrashPlan;

/// Kills a host under load repeatedly.
#[derive(Parser)]
#[command(name = "crash")]
struct CrashArgs {
    /// The number of kills.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    kills: u64,
    /// The seed of the clients' scripts and the times of the kills; random by
    /// default.
    #[arg(long)]
    seed: Option<u64>,
    /// The time limit for the kills in minutes.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// The number of concurrent sessions.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=1000))]
    sessions: u64,
    /// The durability of the journal: process, power, or none, which must fail.
    #[arg(long, default_value = "process")]
    durability: String,
    /// The maximum time between two kills in milliseconds.
    #[arg(long, default_value_t = 1200, value_parser = clap::value_parser!(u64).range(50..=600_000))]
    uptime: u64,
    /// Let each call ask a model, which must not be asked twice.
    #[arg(long)]
    judge: bool,
}

fn main() -> ExitCode {
    let crash = CrashArgs::parse();
    let plan = CrashPlan {
        kills: crash.kills,
        seed: crash.seed.unwrap_or_else(|| rand::random::<u32>().into()),
        time: Duration::from_secs(60 * crash.minutes),
        sessions: crash.sessions,
        durability: crash.durability,
        uptime: Duration::from_millis(crash.uptime),
        judge: crash.judge,
    };
    println!("{plan:?}");
    let begin = Instant::now();
    let tally = run::run(&plan, |line| println!("{line}"));
    println!("\nseed {}, {} s", plan.seed, begin.elapsed().as_secs());
    print!("{tally}");
    let (verdict, code) = if !tally.is_clean() {
        ("FAILED", 1)
    } else if tally.kills.get() < plan.kills {
        ("ok, but there was no time for more kills", 3)
    } else {
        ("ok: nothing was lost, nothing ran twice", 0)
    };
    println!("{verdict}");
    ExitCode::from(code)
}
