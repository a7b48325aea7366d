//! The host's side of one instance: what its store holds.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::memory::Memory;
use super::stdio::{GuestLog, Stream};
use super::{Access, DataDir, Meter};

/// Bytes of randomness that a guest may ask for at once; more is a trap.
const RANDOM_AT_ONCE: u64 = 64 * 1024;

/// Files, streams, timers and the like that a guest may hold at once.
const HANDLES: usize = 1024;

/// Whose instance this is, for the log.
#[derive(Clone, Debug)]
pub struct Label {
    /// The environment.
    pub environment: Arc<str>,
    /// The session; for an instance that answers questions about tasks, the
    /// word `catalog`.
    pub session: Arc<str>,
}

/// What an instance is given.
#[derive(Clone, Debug)]
pub struct Outfit {
    /// Whose it is.
    pub label: Label,
    /// What it sees at `/orwd_data`, if anything.
    pub data: Option<DataDir>,
    /// Bytes of memory.
    pub memory: usize,
    /// Bytes of output for each entry.
    pub log: usize,
}

/// What the store of an instance holds.
pub struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(crate) memory: Memory,
    pub(crate) meter: Meter,
    pub(crate) log: GuestLog,
    /// Set by the epoch callback just before it stops the guest.
    pub(crate) out_of_cpu: bool,
}

impl GuestState {
    /// Builds the world of one instance. Fails if the data directory has gone
    /// since it was first opened, or if the host is out of descriptors.
    pub fn new(outfit: Outfit) -> wasmtime::Result<GuestState> {
        let log = GuestLog::new(outfit.label, outfit.log);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(log.stream(Stream::Out))
            .stderr(log.stream(Stream::Err))
            .max_random_size(RANDOM_AT_ONCE);
        if let Some(data) = &outfit.data {
            let permissions = match data.access() {
                Access::ReadOnly => FsPerms::ReadOnly,
                Access::ReadWrite => FsPerms::ReadWrite,
            };
            wasi.preopened_dir(data.path(), DataDir::GUEST_PATH, permissions)?;
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Ok(GuestState {
            wasi: wasi.build(),
            table,
            memory: Memory::new(outfit.memory),
            meter: Meter::default(),
            log,
            out_of_cpu: false,
        })
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
