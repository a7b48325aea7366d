//! The benchmark of orwd: `bench echo` for its pace, `bench sessions` for the
//! price of an idle session, `bench files` for a guest's files, `bench durable`
//! for the price of a journal. See `README.md` beside this file.
//!
//! Every answer is read and judged, and any wrong one fails the run: a server
//! that is fast at being wrong has no figures. Exit codes: 0 measured, 1 an
//! error or a bound that was not met, 2 a command line that makes no sense.

mod answer;
mod call;
mod durable;
mod echo;
mod files;
mod histogram;
mod load;
mod process;
mod reference;
mod request;
mod sessions;
mod stock;
mod target;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use orwd_tests::server::{Serve, Server};
use serde::Serialize;

use crate::echo::Subject;
use crate::reference::Reference;
use crate::target::{NamedPid, Target};

/// Measures ORS servers on this machine.
#[derive(Parser)]
#[command(name = "bench")]
struct Bench {
    #[command(subcommand)]
    what: What,
    /// Print one JSON object at the end instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum What {
    /// How many calls of `echo` servers answer in a second, in turns.
    Echo(EchoArguments),
    /// What thousands of idle sessions cost.
    Sessions(SessionsArguments),
    /// What reading its data costs a guest, here and under the engine's own
    /// file system.
    Files(FilesArguments),
    /// What it costs that sessions outlive the server, and what it takes to
    /// bring them back.
    Durable(DurableArguments),
}

#[derive(Args)]
struct EchoArguments {
    /// A server that is running, as NAME=http://127.0.0.1:PORT. May be given
    /// several times; the first is compared with each other one. Without it,
    /// orwd is built and started.
    #[arg(long = "server", value_name = "NAME=URL")]
    servers: Vec<Target>,
    /// The process of a server, as NAME=PID, to see the processor time that it
    /// uses for a call.
    #[arg(long = "pid", value_name = "NAME=PID", requires = "servers")]
    pids: Vec<NamedPid>,
    /// Install and start the reference server as well.
    #[arg(long)]
    reference: bool,
    /// Connections, each with a session of its own.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// How long each server is asked in a round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// How many rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Fail if the first server has less than this many times the calls a
    /// second of any other.
    #[arg(long, value_name = "TIMES")]
    at_least: Option<f64>,
}

#[derive(Args)]
struct SessionsArguments {
    /// A server that is running, as http://127.0.0.1:PORT. Without it, orwd is
    /// built and started.
    #[arg(long, value_name = "URL", requires = "pid")]
    server: Option<Target>,
    /// The process of that server.
    #[arg(long, requires = "server")]
    pid: Option<u32>,
    /// How many sessions.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    sessions: u32,
    /// How many calls on random idle ones.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    probes: u32,
    /// How many seconds they are left alone before their memory is read.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    idle: u64,
    /// Fail if an idle session has more than this many kilobytes (of 1000
    /// bytes) resident.
    #[arg(long, value_name = "KB")]
    at_most: Option<f64>,
}

#[derive(Args)]
struct FilesArguments {
    /// How many mebibytes the large file has; it lies below the target folder
    /// for the time of the run.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=16_384))]
    size: u64,
    /// How many kibibytes are read at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=4096))]
    buffer: u64,
    /// How often the small file is opened in a round.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    opens: u32,
    /// How many rounds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// How many sessions are opened on one data directory.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    /// Fail if the guest reads at less than this part of the pace of a process
    /// of its own.
    #[arg(long, value_name = "RATIO")]
    at_least: Option<f64>,
    /// Fail if the server holds more descriptors for all sessions than this.
    #[arg(long, value_name = "COUNT")]
    descriptors: Option<usize>,
}

