//! The broker's side: reads requests, sends each, and returns its result.

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use orwd_model::{HttpError, HttpErrorCode, HttpResult};
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::broker::config::BrokerConfig;
use crate::broker::frame::{self, BrokerEvent, ResultMessage, SecretsMessage, SendMessage};
use crate::http::sender::Sender;
use crate::http::tls;

/// The broker cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The serving process cannot be reached.
    #[error("the network broker cannot be reached: {0}")]
    Io(#[from] io::Error),
    /// TLS cannot be set up.
    #[error("the network broker cannot use TLS: {0}")]
    Tls(String),
    /// The process did not start.
    #[error("the network broker does not start: {0}")]
    Start(String),
}

/// Serves the process that started this one, at the other end of the stream, until
/// it ends. `harden` gives up everything but connections to these TCP ports and
/// questions to name servers, and says what it gave up.
pub fn serve(
    mut stream: UnixStream,
    harden: impl FnOnce(&[u16]) -> Result<String, String>,
) -> Result<(), BrokerError> {
    let config: BrokerConfig = frame::read_blocking(&mut stream)?.decode()?;
    let tls = tls::config(&config.authorities()).map_err(BrokerError::Tls)?;
    let sender = Sender {
        resolver: config.resolver.clone(),
        tls,
        limits: config.limits,
    };
    stream.set_nonblocking(true)?;
    // What it needs of the system is created before hardening.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    runtime.block_on(async { ignore_stops() })?;
    let hardening = harden(&config.ports()).map_err(BrokerError::Start)?;
    runtime.block_on(run(config, sender, stream, hardening))
}

/// Keeps this process when a terminal or a service manager stops all processes of
/// the server: calls of the draining server may still make requests. It ends with
/// the server.
pub(super) fn ignore_stops() -> io::Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        // The handler stays after its receiver is gone.
        drop(signal(kind)?);
    }
    Ok(())
}

pub(crate) async fn run(
    config: BrokerConfig,
    sender: Sender,
    stream: UnixStream,
    hardening: String,
) -> Result<(), BrokerError> {
    let stream = tokio::net::UnixStream::from_std(stream)?;
    let (mut requests, mut results) = stream.into_split();
    results
        .write_all(&frame::encode(0, &BrokerEvent::Ready { hardening })?)
        .await?;
    let remembered = config.limits.at_once.saturating_mul(2);
    let permits = Arc::new(Semaphore::new(config.limits.at_once));
    let shared = Arc::new((config, sender));
    let (finished, mut to_write) = mpsc::channel::<Vec<u8>>(1);
    let write = async move {
        while let Some(bytes) = to_write.recv().await {
            results.write_all(&bytes).await?;
        }
        io::Result::Ok(())
    };
    let read = async move {
        let mut running: HashMap<u64, AbortHandle> = HashMap::new();
        while let Some(message) = frame::read(&mut requests).await? {
            let id = message.id;
            if message.is_cancellation() {
                if let Some(task) = running.remove(&id) {
                    task.abort();
                }
                continue;
            }
            // The other process sends no more at once, and ends what it no longer
            // awaits before it sends the next one. Held until the result is
            // written, so that results do not pile up.
            let Ok(permit) = permits.clone().acquire_owned().await else {
                return Ok(());
            };
            let message: SendMessage = message.decode()?;
            let (shared, finished) = (shared.clone(), finished.clone());
            let task = tokio::spawn(async move {
                let (config, sender) = &*shared;
                let result = send(config, sender, message).await;
                let bytes = frame::encode(id, &ResultMessage { result });
                if let Ok(bytes) = bytes.or_else(|_| too_large(id)) {
                    // The writer is gone with the other process.
                    let _ = finished.send(bytes).await;
                }
                drop(permit);
            });
            if running.len() >= remembered {
                running.retain(|_, task| !task.is_finished());
            }
            running.insert(id, task.abort_handle());
        }
        io::Result::Ok(())
    };
    tokio::select! {
        done = read => done?,
        done = write => done?,
    }
    Ok(())
}

/// Returns the result of a response that is no message.
fn too_large(id: u64) -> io::Result<Vec<u8>> {
    let error = HttpError::new(HttpErrorCode::Limit, "the response is too large");
    frame::encode(id, &ResultMessage { result: Err(error) })
}

async fn send(config: &BrokerConfig, sender: &Sender, message: SendMessage) -> HttpResult {
    let secrets = message.secrets.map(SecretsMessage::into_secrets);
    let secrets = secrets.unwrap_or_default();
    match config.grant(message.grant) {
        Some(grant) => sender.send(grant, message.request, &secrets).await,
        None => Err(HttpError::new(
            HttpErrorCode::NotGranted,
            "the environment has no grant",
        )),
    }
}
