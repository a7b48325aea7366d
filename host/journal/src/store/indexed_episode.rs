//! An episode as the index has it.

use orwd_model::{Digest, EnvName, SessionId, Timestamp};

use super::import_origin::ImportOrigin;
use crate::record::{ChainLink, EpisodeId};

/// What the index stores of an episode's first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpisodeHeader {
    /// The name of the owner; `None` if the server requires no API keys.
    pub owner: Option<String>,
    /// The session id on the wire.
    pub session: SessionId,
    /// The environment.
    pub environment: EnvName,
    /// The version of the environment.
    pub component: Digest,
    /// When the session was created.
    pub created: Timestamp,
    /// Where it comes from, if this host did not run all of it.
    pub import: Option<ImportOrigin>,
}

/// An episode in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedEpisode {
    /// The id.
    pub id: EpisodeId,
    /// What its first record says.
    pub header: EpisodeHeader,
    /// Whether it has ended.
    pub state: EpisodeState,
    /// The slot of its last record.
    pub head: u64,
    /// The link of its last record.
    pub tip: ChainLink,
}

/// Whether an episode has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpisodeState {
    /// It has not ended.
    Live,
    /// It ended at this time.
    Ended(Timestamp),
}

impl IndexedEpisode {
    /// Whether the episode has not ended.
    pub fn is_live(&self) -> bool {
        self.state == EpisodeState::Live
    }
}
