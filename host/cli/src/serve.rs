//! `orwd serve`: serves environments until it is told to stop.

use std::future::Future;
use std::path::PathBuf;

use clap::Args;
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::host::{self, Door, Loaded};
use super::keep::{self, Kept};
use super::logging::Log;
use super::scratch::Scratch;
use super::{Ending, Failure, descriptors, keys, runtime, terminal, wall};
use orwd_catalog::source;
use orwd_config::written::ListenFlags;
use orwd_config::{
    AdmissionFlags, EnvironmentFlags, KeepingFlags, ServerFlags, SessionFlags, WallFlags,
};
use orwd_session::PerKey;

/// Serve environments over the Open Reward Standard
///
/// PATH is a component file, an environment's folder (with orwd.toml), or a
/// folder of those. Folders with sources are built first. The first
/// environment is the default one. Ctrl-c or SIGTERM lets running calls finish
/// and stops; a second one stops at once. Sessions go on when the server is
/// started again at the same address, or with the same --state.
///
/// Sizes are written as 64MiB or 512KiB, times as 60s, 500ms or 15m.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd serve examples/counter
  orwd serve --listen 127.0.0.1:9000 examples
  orwd serve --data ~/gsm8k examples/gsm8k
  orwd serve --listen 0.0.0.0:8080 --api-keys keys.toml my-env
  orwd serve --memory 64MiB --call-cpu 2s my-env.wasm")]
pub(super) struct Serve {
    /// Component files, environments' folders, or folders of those
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    listen: ListenFlags,

    /// Serve the environments that are fine, even if others are not
    #[arg(long)]
    keep_going: bool,

    #[command(flatten)]
    environments: EnvironmentFlags,

    #[command(flatten)]
    admission: AdmissionFlags,

    #[command(flatten)]
    session: SessionFlags,

    #[command(flatten)]
    keeping: KeepingFlags,

    #[command(flatten)]
    server: ServerFlags,

    #[command(flatten)]
    walls: WallFlags,
}

impl Serve {
    /// Up to the walls there is one thread, which sees the whole machine and
    /// runs nothing of a guest's; beyond them it is the other way round.
    pub(super) fn run(self, log: &mut Log) -> Result<Ending, Failure> {
        let places = self.environments.resolve()?;
        let admission = self.admission.resolve();
        let limits = self.session.resolve();
        let mut server = self.server.resolve();
        let keeping = self.keeping.resolve(self.listen.listen)?;
        let door = self.door()?;
        server.max_connections = descriptors::share(server.max_connections);
        let threads = host::threads();
        let address = self.listen.listen;
        // Somebody whose port is taken should not wait for a build to learn of
        // it. Taken for good only when there is something to serve: until then
        // clients are refused, and not left hanging.
        drop(host::claim(address)?);
        let mut gathered = source::gather(&self.paths, &places, &|text| tracing::info!("{text}"))
            .map_err(host::one_data)?;
        if keeping.state.is_some() {
            keep::digest_data(&mut gathered, &places.cache)?;
        }
        let mut settings = host::settings(limits, server.max_sessions);
        keep::make_room(&keeping, &mut settings);
        let ready = host::prepare(gathered, &places, admission, limits, settings)?;
        let socket = host::claim(address)?;
        let scratch = Scratch::make()?;
        let kept = Kept::open(&keeping, &ready, limits)?;
        let keys = self.listen.api_keys.as_deref();
        let needs = wall::needs(ready.prepared(), keys, kept.dir(), &scratch);
        wall::raise(self.walls.walls, &needs)?;
        log.queue();
        let runtime = runtime(threads)?;
        let ended = runtime.block_on(async {
            let loaded = self.judge(ready.open().await?)?;
            let stop = stop()?;
            let listener = host::open_door(address, socket)?;
            let address = listener.local_addr()?;
            match &door.keys {
                Some(keys) => tracing::info!(keys = keys.count(), "a key is asked for"),
                None if self.listen.listen.is_public() => tracing::warn!(
                    "{address} can be reached from other machines, and without --api-keys whoever \
                     reaches it may use it"
                ),
                None => {}
            }
            terminal::print(&format!("orwd is listening on http://{address}\n"))?;
            host::serve(listener, loaded, server, kept, door, stop).await?;
            tracing::info!("stopped");
            Ok(())
        });
        // A guest's file operation may still hang; nobody waits for it.
        runtime.shutdown_background();
        ended.map(|()| Ending::Fine)
    }

    /// Whom the server lets in.
    fn door(&self) -> Result<Door, Failure> {
        let ListenFlags {
            listen,
            api_keys,
            wrong_keys,
            max_sessions_per_key,
            max_calls_per_key,
            allow_host,
        } = &self.listen;
        let keys = match api_keys {
            Some(path) => {
                Some(orwd_ors::ApiKeys::open(path).map_err(|error| keys::unusable(path, &error))?)
            }
            None => None,
        };
        let hosts = if listen.is_public() && allow_host.is_empty() {
            orwd_ors::AllowedHosts::Any
        } else {
            orwd_ors::AllowedHosts::Loopback {
                also: allow_host.clone(),
            }
        };
        let count = |most: u32| usize::try_from(most).unwrap_or(usize::MAX);
        Ok(Door {
            hosts,
            keys,
            wrong_keys: *wrong_keys,
            per_key: PerKey {
                sessions: max_sessions_per_key.map(count),
                calls: max_calls_per_key.map(count),
            },
        })
    }

    /// Whether there is enough to serve.
    fn judge(&self, loaded: Loaded) -> Result<Loaded, Failure> {
        if loaded.problems.is_empty() {
            return Ok(loaded);
        }
        let mut message = host::all(&loaded.problems);
        if self.keep_going && !loaded.environments.is_empty() {
            for problem in &loaded.problems {
                tracing::error!("not served: {problem}");
            }
            return Ok(loaded);
        }
        if !loaded.environments.is_empty() {
            message.push_str("\nthe other environments are fine: --keep-going serves them");
        }
        Err(Failure::new(message))
    }
}

/// Ends with the first signal to stop; a second one ends the process.
fn stop() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::new(format!("signals cannot be received: {error}")))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    // Whoever limits the size of files means writes to fail, and not this
    // process to end. To listen once is enough.
    drop(listen(SignalKind::from_raw(Number::XFSZ.as_raw()))?);
    Ok(async move {
        either(&mut interrupt, &mut terminate).await;
        tracing::info!("stopping: running calls may finish; once more to stop at once");
        tokio::spawn(async move {
            let code = either(&mut interrupt, &mut terminate).await;
            tracing::warn!("stopped at once");
            std::process::exit(code);
        });
    })
}

/// Waits for a signal, and gives the exit code that tells of it.
async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    }
}
