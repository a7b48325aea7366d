//! What runs: typed, checked, nothing left to decide.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::limits::{Amount, Limit};
use super::units::Size;
use super::written::{
    AdmissionFlags, EnvironmentFlags, KeepingFlags, KeepingLevel, ServerFlags, SessionFlags,
};
use orwd_model::{AdmissionLimits, Budget, SessionLimits};

/// Bytes that a guest may hand over at once beyond those of a result, unless the
/// operator says how many it may in all: a result takes up more in memory than
/// on the wire.
const BESIDE_RESULT: u64 = 8 << 20;

/// Why the flags do not make a configuration. What one flag can say wrong on
/// its own is found earlier, as it is read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nothing says where compiled code may be kept.
    #[error(
        "there is no place for compiled code: neither XDG_CACHE_HOME nor HOME is set; say one with --cache DIR"
    )]
    NoCacheDirectory,
    /// Nothing says where the journal may be kept.
    #[error(
        "there is no place for the journal: neither XDG_STATE_HOME nor HOME is set; say one with --state DIR, or --durability none"
    )]
    NoStateDirectory,
}

/// The address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

/// Why a text is no address to listen on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address and a port, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080")]
pub struct NotAnAddress;

impl Listen {
    /// Any free port of this machine, for a server that only this process
    /// talks to.
    pub fn private() -> Listen {
        Listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
    }

    /// Whether other machines may be able to reach it.
    pub fn is_public(self) -> bool {
        !self.0.ip().to_canonical().is_loopback()
    }
}

impl FromStr for Listen {
    type Err = NotAnAddress;

    /// Addresses only: a name would be looked up who knows where. `localhost`
    /// is the exception, because its meaning is fixed.
    fn from_str(text: &str) -> Result<Listen, NotAnAddress> {
        if let Some(port) = text.strip_prefix("localhost:") {
            let port = port.parse().map_err(|_| NotAnAddress)?;
            return Ok(Listen(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                port,
            )));
        }
        text.parse().map(Listen).map_err(|_| NotAnAddress)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the server allows in all, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Sessions in memory at once.
    pub max_sessions: u32,
    /// Sessions open at once, in memory or not.
    pub max_open_sessions: usize,
    /// Connections open at once.
    pub max_connections: usize,
    /// Connections open at once from one address; none is the usual number,
    /// without a limit for this machine's own.
    pub max_connections_per_address: Option<usize>,
    /// Idle time after which a session is deleted.
    pub idle_timeout: Duration,
    /// How long a request waits for a setup.
    pub setup_gate: Duration,
    /// How long a run is kept once it is over.
    pub result_linger: Duration,
    /// How long running calls may go on after the signal to stop.
    pub drain: Duration,
    /// Bytes of a request's body.
    pub body: usize,
    /// Bytes of a request's headers.
    pub header: usize,
    /// Time for the headers to arrive.
    pub header_timeout: Duration,
    /// Time for the body to arrive.
    pub body_timeout: Duration,
    /// Bytes of it that arrive each second.
    pub body_rate: u64,
    /// Sessions that one key or address may create each second.
    pub create_rate: u32,
    /// Time between two requests on one connection.
    pub keep_alive: Duration,
    /// Time without progress in writing an answer.
    pub write_timeout: Duration,
}

/// Where on this machine things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The data directory of the one environment, if it was given by flag.
    pub data: Option<PathBuf>,
    /// Whether environments that ask for it may publish into their data.
    pub writable_data: bool,
    /// Where compiled code is kept.
    pub cache: PathBuf,
    /// Whether components are built first.
    pub build: bool,
}

impl AdmissionFlags {
    /// The limits as the compiler has them.
    pub fn resolve(&self) -> AdmissionLimits {
        AdmissionLimits {
            component: self.component_limit.get(),
            memory: self.compile_memory.get(),
            time: self.compile_time.get(),
        }
    }
}

