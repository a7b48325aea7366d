//! What a guest may reach, and where the results of its requests come from.

use std::collections::VecDeque;
use std::sync::Arc;

use orwd_model::{HttpExchange, HttpPort};
use tokio::sync::{mpsc, oneshot};

/// What an environment may reach.
#[derive(Clone, Debug, Default)]
pub enum NetworkAccess {
    /// Its manifest asks for nothing.
    #[default]
    NotRequested,
    /// Its manifest asks for something, and the operator allows nothing of it.
    NotAllowed,
    /// What both grant.
    Granted {
        /// Sends requests.
        port: Arc<dyn HttpPort>,
        /// Both the manifest and the operator permit that guests with secrets in
        /// their memory make requests.
        secrets_in_guest: bool,
        /// Requests may be sent twice, with an idempotency key of ours.
        retry_safe: bool,
    },
}

/// A result that is to be recorded.
#[derive(Debug)]
pub struct ExchangeToRecord {
    /// The request and its result.
    pub exchange: HttpExchange,
    /// Told when it is recorded. Until then the guest waits.
    pub recorded: oneshot::Sender<()>,
}

/// Where the results of the requests of an entry come from.
#[derive(Debug, Default)]
pub enum HttpMode {
    /// There are none yet: the session is not recorded before it is open.
    #[default]
    Closed,
    /// From the record alone.
    Replay(VecDeque<HttpExchange>),
    /// From the network.
    Live(LiveHttp),
}

/// How requests are made that are not in the record.
#[derive(Debug)]
pub struct LiveHttp {
    /// What is recorded of an earlier attempt at the entry.
    pub made: VecDeque<HttpExchange>,
    /// There was an earlier attempt, so the first request that is not recorded may
    /// have been sent.
    pub in_doubt: bool,
    /// Gets what is to be recorded.
    pub recorder: mpsc::Sender<ExchangeToRecord>,
}

/// The guest cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum HttpFault {
    /// A replay made a request that was not made before.
    #[error("the request is not the recorded one")]
    Diverged,
    /// The result could not be recorded.
    #[error("the result of a request could not be recorded")]
    NotRecorded,
    /// The host cannot send requests.
    #[error("the host cannot send requests at the moment")]
    Unavailable,
}
