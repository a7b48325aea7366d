//! The flags as they are typed.
//!
//! Grouped by what they are about, and shared by the commands that need them.
//! Each amount is checked as it is read, so that a value that makes no sense
//! is a usage error which names its flag and says what is allowed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, FromArgMatches, ValueEnum};

use super::limits::{Amount, Limit};
use super::resolved::Listen;
use super::units::{Size, Span};

/// Where environments come from and what they may reach.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Environments")]
pub struct EnvironmentFlags {
    /// Directory that the environment sees as /orwd_data. For one environment
    /// alone, in place of its manifest's `data`
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Let environments whose manifest says `data-mode = "shared"` publish
    /// what their sessions write into their data directory
    #[arg(long)]
    pub writable_data: bool,

    /// Where compiled code is kept [default: orwd in the user's cache
    /// directory]
    #[arg(long, value_name = "DIR", env = "ORWD_CACHE")]
    pub cache: Option<PathBuf>,

    /// Take components as they were last built, and build nothing
    #[arg(long)]
    pub no_build: bool,
}

/// What an environment may cost until it is served.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits of a component")]
pub struct AdmissionFlags {
    /// Size of a component
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size("1KiB", "1GiB"))]
    pub component_limit: Size,

    /// Memory for compiling one component, counted as address space, of which
    /// the compiler itself takes some 300MiB
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = size("512MiB", "1024GiB"))]
    pub compile_memory: Size,

    /// CPU time for compiling one component, counted in whole seconds; on the
    /// clock it may take twice as long
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = time("1s", "24h"))]
    pub compile_time: Span,
}

/// What one session may use up. A manifest may narrow these, and not widen.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits of a session")]
pub struct SessionFlags {
    /// Memory, tables included
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = limit(Limit::Memory))]
    pub memory: Amount,

    /// Elements of all tables together
    #[arg(long, value_name = "COUNT", default_value = "100000", value_parser = limit(Limit::Tables))]
    pub tables: Amount,

    /// Handles to files, streams, timers and the like that are held at once, and
    /// eight times as many to resources of the guest's own
    #[arg(long, value_name = "COUNT", default_value = "1024", value_parser = limit(Limit::Handles))]
    pub handles: Amount,

    /// CPU time of one call, prompt, listing or scoring
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = limit(Limit::CallCpu))]
    pub call_cpu: Amount,

    /// Wall time of the same, waiting included
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = limit(Limit::CallWall))]
    pub call_wall: Amount,

    /// CPU time of opening an episode and of its setup, each
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = limit(Limit::SetupCpu))]
    pub setup_cpu: Amount,

    /// Wall time of the same
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = limit(Limit::SetupWall))]
    pub setup_wall: Amount,

    /// CPU time of the teardown
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = limit(Limit::TeardownCpu))]
    pub teardown_cpu: Amount,

    /// Wall time of the same
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = limit(Limit::TeardownWall))]
    pub teardown_wall: Amount,

    /// Size of one result, blocks and metadata together
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = limit(Limit::Result))]
    pub result_limit: Amount,

    /// Size of what is handed to the host at once, be it by one call of the
    /// host or as one result [default: 8MiB more than --result-limit]
    #[arg(long, value_name = "SIZE", value_parser = limit(Limit::HostCall))]
    pub host_call_limit: Option<Amount>,

    /// Levels of JSON, both of what clients send for the environment and of
    /// what it gives
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = limit(Limit::JsonDepth))]
    pub json_depth: Amount,

    /// Standard output and error that reach the log for each call; the rest
    /// is dropped
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = limit(Limit::GuestLog))]
    pub guest_log_limit: Amount,

    /// The same for a session in all
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = limit(Limit::GuestLogTotal))]
    pub guest_log_total: Amount,

    /// Size of what a session writes into files, their names included
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = limit(Limit::Disk))]
    pub disk: Amount,

    /// Files that a session makes, changes or removes
    #[arg(long, value_name = "COUNT", default_value = "4096", value_parser = limit(Limit::Files))]
    pub files: Amount,

    /// Files and directories that a session has open at once
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = limit(Limit::OpenFiles))]
    pub open_files: Amount,

    /// What the journal takes of the session; what is asked after that ends it
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = limit(Limit::Journal))]
    pub journal_limit: Amount,
}