impl SessionFlags {
    /// The limits that the operator sets.
    pub fn resolve(&self) -> SessionLimits {
        let none = Budget {
            cpu: Duration::ZERO,
            wall: Duration::ZERO,
        };
        let mut limits = SessionLimits {
            memory: 0,
            tables: 0,
            handles: 0,
            call: none,
            setup: none,
            teardown: none,
            result: 0,
            host_call: 0,
            json_depth: 0,
            log: 0,
            log_total: 0,
            disk: 0,
            files: 0,
            open_files: 0,
            journal: 0,
        };
        for limit in Limit::ALL {
            let amount = match limit {
                Limit::Memory => self.memory,
                Limit::Tables => self.tables,
                Limit::Handles => self.handles,
                Limit::CallCpu => self.call_cpu,
                Limit::CallWall => self.call_wall,
                Limit::SetupCpu => self.setup_cpu,
                Limit::SetupWall => self.setup_wall,
                Limit::TeardownCpu => self.teardown_cpu,
                Limit::TeardownWall => self.teardown_wall,
                Limit::Result => self.result_limit,
                // Results that the operator allows are to get through.
                Limit::HostCall => self.host_call_limit.unwrap_or_else(|| {
                    let result = limits.result as u64;
                    Amount::Size(Size::bytes(result.saturating_add(BESIDE_RESULT)))
                }),
                Limit::JsonDepth => self.json_depth,
                Limit::GuestLog => self.guest_log_limit,
                Limit::GuestLogTotal => self.guest_log_total,
                Limit::Disk => self.disk,
                Limit::Files => self.files,
                Limit::OpenFiles => self.open_files,
                Limit::Journal => self.journal_limit,
            };
            limit.set(&mut limits, amount);
        }
        limits
    }
}

impl ServerFlags {
    /// The limits as the server counts them.
    pub fn resolve(&self) -> ServerLimits {
        ServerLimits {
            max_sessions: self.max_sessions,
            max_open_sessions: usize::try_from(self.max_open_sessions).unwrap_or(usize::MAX),
            max_connections: usize::try_from(self.max_connections).unwrap_or(usize::MAX),
            max_connections_per_address: self
                .max_connections_per_address
                .map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            idle_timeout: self.idle_timeout.get(),
            setup_gate: self.setup_gate.get(),
            result_linger: self.result_linger.get(),
            drain: self.drain.get(),
            body: self.body_limit.as_usize(),
            header: self.header_limit.as_usize(),
            header_timeout: self.header_timeout.get(),
            body_timeout: self.body_timeout.get(),
            body_rate: self.body_rate.get(),
            create_rate: self.create_rate,
            keep_alive: self.keep_alive.get(),
            write_timeout: self.write_timeout.get(),
        }
    }
}

/// What is written down of sessions, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// The directory of state; none if nothing is written down.
    pub state: Option<PathBuf>,
    /// What an answer has survived when the client gets it.
    pub level: KeepingLevel,
    /// The file of the key that secrets are sealed with.
    pub seal_key: Option<PathBuf>,
    /// How long a guest has nothing to do before it leaves the memory; none if
    /// it never does.
    pub hibernate_after: Option<Duration>,
    /// Bytes of the process above which guests leave the memory early; none is
    /// the usual part of what there is.
    pub memory_mark: Option<u64>,
    /// How long a session that has ended stays in the journal.
    pub keep_ended: Duration,
}

impl Keeping {
    /// Nothing is written down.
    pub fn nothing() -> Keeping {
        Keeping {
            state: None,
            level: KeepingLevel::None,
            seal_key: None,
            hibernate_after: None,
            memory_mark: None,
            keep_ended: Duration::MAX,
        }
    }
}

