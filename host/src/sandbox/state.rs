//! The host's side of one instance: what its store holds.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::memory::Memory;
use super::stdio::{GuestLog, Stream};
use super::tree::{Tree, View};
use super::{Allowance, DataDir, Meter, Mode};

/// Bytes of randomness that a guest may ask for at once; more is a trap.
const RANDOM_AT_ONCE: u64 = 64 * 1024;

/// Files, streams, timers and the like that a guest may hold at once.
const HANDLES: usize = 1024;

/// Where a guest may put what it needs for itself.
const SCRATCH: &str = "/tmp";

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
    /// What becomes of what it writes.
    pub mode: Mode,
    /// What its files may use up.
    pub files: Allowance,
    /// Bytes of memory.
    pub memory: usize,
    /// Bytes of output for each entry.
    pub log: usize,
}

/// What the store of an instance holds.
pub struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
    tree: Tree,
    pub(crate) memory: Memory,
    pub(crate) meter: Meter,
    pub(crate) log: GuestLog,
    /// Set by the epoch callback just before it stops the guest.
    pub(crate) out_of_cpu: bool,
}

impl GuestState {
    /// Builds the world of one instance.
    pub fn new(outfit: Outfit) -> GuestState {
        let log = GuestLog::new(outfit.label, outfit.log);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(log.stream(Stream::Out))
            .stderr(log.stream(Stream::Err))
            .max_random_size(RANDOM_AT_ONCE);
        let data = outfit.data.as_ref();
        let read_only = outfit.mode == Mode::ReadOnly;
        let tree = Tree::new(
            data.map(|data| (data.ground(), DataDir::GUEST_PATH)),
            if read_only { &[] } else { &[SCRATCH] },
            read_only,
            outfit.files,
        );
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        GuestState {
            wasi: wasi.build(),
            table,
            tree,
            memory: Memory::new(outfit.memory),
            meter: Meter::default(),
            log,
            out_of_cpu: false,
        }
    }

    /// The files, for the interfaces that show them.
    pub(super) fn files(&mut self) -> View<'_> {
        View {
            tree: &self.tree,
            table: &mut self.table,
        }
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