#[derive(Args)]
struct DurableArguments {
    /// How long each server is asked in a round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// How many rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Sessions where many are at work at once, each on a connection.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(2..=1024))]
    sessions: u16,
    /// Calls a second of all of them where they have time between two calls.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    rate: u32,
    /// How many calls the sessions have behind them that are resumed.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000, 5000])]
    lengths: Vec<u64>,
    /// Sessions that share the 64 places of a host.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(200..=100_000))]
    sleepers: u32,
    /// Fail if a journal costs more than it may: with `process`, half of the
    /// calls a second, or 0.3 ms for half of the answers.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let bench = Bench::parse();
    if cfg!(debug_assertions) {
        eprintln!("this build is not optimised; its figures say little (use --release)");
    }
    let say = |line: &str| {
        if !bench.json {
            println!("{line}");
        }
    };
    let ended = match &bench.what {
        What::Echo(arguments) => echo(arguments, bench.json, say),
        What::Sessions(arguments) => sessions(arguments, bench.json, say),
        What::Files(arguments) => files(arguments, bench.json, say),
        What::Durable(arguments) => durable(arguments, bench.json, say),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn echo(arguments: &EchoArguments, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    let mut subjects = Vec::new();
    for target in &arguments.servers {
        let named = arguments.pids.iter().find(|pid| pid.name == target.name);
        subjects.push(Subject {
            target: target.clone(),
            pid: named.map(|named| named.pid),
        });
    }
    for pid in &arguments.pids {
        if !subjects.iter().any(|one| one.target.name == pid.name) {
            return Err(format!("--pid {}: there is no such server", pid.name));
        }
    }
    // Kept to the end of the run, since dropping a server ends it.
    let started = match subjects.is_empty() {
        true => Some(orwd(usize::from(arguments.connections))),
        false => None,
    };
    if let Some(orwd) = &started {
        subjects.push(Subject {
            target: Target::started("orwd", orwd.base())?,
            pid: Some(orwd.pid()),
        });
    }
    let reference = arguments.reference.then(Reference::start).transpose()?;
    if let Some(reference) = &reference {
        subjects.push(Subject {
            target: Target::started("reference", reference.base())?,
            pid: Some(reference.pid()),
        });
    }
    let plan = echo::Plan {
        connections: arguments.connections.into(),
        time: Duration::from_secs(arguments.seconds),
        rounds: arguments.rounds,
    };
    let report = echo::run(&subjects, plan, say)?;
    if json {
        print(&report)?;
    }
    match (arguments.at_least, report.least_ratio()) {
        (Some(bound), None) => Err(format!("no other server to be {bound} times as fast as")),
        (Some(bound), Some(ratio)) if ratio < bound => Err(format!(
            "{ratio:.1} times is less than the {bound} that were asked for"
        )),
        _ => Ok(()),
    }
}

fn sessions(
    arguments: &SessionsArguments,
    json: bool,
    say: impl FnMut(&str),
) -> Result<(), String> {
    let count = usize::try_from(arguments.sessions).map_err(|error| error.to_string())?;
    let probes = usize::try_from(arguments.probes).map_err(|error| error.to_string())?;
    let (_started, address, pid) = match (&arguments.server, arguments.pid) {
        (Some(target), Some(pid)) => (None, target.address, pid),
        _ => {
            let orwd = orwd(count);
            let target = Target::started("orwd", orwd.base())?;
            let pid = orwd.pid();
            (Some(orwd), target.address, pid)
        }
    };
    let plan = sessions::Plan {
        sessions: count,
        probes,
        idle: Duration::from_secs(arguments.idle),
    };
    let report = sessions::run(address, pid, plan, say)?;
    if json {
        print(&report)?;
    }
    let resident = report.resident_per_session() / 1e3;
    match arguments.at_most {
        Some(bound) if resident > bound => Err(format!(
            "{resident:.1} KB is more than the {bound} KB that were asked for"
        )),
        _ => Ok(()),
    }
}

fn files(arguments: &FilesArguments, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    let number = |number: u32| usize::try_from(number).map_err(|error| error.to_string());
    let buffer = usize::try_from(arguments.buffer << 10).map_err(|error| error.to_string())?;
    let plan = files::Plan {
        size: arguments.size << 20,
        buffer,
        opens: number(arguments.opens)?,
        rounds: arguments.rounds,
        sessions: number(arguments.sessions)?,
    };
    let report = files::run(plan, say)?;
    if json {
        print(&report)?;
    }
    let (ratio, held) = (report.ratio(), report.held());
    match (arguments.at_least, arguments.descriptors) {
        (Some(bound), _) if ratio < bound => Err(format!(
            "{ratio:.2} of a native read is less than the {bound} that were asked for"
        )),
        (_, Some(bound)) if held > bound => Err(format!(
            "{held} more descriptors is more than the {bound} that were asked for"
        )),
        _ => Ok(()),
    }
}

fn durable(arguments: &DurableArguments, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    let plan = durable::Plan {
        time: Duration::from_secs(arguments.seconds),
        rounds: arguments.rounds,
        sessions: arguments.sessions.into(),
        rate: arguments.rate,
        lengths: arguments.lengths.clone(),
        sleepers: usize::try_from(arguments.sleepers).map_err(|error| error.to_string())?,
    };
    let report = durable::run(&plan, say)?;
    if json {
        print(&report)?;
    }
    let missed = report.missed();
    if arguments.check && !missed.is_empty() {
        return Err(missed.join("; "));
    }
    Ok(())
}

/// Starts orwd with the defaults of every limit, but for room for this many
/// sessions where that is more than anyone has by default. Its log of every
/// call is off: it would be written for this process to read.
fn orwd(sessions: usize) -> Server {
    const ROOM: usize = 8192;
    let serve = Serve::fixtures(&["alpha"]).set("--log", "warn");
    match sessions {
        0..=ROOM => serve.start(),
        _ => serve
            .set("--max-sessions", sessions.to_string())
            .set("--create-rate", sessions.to_string())
            .start(),
    }
}

fn print(report: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
    println!("{text}");
    Ok(())
}