impl KeepingFlags {
    /// What to keep for a server that listens there. Servers at two addresses
    /// have each a directory of their own.
    pub fn resolve(&self, listen: Listen) -> Result<Keeping, ConfigError> {
        if self.durability == KeepingLevel::None {
            return Ok(Keeping::nothing());
        }
        let state = match &self.state {
            Some(state) => state.clone(),
            None => {
                let (xdg, home) = (std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"));
                user_state(xdg, home, listen).ok_or(ConfigError::NoStateDirectory)?
            }
        };
        Ok(Keeping {
            state: Some(state),
            level: self.durability,
            seal_key: self.seal_key.clone(),
            hibernate_after: self.hibernate_after.get(),
            memory_mark: self.memory_mark.map(Size::get),
            keep_ended: self.keep_ended.get(),
        })
    }
}

fn user_state(xdg: Option<OsString>, home: Option<OsString>, listen: Listen) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let address = format!("{}-{}", listen.0.ip(), listen.0.port()).replace(':', "_");
    xdg.and_then(absolute)
        .or_else(|| {
            home.and_then(absolute)
                .map(|home| home.join(".local/state"))
        })
        .map(|state| state.join("orwd").join(address))
}

impl EnvironmentFlags {
    /// The places, with the cache where this system keeps such things.
    pub fn resolve(&self) -> Result<Places, ConfigError> {
        let cache = match &self.cache {
            Some(cache) => cache.clone(),
            None => user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
                .ok_or(ConfigError::NoCacheDirectory)?,
        };
        Ok(Places {
            data: self.data.clone(),
            writable_data: self.writable_data,
            cache,
            build: !self.no_build,
        })
    }
}

