//! The benchmark of orwd: `bench echo` measures throughput and latency, `bench
//! sessions` the cost of an idle session, `bench files` a guest's file access,
//! `bench durable` the cost of the journal, `bench shell` command lines inside an
//! environment, `bench network` a guest's HTTP requests, and `bench all` compares servers. See `README.md` beside this file.
//!
//! Every response is checked, and any wrong one fails the run. Exit codes: 0
//! measured, 1 an error or a missed bound, 2 an invalid command line.

mod all;
mod durable;
mod echo;
mod files;
mod first_calls;
mod large_results;
mod load;
mod network;
mod process;
mod servers;
mod sessions;
mod shell;
mod statistics;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use orwd_tests::process::{ServeCommand, ServerProcess};
use serde::Serialize;

use crate::echo::MeasuredServer;
use crate::servers::{BenchTarget, NamedPid, ReferenceServer};

/// Measures ORS servers on this machine.
#[derive(Parser)]
#[command(name = "bench")]
struct BenchArgs {
    #[command(subcommand)]
    what: BenchCommand,
    /// Print one JSON object at the end instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum BenchCommand {
    /// Measures the calls of `echo` per second of several servers in turns.
    Echo(EchoArgs),
    /// Measures the cost of thousands of idle sessions.
    Sessions(SessionsArgs),
    /// Measures file reads of a guest, in orwd and with the engine's own WASI
    /// file system.
    Files(FilesArgs),
    /// Measures the cost of the journal, of resuming and of forking.
    Durable(DurableArgs),
    /// Measures command lines of the tool `bash` beside a native `bash -c`, and the
    /// memory of a session.
    Shell(ShellArgs),
    /// Measures an HTTP request of a guest beside a direct one.
    Network(NetworkArgs),
    /// Measures orwd with each durability, bare HTTP servers, and the reference if it
    /// is given, in one run; compares them with the bars of the project.
    All(AllArgs),
}

#[derive(Args)]
struct AllArgs {
    /// A running reference server, as http://127.0.0.1:PORT.
    #[arg(long, value_name = "URL")]
    reference: Option<BenchTarget>,
    /// Its process, to measure its CPU time.
    #[arg(long, value_name = "PID", requires = "reference")]
    reference_pid: Option<u32>,
    /// Another version of orwd to measure in the same rounds, as NAME=FILE.
    #[arg(long = "binary", value_name = "NAME=FILE", value_parser = named_file)]
    binaries: Vec<(String, std::path::PathBuf)>,
    /// The number of connections, each with its own session.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// The seconds of load on each server per round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// The number of rounds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Fail if a bar is missed.
    #[arg(long)]
    check: bool,
}

fn named_file(text: &str) -> Result<(String, std::path::PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("expected NAME=FILE")?;
    Ok((name.to_owned(), file.into()))
}

#[derive(Args)]
struct EchoArgs {
    /// A running server, as NAME=http://127.0.0.1:PORT. May be repeated; the
    /// first server is compared with each other one. Default: build and start
    /// orwd.
    #[arg(long = "server", value_name = "NAME=URL")]
    servers: Vec<BenchTarget>,
    /// The process of a server, as NAME=PID, to measure its CPU time per call.
    #[arg(long = "pid", value_name = "NAME=PID", requires = "servers")]
    pids: Vec<NamedPid>,
    /// Install and start the reference server as well.
    #[arg(long)]
    reference: bool,
    /// The number of connections, each with its own session.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// The seconds of load on each server per round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// The number of rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Fail if the first server has fewer than TIMES the calls per second of any
    /// other.
    #[arg(long, value_name = "TIMES")]
    at_least: Option<f64>,
}

#[derive(Args)]
struct SessionsArgs {
    /// A running server, as http://127.0.0.1:PORT. Default: build and start orwd.
    #[arg(long, value_name = "URL", requires = "pid")]
    server: Option<BenchTarget>,
    /// The process of that server.
    #[arg(long, requires = "server")]
    pid: Option<u32>,
    /// The number of sessions.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    sessions: u32,
    /// The number of calls on random idle sessions.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    probes: u32,
    /// The idle seconds before the memory is read.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    idle: u64,
    /// Fail if an idle session has more resident kilobytes (1000 bytes) than this.
    #[arg(long, value_name = "KB")]
    at_most: Option<f64>,
}

