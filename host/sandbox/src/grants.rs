//! The interfaces that a component may import: those of WASI 0.2, and HTTP requests.
//!
//! They are linked one by one, so that an upgrade of the library grants nothing
//! new. Sockets are linked because several toolchains import them without using
//! them; every use is denied. An interface that is not in the table is not
//! linked, and a component that imports it is rejected.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi::{WasiView, cli::WasiCli};

use orwd_bindings::network::orwd::network::http;

use crate::http::HasHttp;
use crate::random::HasRandom;
use crate::state::GuestState;
use crate::time::poll::HasClock;
use orwd_overlay::HasFilesystem;

/// How the sandbox treats an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The interface works, within the limits.
    Granted,
    /// The interface is linked, and every use fails.
    Denied,
    /// The interface is not linked: a component that imports it is rejected.
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
    // Contains only types.
    "orwd:environment/types",
    // Each request needs the grants of the manifest and of the operator.
    "orwd:network/http",
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

/// Returns the grant of an import, named with or without a version.
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

/// Links all interfaces that are granted or denied.
pub fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let l = linker;
    wasmtime_wasi::p2::bindings::io::error::add_to_linker::<_, HasIo>(l, table)?;
    wasmtime_wasi::p2::bindings::io::poll::add_to_linker::<_, HasClock>(l, GuestState::clock_view)?;
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

    clocks::wall_clock::add_to_linker::<_, HasClock>(l, GuestState::clock_view)?;
    clocks::monotonic_clock::add_to_linker::<_, HasClock>(l, GuestState::clock_view)?;

    filesystem::types::add_to_linker::<_, HasFilesystem>(l, GuestState::filesystem_view)?;
    filesystem::preopens::add_to_linker::<_, HasFilesystem>(l, GuestState::filesystem_view)?;

    random::random::add_to_linker::<_, HasRandom>(l, |s| &mut s.random)?;
    random::insecure::add_to_linker::<_, HasRandom>(l, |s| &mut s.random)?;
    random::insecure_seed::add_to_linker::<_, HasRandom>(l, |s| &mut s.random)?;

    http::add_to_linker::<_, HasHttp>(l, GuestState::http)?;

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

/// Gives the `wasi:io` interfaces access to the resource table.
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
            ("orwd:network/http@0.1.0", Grant::Granted),
            ("orwd:network/sockets@0.1.0", Grant::Refused),
            ("my:own/thing", Grant::Refused),
        ] {
            assert_eq!(grant_of(import), expected, "{import}");
        }
    }
}