/// What the server takes from its clients, and how long it waits.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits of the server")]
pub struct ServerFlags {
    /// Sessions in memory at once; for a further one another leaves it that has
    /// nothing to do, or it gets 503 and `Retry-After`
    #[arg(long, value_name = "COUNT", default_value_t = 8192, value_parser = count())]
    pub max_sessions: u32,

    /// Sessions open at once, in memory or not; further ones get 503 and
    /// `Retry-After`
    #[arg(long, value_name = "COUNT", default_value_t = 65_536, value_parser = count())]
    pub max_open_sessions: u32,

    /// Connections open at once; further ones wait
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = count())]
    pub max_connections: u32,

    /// Connections open at once from one address; further ones are closed
    /// [default: 1024, and as many as there may be from this machine's own]
    #[arg(long, value_name = "COUNT", value_parser = count())]
    pub max_connections_per_address: Option<u32>,

    /// A session that nobody talks to for this long is deleted
    #[arg(long, value_name = "TIME", default_value = "900s", value_parser = time("1s", "720h"))]
    pub idle_timeout: Span,

    /// How long a request waits for a session that is still being set up
    /// before it is told to come back
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = time("0s", "1h"))]
    pub setup_gate: Span,

    /// How long a result can be fetched again
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time("1s", "24h"))]
    pub result_linger: Span,

    /// How long running calls may go on once the server is asked to stop
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time("0s", "1h"))]
    pub drain: Span,

    /// Size of a request's body
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size("1KiB", "1GiB"))]
    pub body_limit: Size,

    /// Size of a request's headers, all together
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = size("8KiB", "1MiB"))]
    pub header_limit: Size,

    /// Time for a request's headers to arrive
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time("100ms", "1h"))]
    pub header_timeout: Span,

    /// Time for a request's body to arrive
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time("100ms", "1h"))]
    pub body_timeout: Span,

    /// Bytes of a body that must arrive each second once it has had 5s
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = size("1", "1GiB"))]
    pub body_rate: Size,

    /// Sessions that one key may create each second, or one address where no
    /// key is asked for, and ten times as many at once; further ones get 429
    /// and `Retry-After`
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = count())]
    pub create_rate: u32,

    /// How long a connection that carries no request stays open
    #[arg(long, value_name = "TIME", default_value = "75s", value_parser = time("1s", "1h"))]
    pub keep_alive: Span,

    /// How long a client may take none of an answer before it is cut off
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time("100ms", "1h"))]
    pub write_timeout: Span,
}

impl ServerFlags {
    /// The flags when none is given, for a server that only this process uses.
    pub fn usual() -> Result<ServerFlags, clap::Error> {
        let command = ServerFlags::augment_args(clap::Command::new("orwd"));
        ServerFlags::from_arg_matches(&command.try_get_matches_from(["orwd"])?)
    }
}

/// What the server writes down of its sessions, and where.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sessions that outlive the server")]
pub struct KeepingFlags {
    /// Where the journal of sessions and the components that they need are
    /// kept; one server at a time uses it [default: orwd/ADDR-PORT in the
    /// user's directory of state]
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    pub state: Option<PathBuf>,

    /// What an answer has survived when the client gets it
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = KeepingLevel::Process)]
    pub durability: KeepingLevel,

    /// File with the key that clients' secrets are sealed with: 64 hexadecimal
    /// digits. Without one, sessions with secrets end with the server
    /// [default: the key in ORWD_SEAL_KEY, if there is one]
    #[arg(long, value_name = "FILE", env = "ORWD_SEAL_KEY_FILE")]
    pub seal_key: Option<PathBuf>,

    /// A session whose guest has had nothing to do for this long leaves the
    /// memory until it is called again, or earlier where another needs its
    /// place. With `never` all stay, and `--max-sessions` is how many there are
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = patience)]
    pub hibernate_after: Patience,

    /// Memory of the whole server above which sessions with nothing to do leave
    /// it before their time [default: three quarters of what there is]
    #[arg(long, value_name = "SIZE", value_parser = size("16MiB", "1024GiB"))]
    pub memory_mark: Option<Size>,

    /// A session that ended this long ago is removed from the journal; until
    /// then it can be looked at, replayed, exported and vouched for
    #[arg(long, value_name = "TIME", default_value = "168h", value_parser = time("1s", "87600h"))]
    pub keep_ended: Span,
}

/// How long to wait for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// So long.
    For(Span),
    /// It is never done.
    Never,
}

