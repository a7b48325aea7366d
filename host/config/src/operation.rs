//! How the process runs: hardening and the log.

use clap::{Args, ValueEnum};

/// Flag for process hardening.
#[derive(Args, Clone, Copy, Debug)]
pub struct HardeningFlags {
    /// Process hardening: before it serves, the process gives up the files,
    /// networks, programs and system calls that it does not need
    #[arg(long, value_name = "MODE", value_enum, default_value_t = HardeningMode::Available, env = "ORWD_HARDENING")]
    pub hardening: HardeningMode,
}

/// Which hardening is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HardeningMode {
    /// All that the kernel supports; the log names what is missing
    Available,
    /// At least the parts for files, system calls, privileges and core dumps;
    /// if one of them is missing, the server does not start
    Required,
    /// None, for debuggers and profilers, which cannot inspect a hardened
    /// process
    Off,
}

/// Flags for the log.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Log")]
pub struct LogFlags {
    /// Format of the log, which is written to standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,

    /// Log filter: a level, or levels by module such as
    /// `warn,orwd_session=debug` [default: info for serve, otherwise warn]
    #[arg(long, value_name = "FILTER", env = "ORWD_LOG", global = true)]
    pub log: Option<String>,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}
