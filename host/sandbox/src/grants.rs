//! The interfaces of WASI 0.2 that a component may import, one by one.
//!
//! Linked interface by interface, so that one that the library adds later is
//! not granted by an upgrade. Sockets are linked because several toolchains
//! import them without ever using them; every use is refused. What is not in
//! the table is not there, and a component that needs it is not served.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi::{WasiView, cli::WasiCli};

use super::GuestState;
use super::chance::HasChance;
use super::poll::HasTime;
use orwd_overlay::HasTree;

/// What an import comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It works, within the limits.
    Granted,
    /// It is there, and refuses every use.
    Denied,
    /// It is not there: a component that imports it is not served.
    Refused,
}

const GRANTED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    // Holds types alone.
    "orwd:environment/types",
];

const DENIED: &[&str] = &[
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// What an import of this name, with or without a version, comes to.
pub fn grant_of(import: &str) -> Grant {
    let (name, version) = import.split_once('@').unwrap_or((import, "0.2.0"));
    let known = version.starts_with("0.2.") || name.starts_with("orwd:");
    if known && GRANTED.contains(&name) {
        Grant::Granted
    } else if known && DENIED.contains(&name) {
        Grant::Denied
    } else {
        Grant::Refused
    }
}

/// Links what the table grants or denies.
pub fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let l = linker;
    wasmtime_wasi::p2::bindings::io::error::add_to_linker::<_, HasIo>(l, table)?;
    wasmtime_wasi::p2::bindings::io::poll::add_to_linker::<_, HasTime>(l, GuestState::timed)?;
    wasmtime_wasi::p2::bindings::io::streams::add_to_linker::<_, HasIo>(l, table)?;

    cli::environment::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;

    clocks::wall_clock::add_to_linker::<_, HasTime>(l, GuestState::timed)?;
    clocks::monotonic_clock::add_to_linker::<_, HasTime>(l, GuestState::timed)?;

    filesystem::types::add_to_linker::<_, HasTree>(l, GuestState::files)?;
    filesystem::preopens::add_to_linker::<_, HasTree>(l, GuestState::files)?;

    random::random::add_to_linker::<_, HasChance>(l, |s| &mut s.chance)?;
    random::insecure::add_to_linker::<_, HasChance>(l, |s| &mut s.chance)?;
    random::insecure_seed::add_to_linker::<_, HasChance>(l, |s| &mut s.chance)?;

    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<_, WasiSockets>(l, &options, GuestState::sockets)?;
    sockets::instance_network::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::tcp::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::udp::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::udp_create_socket::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    Ok(())
}

/// Marks the resource table as what `wasi:io` works on.
struct HasIo;

impl HasData for HasIo {
    type Data<'a> = &'a mut ResourceTable;
}

fn table(state: &mut GuestState) -> &mut ResourceTable {
    state.ctx().table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_grants() {
        for (import, expected) in [
            ("wasi:filesystem/types@0.2.6", Grant::Granted),
            ("wasi:cli/stdout@0.2.0", Grant::Granted),
            ("wasi:sockets/tcp@0.2.3", Grant::Denied),
            ("wasi:http/outgoing-handler@0.2.0", Grant::Refused),
            ("wasi:filesystem/types@0.3.0", Grant::Refused),
            ("orwd:environment/types@0.1.0", Grant::Granted),
            ("my:own/thing", Grant::Refused),
        ] {
            assert_eq!(grant_of(import), expected, "{import}");
        }
    }
}