impl Patience {
    /// The time, if there is one.
    pub fn get(self) -> Option<Duration> {
        match self {
            Patience::For(span) => Some(span.get()),
            Patience::Never => None,
        }
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Patience::For(span) => span.fmt(out),
            Patience::Never => out.write_str("never"),
        }
    }
}

/// What is written down before an answer goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KeepingLevel {
    /// The end of the server's process: the kernel has what it takes to go on
    #[default]
    Process,
    /// The loss of power: the disk has it
    Power,
    /// Nothing: sessions end with the server
    None,
}

/// Where the server listens, and whom it lets in.
#[derive(Args, Clone, Debug)]
pub struct ListenFlags {
    /// Address and port; port 0 takes a free one. Without --api-keys, whoever
    /// reaches it may use it
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        env = "ORWD_LISTEN"
    )]
    pub listen: Listen,

    /// Let in only who has a key of this file, each to sessions of their own;
    /// `orwd keys new` adds one. A key whose line is taken out is refused
    /// within seconds
    #[arg(long, value_name = "FILE", env = "ORWD_API_KEYS")]
    pub api_keys: Option<PathBuf>,

    /// Wrong keys that may come from one address at once and each minute;
    /// further ones get 429 and `Retry-After`. A right key is never refused
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 60,
        value_parser = count(),
        requires = "api_keys"
    )]
    pub wrong_keys: u32,

    /// Sessions that one key may hold at once; further ones get 429 and
    /// `Retry-After` [default: any number]
    #[arg(long, value_name = "COUNT", value_parser = count(), requires = "api_keys")]
    pub max_sessions_per_key: Option<u32>,

    /// Calls that one key may have in flight at once; further ones get 429
    /// and `Retry-After` [default: any number]
    #[arg(long, value_name = "COUNT", value_parser = count(), requires = "api_keys")]
    pub max_calls_per_key: Option<u32>,

    /// A name that requests may call this server by, for one behind a proxy.
    /// On a loopback address all but localhost are refused otherwise, since a
    /// web page may be behind them; on others, once this is given
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub allow_host: Vec<String>,
}

/// What the kernel keeps from the serving process.
#[derive(Args, Clone, Copy, Debug)]
pub struct WallFlags {
    /// Whether the process gives up, before it serves, what it does not need:
    /// files, networks, programs, system calls
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = WallWish::Available, env = "ORWD_WALLS")]
    pub walls: WallWish,
}

/// Which walls there should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WallWish {
    /// Those that this kernel has; the log names the others.
    Available,
    /// All of them, or else nothing is served.
    Required,
    /// None, for a debugger or a profiler, which see into no process that
    /// has them.
    Off,
}

/// What the log holds and how it looks.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Log")]
pub struct LogFlags {
    /// Shape of the log, on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,

    /// What is logged: a level, or levels by module such as
    /// `warn,orwd_session=debug` [default: info for serve, else warn]
    #[arg(long, value_name = "FILTER", env = "ORWD_LOG", global = true)]
    pub log: Option<String>,
}

/// Shape of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a host's name or address, without a port.
fn host_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let address = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_address = address.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
    if is_address || (!name.is_empty() && name.chars().all(plain)) {
        Ok(name.to_owned())
    } else {
        Err("expected a name or an address without a port, such as orwd.example".to_owned())
    }
}

/// Reads a session limit.
fn limit(limit: Limit) -> impl Fn(&str) -> Result<Amount, String> + Clone + Send + Sync {
    move |text| limit.parse(text)
}

/// Reads a size between two others.
fn size(
    least: &'static str,
    most: &'static str,
) -> impl Fn(&str) -> Result<Size, String> + Clone + Send + Sync {
    between(least, most)
}

/// Reads a time after which a session may sleep.
fn patience(text: &str) -> Result<Patience, String> {
    match text {
        "never" => Ok(Patience::Never),
        text => time("100ms", "720h")(text).map(Patience::For),
    }
}

/// Reads a time between two others.
fn time(
    least: &'static str,
    most: &'static str,
) -> impl Fn(&str) -> Result<Span, String> + Clone + Send + Sync {
    between(least, most)
}

fn between<T>(
    least: &'static str,
    most: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
    T::Err: std::fmt::Display,
{
    move |text| {
        let read = |text: &str| text.parse::<T>().map_err(|error| error.to_string());
        let value = read(text)?;
        if read(least)? <= value && value <= read(most)? {
            Ok(value)
        } else {
            Err(format!("{value} is not between {least} and {most}"))
        }
    }
}

/// Reads how many of something there may be.
fn count() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1_000_000)
}
