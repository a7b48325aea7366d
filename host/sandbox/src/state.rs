//! The state in the store of one instance.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use orwd_model::{DataMode, PublishRules, Secrets};
use orwd_overlay::{FileLimits, FilesystemView, Overlay, QuotaRefusal};

use crate::config::{InstanceConfig, InstanceLabel};
use crate::data::dir::DataDir;
use crate::host_memory::HostMemory;
use crate::http::{HttpMode, HttpState};
use crate::memory::MemoryLimiter;
use crate::meter::CpuMeter;
use crate::output::stdio::{GuestLog, StdStream};
use crate::random::RandomStreams;
use crate::time::clock::SessionClock;
use crate::time::poll::ClockView;

/// A writable directory for temporary files.
const TMP: &str = "/tmp";

/// The only environment variable of a guest: the name under which the host serves
/// it. A component may hold several environments.
const NAME_VARIABLE: &str = "ORWD_ENVIRONMENT";

/// The files of a session that may publish them.
#[derive(Clone, Debug)]
pub struct PublishableFiles {
    label: InstanceLabel,
    overlay: Overlay,
    data: Option<DataDir>,
    publish: PublishRules,
}

impl PublishableFiles {
    /// Publishes them to the data directory, and returns their number. Blocks
    /// on the disk.
    pub fn publish(&self) -> usize {
        let done = self.overlay.publish(&self.publish);
        if let Some(data) = &self.data {
            data.mark_stale();
        }
        tracing::info!(
            session = %self.label.session,
            environment = %self.label.environment,
            published = done.published,
            kept = done.kept,
            failed = done.failed,
            "session files published"
        );
        done.published
    }
}

/// The state in the store of an instance.
pub struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
    overlay: Overlay,
    publishable: Option<PublishableFiles>,
    http: HttpState,
    /// The session's clock.
    pub clock: SessionClock,
    /// The session's random numbers.
    pub random: RandomStreams,
    /// The limiter of memories and tables.
    pub memory: MemoryLimiter,
    /// The CPU time of the guest.
    pub meter: CpuMeter,
    /// Standard output and standard error.
    pub log: GuestLog,
    /// Set by the epoch callback just before it interrupts the guest.
    pub out_of_cpu: bool,
}

impl GuestState {
    /// Creates the state of one instance, on a machine with this memory.
    pub fn new(config: InstanceConfig, host_memory: HostMemory) -> GuestState {
        let limits = &config.limits;
        let log = GuestLog::new(config.label.clone(), limits.log, limits.log_total);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(log.stream(StdStream::Out))
            .stderr(log.stream(StdStream::Err))
            .env(NAME_VARIABLE, &*config.label.environment);
        let clock = SessionClock::new(config.determinism, config.sleep_mode);
        let http = HttpState::new(
            config.network,
            config.label.owner.clone(),
            config.label.session.clone(),
            clock.clone(),
            limits,
        );
        let data = config.data.as_ref();
        let read_only = config.mode == DataMode::ReadOnly;
        let overlay = Overlay::new(
            data.map(|data| (data.lower(), DataDir::GUEST_PATH)),
            if read_only { &[] } else { &[TMP] },
            read_only,
            FileLimits {
                bytes: limits.disk,
                files: limits.files,
                handles: limits.open_files,
            },
            Arc::new(clock.clone()),
        );
        if let Some(disk) = config.disk {
            overlay.charge_disk_to(disk);
        }
        if config.observe {
            overlay.observe();
        }
        let publishable = match config.mode {
            DataMode::Shared(publish) => Some(PublishableFiles {
                label: config.label,
                overlay: overlay.clone(),
                data: config.data,
                publish,
            }),
            DataMode::ReadOnly | DataMode::Session => None,
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let mut memory = MemoryLimiter::new(limits.memory, limits.tables, host_memory);
        if let Some(budget) = config.memory {
            memory.charge_to(budget);
        }
        GuestState {
            wasi: wasi.build(),
            table,
            overlay,
            publishable,
            http,
            memory,
            clock,
            random: RandomStreams::new(config.determinism.seed),
            meter: CpuMeter::default(),
            log,
            out_of_cpu: false,
        }
    }

    /// Returns the hash of what the guest has seen of its data so far; none if
    /// it has no data, or is not observed.
    pub fn observed_data(&self) -> Option<[u8; 32]> {
        self.overlay.observed()
    }

    /// Returns the files to publish, if the data mode allows it.
    pub fn publishable(&self) -> Option<PublishableFiles> {
        self.publishable.clone()
    }

    /// Clears what was recorded in the previous entry.
    pub fn begin_entry(&mut self) {
        self.memory.take_refused();
        self.overlay.take_refused();
        self.log.take_last_stderr();
    }

    /// Returns and clears the last refusal by the file quota in this entry.
    pub fn take_file_refusal(&mut self) -> Option<QuotaRefusal> {
        self.overlay.take_refused()
    }

    /// Sets where the results of the next entry's HTTP requests come from.
    pub fn set_http_mode(&mut self, mode: HttpMode) {
        self.http.set_mode(mode);
    }

    /// Keeps secrets that the guest does not get, for its requests.
    pub fn hide_secrets(&mut self, secrets: Secrets) {
        self.http.hide_secrets(secrets);
    }

    /// Notes that the guest gets its secrets.
    pub fn expose_secrets(&mut self) {
        self.http.expose_secrets();
    }

    /// Returns the state for the HTTP interface.
    pub(crate) fn http(&mut self) -> &mut HttpState {
        &mut self.http
    }

    /// Returns the view for the clock interfaces.
    pub(crate) fn clock_view(&mut self) -> ClockView<'_> {
        ClockView {
            clock: &self.clock,
            table: &mut self.table,
        }
    }

    /// Returns the view for the file system interfaces.
    pub(crate) fn filesystem_view(&mut self) -> FilesystemView<'_> {
        FilesystemView {
            overlay: &self.overlay,
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