#[derive(Args)]
struct FilesArgs {
    /// The size of the large file in MiB; it is created below the target directory
    /// during the run.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=16_384))]
    size: u64,
    /// The size of one read in KiB.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=4096))]
    buffer: u64,
    /// The number of opens of the small file per round.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    opens: u32,
    /// The number of rounds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// The number of sessions on one data directory.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    /// Fail if the guest reads slower than this fraction of a native process.
    #[arg(long, value_name = "RATIO")]
    at_least: Option<f64>,
    /// Fail if the server holds more descriptors for all sessions than this.
    #[arg(long, value_name = "COUNT")]
    descriptors: Option<usize>,
}

#[derive(Args)]
struct DurableArgs {
    /// The seconds of load on each server per round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// The number of rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// The number of concurrent sessions, each on its own connection.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(2..=1024))]
    sessions: u16,
    /// The total calls per second of the paced load.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    rate: u32,
    /// The numbers of journaled calls of the sessions that are resumed.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000, 5000])]
    lengths: Vec<u64>,
    /// The number of sessions that share 64 session slots.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(200..=100_000))]
    sleepers: u32,
    /// Fail if the durability `process` costs more than half of the calls per
    /// second, or more than 0.3 ms of median latency.
    #[arg(long)]
    check: bool,
}

#[derive(Args)]
struct ShellArgs {
    /// The number of runs of each command line.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// The number of sessions whose memory is measured.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=8000))]
    sessions: u32,
}

#[derive(Args)]
struct NetworkArgs {
    /// The number of rounds, each of 50 requests of each kind.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

fn main() -> ExitCode {
    let bench = BenchArgs::parse();
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build; its figures are not meaningful (use --release)");
    }
    let say = |line: &str| {
        if !bench.json {
            println!("{line}");
        }
    };
    let ended = match &bench.what {
        BenchCommand::Echo(arguments) => echo(arguments, bench.json, say),
        BenchCommand::Sessions(arguments) => sessions(arguments, bench.json, say),
        BenchCommand::Files(arguments) => files(arguments, bench.json, say),
        BenchCommand::Durable(arguments) => durable(arguments, bench.json, say),
        BenchCommand::Shell(arguments) => shell(arguments, bench.json, say),
        BenchCommand::Network(arguments) => network(arguments, bench.json, say),
        BenchCommand::All(arguments) => all(arguments, bench.json, say),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn echo(arguments: &EchoArgs, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    let mut servers = Vec::new();
    for target in &arguments.servers {
        let named = arguments.pids.iter().find(|pid| pid.name == target.name);
        servers.push(MeasuredServer {
            target: target.clone(),
            pid: named.map(|named| named.pid),
        });
    }
    for pid in &arguments.pids {
        if !servers.iter().any(|one| one.target.name == pid.name) {
            return Err(format!("--pid {}: no --server has this name", pid.name));
        }
    }
    // Kept to the end of the run, since dropping the server ends it.
    let started = match servers.is_empty() {
        true => Some(orwd(usize::from(arguments.connections))),
        false => None,
    };
    if let Some(orwd) = &started {
        servers.push(MeasuredServer {
            target: BenchTarget::started("orwd", orwd.base())?,
            pid: Some(orwd.pid()),
        });
    }
    let reference = arguments
        .reference
        .then(ReferenceServer::start)
        .transpose()?;
    if let Some(reference) = &reference {
        servers.push(MeasuredServer {
            target: BenchTarget::started("reference", reference.base())?,
            pid: Some(reference.pid()),
        });
    }
    let plan = echo::EchoPlan {
        connections: arguments.connections.into(),
        time: Duration::from_secs(arguments.seconds),
        rounds: arguments.rounds,
    };
    let report = echo::run(&servers, plan, say)?;
    if json {
        print(&report)?;
    }
    match (arguments.at_least, report.least_ratio()) {
        (Some(bound), None) => Err(format!("--at-least {bound} needs a second server")),
        (Some(bound), Some(ratio)) if ratio < bound => Err(format!(
            "{ratio:.1} times is less than the required {bound}"
        )),
        _ => Ok(()),
    }
}

fn sessions(arguments: &SessionsArgs, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    let count = usize::try_from(arguments.sessions).map_err(|error| error.to_string())?;
    let probes = usize::try_from(arguments.probes).map_err(|error| error.to_string())?;
    let (_started, address, pid) = match (&arguments.server, arguments.pid) {
        (Some(target), Some(pid)) => (None, target.address, pid),
        _ => {
            let orwd = orwd(count);
            let target = BenchTarget::started("orwd", orwd.base())?;
            let pid = orwd.pid();
            (Some(orwd), target.address, pid)
        }
    };
    let plan = sessions::SessionsPlan {
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
            "{resident:.1} KB is more than the allowed {bound} KB"
        )),
        _ => Ok(()),
    }
}

