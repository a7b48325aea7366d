//! The host's side of one instance: what its store holds.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::chance::Chance;
use super::clock::Clock;
use super::memory::Memory;
use super::poll::Timed;
use super::stdio::{GuestLog, Stream};
use super::{DataDir, DataMode, Meter, PublishRules};
use orwd_model::{DeterminismConfig, SessionLimits, SleepMode};
use orwd_overlay::{Allowance, Refused, Tree, View};

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
    /// Its randomness and its clock.
    pub determinism: DeterminismConfig,
    /// Whether it is waited for when it sleeps, to begin with.
    pub sleep_mode: SleepMode,
    /// What it sees at `/orwd_data`, if anything.
    pub data: Option<DataDir>,
    /// What becomes of what it writes.
    pub mode: DataMode,
    /// What it may use up.
    pub limits: SessionLimits,
}

/// The files of a session that may publish them.
#[derive(Clone, Debug)]
pub struct Results {
    label: Label,
    tree: Tree,
    data: Option<DataDir>,
    publish: PublishRules,
}

impl Results {
    /// Puts them into the data directory, and gives how many files that were.
    /// Waits for the disk.
    pub fn publish(&self) -> usize {
        let done = self.tree.publish(&self.publish);
        if let Some(data) = &self.data {
            data.mark();
        }
        tracing::info!(
            session = %self.label.session,
            environment = %self.label.environment,
            published = done.published,
            kept = done.kept,
            failed = done.failed,
            "published what a session wrote"
        );
        done.published
    }
}

/// What the store of an instance holds.
pub struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
    tree: Tree,
    results: Option<Results>,
    /// The session's clock.
    pub clock: Clock,
    /// The session's random numbers.
    pub chance: Chance,
    /// The budget of memories and tables.
    pub memory: Memory,
    /// The CPU time used.
    pub meter: Meter,
    /// Captures standard output and standard error.
    pub log: GuestLog,
    /// Set by the epoch callback just before it stops the guest.
    pub out_of_cpu: bool,
}

impl GuestState {
    /// Builds the world of one instance.
    pub fn new(outfit: Outfit) -> GuestState {
        let limits = &outfit.limits;
        let log = GuestLog::new(outfit.label.clone(), limits.log, limits.log_total);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(log.stream(Stream::Out))
            .stderr(log.stream(Stream::Err));
        let clock = Clock::new(outfit.determinism, outfit.sleep_mode);
        let data = outfit.data.as_ref();
        let read_only = outfit.mode == DataMode::ReadOnly;
        let tree = Tree::new(
            data.map(|data| (data.ground(), DataDir::GUEST_PATH)),
            if read_only { &[] } else { &[SCRATCH] },
            read_only,
            Allowance {
                bytes: limits.disk,
                files: limits.files,
                handles: limits.open_files,
            },
            Arc::new(clock.clone()),
        );
        let results = match outfit.mode {
            DataMode::Shared(publish) => Some(Results {
                label: outfit.label,
                tree: tree.clone(),
                data: outfit.data,
                publish,
            }),
            DataMode::ReadOnly | DataMode::Session => None,
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        GuestState {
            wasi: wasi.build(),
            table,
            tree,
            results,
            memory: Memory::new(limits.memory, limits.tables),
            clock,
            chance: Chance::new(outfit.determinism.seed),
            meter: Meter::default(),
            log,
            out_of_cpu: false,
        }
    }

    /// What the session leaves to others, if it may.
    pub fn results(&self) -> Option<Results> {
        self.results.clone()
    }

    /// Forgets what happened in the entry before.
    pub fn begin_entry(&mut self) {
        self.memory.take_refused();
        self.tree.take_refused();
        self.log.take_words();
    }

    /// The last thing that the quota of files refused in this entry.
    pub fn take_refused_by_files(&mut self) -> Option<Refused> {
        self.tree.take_refused()
    }

    /// The clock, for the interfaces that show it.
    pub(super) fn timed(&mut self) -> Timed<'_> {
        Timed {
            clock: &self.clock,
            table: &mut self.table,
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