/// `orwd` in the user's cache directory. As the XDG base directory
/// specification has it, a relative path there counts as none.
fn user_cache(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    xdg.and_then(absolute)
        .or_else(|| home.and_then(absolute).map(|home| home.join(".cache")))
        .map(|cache| cache.join("orwd"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::written::ListenFlags;

    #[derive(Parser, Debug)]
    struct Flags {
        #[command(flatten)]
        listen: ListenFlags,
        #[command(flatten)]
        admission: AdmissionFlags,
        #[command(flatten)]
        session: SessionFlags,
        #[command(flatten)]
        server: ServerFlags,
    }

    fn read(flags: &str) -> Result<Flags, String> {
        let words = ["orwd"].into_iter().chain(flags.split_whitespace());
        Flags::try_parse_from(words).map_err(|error| {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn the_defaults() {
        let flags = read("").unwrap();
        let seconds = |cpu, wall| Budget {
            cpu: Duration::from_secs(cpu),
            wall: Duration::from_secs(wall),
        };
        assert_eq!(flags.listen.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(
            flags.session.resolve(),
            SessionLimits {
                memory: 256 << 20,
                tables: 100_000,
                handles: 1024,
                call: seconds(30, 60),
                setup: seconds(60, 120),
                teardown: seconds(5, 5),
                result: 8 << 20,
                host_call: 16 << 20,
                json_depth: 64,
                log: 64 << 10,
                log_total: 4 << 20,
                disk: 64 << 20,
                files: 4096,
                open_files: 256,
                journal: 256 << 20,
            }
        );
        assert_eq!(flags.admission.resolve(), AdmissionLimits::default());
        let server = flags.server.resolve();
        assert_eq!(server.max_sessions, 8192);
        assert_eq!(server.max_connections, 10_000);
        assert_eq!(server.idle_timeout, Duration::from_secs(900));
        assert_eq!(server.setup_gate, Duration::from_secs(25));
        assert_eq!(server.body, 1 << 20);
        assert_eq!(server.header, 16 << 10);
    }

    #[test]
    fn a_larger_result_may_be_handed_over_too() {
        for (flags, expected) in [
            ("", 16 << 20),
            ("--result-limit 64MiB", 72 << 20),
            ("--result-limit 64MiB --host-call-limit 1MiB", 1 << 20),
        ] {
            assert_eq!(read(flags).unwrap().session.resolve().host_call, expected);
        }
    }

    #[test]
    fn every_session_limit_is_a_flag_of_its_name() {
        for limit in Limit::ALL {
            let amount = match limit.unit() {
                crate::limits::Unit::Size => "3MiB",
                crate::limits::Unit::Time => "3s",
                crate::limits::Unit::Count => "30",
            };
            // The least of some is more than that.
            let amount = match limit {
                Limit::Tables => "3000",
                Limit::Handles => "300",
                _ => amount,
            };
            let flags = read(&format!("--{}={amount}", limit.name())).unwrap();
            assert_eq!(limit.get(&flags.session.resolve()).to_string(), amount);
        }
    }

    #[test]
    fn what_makes_no_sense_names_the_flag_and_what_is_allowed() {
        for (flags, expected) in [
            (
                "--memory 0",
                "error: invalid value '0' for '--memory <SIZE>': 0B is not between 2MiB and 4GiB",
            ),
            (
                "--call-wall 60",
                "error: invalid value '60' for '--call-wall <TIME>': a time needs a unit: 60s for seconds, 60ms for milliseconds",
            ),
            (
                "--max-sessions 0",
                "error: invalid value '0' for '--max-sessions <COUNT>': 0 is not in 1..=1000000",
            ),
            (
                "--compile-time 500ms",
                "error: invalid value '500ms' for '--compile-time <TIME>': 500ms is not between 1s and 24h",
            ),
            (
                "--header-limit 1KiB",
                "error: invalid value '1KiB' for '--header-limit <SIZE>': 1KiB is not between 8KiB and 1MiB",
            ),
            (
                "--idle-timeout 0s",
                "error: invalid value '0s' for '--idle-timeout <TIME>': 0s is not between 1s and 720h",
            ),
            (
                "--listen example.org:80",
                "error: invalid value 'example.org:80' for '--listen <ADDR>': expected an address and a port, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080",
            ),
        ] {
            assert_eq!(read(flags).map(|_| ()), Err(expected.to_owned()));
        }
    }

    #[test]
    fn only_loopback_is_private() {
        for (text, public) in [
            ("127.0.0.1:8080", false),
            ("127.3.2.1:0", false),
            ("localhost:1", false),
            ("[::1]:8080", false),
            ("[::ffff:127.0.0.1]:80", false),
            ("0.0.0.0:8080", true),
            ("[::]:8080", true),
            ("192.168.0.7:80", true),
        ] {
            assert_eq!(
                text.parse::<Listen>().unwrap().is_public(),
                public,
                "{text}"
            );
        }
    }

    #[test]
    fn where_the_journal_is_kept() {
        let place = |xdg: Option<&str>, home: Option<&str>, listen: &str| {
            let listen = listen.parse().unwrap();
            user_state(xdg.map(OsString::from), home.map(OsString::from), listen)
        };
        for (xdg, home, listen, expected) in [
            (
                Some("/x"),
                None,
                "127.0.0.1:8080",
                Some("/x/orwd/127.0.0.1-8080"),
            ),
            (
                None,
                Some("/u"),
                "[::1]:80",
                Some("/u/.local/state/orwd/__1-80"),
            ),
            (Some("x"), None, "127.0.0.1:8080", None),
        ] {
            assert_eq!(place(xdg, home, listen), expected.map(PathBuf::from));
        }
    }

    #[test]
    fn where_compiled_code_is_kept() {
        let place = |xdg: Option<&str>, home: Option<&str>| {
            user_cache(xdg.map(OsString::from), home.map(OsString::from))
        };
        for (xdg, home, expected) in [
            (Some("/x"), Some("/home/u"), Some("/x/orwd")),
            (
                Some("relative"),
                Some("/home/u"),
                Some("/home/u/.cache/orwd"),
            ),
            (None, Some("/home/u"), Some("/home/u/.cache/orwd")),
            (None, None, None),
        ] {
            assert_eq!(place(xdg, home), expected.map(PathBuf::from));
        }
    }
}