fn files(arguments: &FilesArgs, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    let number = |number: u32| usize::try_from(number).map_err(|error| error.to_string());
    let buffer = usize::try_from(arguments.buffer << 10).map_err(|error| error.to_string())?;
    let plan = files::FilesPlan {
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
            "{ratio:.2} of a native read is less than the required {bound}"
        )),
        (_, Some(bound)) if held > bound => Err(format!(
            "{held} more descriptors is more than the allowed {bound}"
        )),
        _ => Ok(()),
    }
}

fn durable(arguments: &DurableArgs, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    let plan = durable::plan::DurabilityPlan {
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

fn shell(arguments: &ShellArgs, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    let number = |number: u32| usize::try_from(number).map_err(|error| error.to_string());
    let plan = shell::ShellPlan {
        runs: number(arguments.runs)?,
        sessions: number(arguments.sessions)?,
    };
    let report = shell::run(plan, say)?;
    match json {
        true => print(&report),
        false => Ok(()),
    }
}

fn network(arguments: &NetworkArgs, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    let report = network::run(arguments.rounds, say)?;
    match json {
        true => print(&report),
        false => Ok(()),
    }
}

fn all(arguments: &AllArgs, json: bool, say: impl FnMut(&str)) -> Result<(), String> {
    // Kept to the end of the run, since dropping a server ends it.
    let mut hosts = Vec::new();
    let mut measured = Vec::new();
    let kinds = [all::DEFAULT, all::NONE, all::POWER];
    let versions = arguments.binaries.iter().flat_map(|(name, file)| {
        [all::DEFAULT, all::NONE].map(|kind| (format!("{name}-{kind}"), kind, Some(file)))
    });
    let all_hosts = kinds.map(|kind| (kind.to_owned(), kind, None));
    for (name, durability, binary) in all_hosts.into_iter().chain(versions) {
        let mut serve = ServeCommand::fixtures(&["alpha"])
            .set("--log", "warn")
            .set("--durability", durability);
        if let Some(binary) = binary {
            serve = serve.binary(binary);
        }
        let host = serve.start();
        measured.push(MeasuredServer {
            target: BenchTarget::started(&name, host.base())?,
            pid: Some(host.pid()),
        });
        hosts.push(host);
    }
    let bare = [(all::BARE, "one"), (all::BARE_TWO, "two")];
    let bare = bare.map(|(name, writes)| (name, servers::BareServer::start(writes)));
    for (name, server) in &bare {
        let server = server.as_ref().map_err(Clone::clone)?;
        measured.push(MeasuredServer {
            target: BenchTarget::started(name, server.base())?,
            pid: Some(server.pid()),
        });
    }
    if let Some(reference) = &arguments.reference {
        measured.push(MeasuredServer {
            target: BenchTarget {
                name: all::REFERENCE.to_owned(),
                ..reference.clone()
            },
            pid: arguments.reference_pid,
        });
    }
    let plan = echo::EchoPlan {
        connections: arguments.connections.into(),
        time: Duration::from_secs(arguments.seconds),
        rounds: arguments.rounds,
    };
    let report = all::run(&measured, plan, say)?;
    if json {
        print(&report)?;
    }
    let missed = report.missed();
    if arguments.check && !missed.is_empty() {
        return Err(missed.join("; "));
    }
    Ok(())
}

/// Starts orwd with default limits, except for the session limit if it is too low
/// for this number. Its access log is off, because this process would have to
/// read it.
fn orwd(sessions: usize) -> ServerProcess {
    const DEFAULT_SESSIONS: usize = 8192;
    let serve = ServeCommand::fixtures(&["alpha"]).set("--log", "warn");
    match sessions {
        0..=DEFAULT_SESSIONS => serve.start(),
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
