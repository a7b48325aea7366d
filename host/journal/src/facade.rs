//! The journal as sessions know it: cheap to clone, and never in the way of a
//! thread that serves.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use super::error::JournalError;
use super::history::History;
use super::id::EpisodeId;
use super::memory::MemoryStore;
use super::pen::{Pen, Ticket};
use super::queue::Sender;
use super::receipt::{Receipt, ReceiptKey, Signer};
use super::record::{Created, Record, SealedSecrets};
use super::seal::SealKey;
use super::sqlite::SqliteStore;
use super::store::{Episode, Filter, Store};
use super::veil::Veil;
use super::writer;
use orwd_model::{Secrets, SessionId};

/// What has to have happened to a record before its ticket resolves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The kernel has it: it survives the death of the host, and not that of
    /// the machine.
    #[default]
    Process,
    /// The disk has it: it survives the loss of power.
    Power,
    /// Nothing is kept.
    None,
}

impl Durability {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Process => "process",
            Durability::Power => "power",
            Durability::None => "none",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a journal is kept.
#[derive(Debug)]
pub struct JournalConfig {
    /// The directory of state; made if there is none.
    pub dir: PathBuf,
    /// What a record has to have come through.
    pub durability: Durability,
    /// What secrets are sealed with; without it they are withheld.
    pub seal: Option<SealKey>,
}

/// The journal of a host. Clones share it.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    /// None if nothing is kept.
    kept: Option<Kept>,
    durability: Durability,
    seal: Option<Arc<SealKey>>,
    signer: Signer,
}

struct Kept {
    store: Arc<dyn Store>,
    queue: Sender,
    stopped: watch::Receiver<Option<String>>,
}

impl Journal {
    /// A journal that keeps nothing, and says so.
    pub fn off() -> Journal {
        Journal(Arc::new(Inner {
            kept: None,
            durability: Durability::None,
            seal: None,
            signer: Signer::random(),
        }))
    }

    /// The journal of a directory of state, which this host then has for
    /// itself. Reads its whole index, and nothing of its records.
    pub fn open(config: JournalConfig) -> Result<Journal, JournalError> {
        if config.durability == Durability::None {
            return Ok(Journal::off());
        }
        let store = SqliteStore::open(&config.dir, config.durability)?;
        Journal::of_state(store, config.durability, config.seal)
    }

    /// The journal of a directory of state that is open already, for this
    /// durability. Receipts are signed with the key in that directory.
    pub fn of_state(
        store: SqliteStore,
        durability: Durability,
        seal: Option<SealKey>,
    ) -> Result<Journal, JournalError> {
        let signer = Signer::open(store.dir())?;
        Journal::with(store, durability, seal, signer)
    }

    /// A journal that is gone with the process.
    pub fn in_memory(seal: Option<SealKey>) -> Result<Journal, JournalError> {
        Journal::over(MemoryStore::new(), Durability::Process, seal)
    }

    /// A journal over this store, which was opened for this durability.
    /// Receipts are signed with a key that is gone with the process.
    pub fn over(
        store: impl Store,
        durability: Durability,
        seal: Option<SealKey>,
    ) -> Result<Journal, JournalError> {
        Journal::with(store, durability, seal, Signer::random())
    }

    fn with(
        store: impl Store,
        durability: Durability,
        seal: Option<SealKey>,
        signer: Signer,
    ) -> Result<Journal, JournalError> {
        let store: Arc<dyn Store> = Arc::new(store);
        let (tell, stopped) = watch::channel(None);
        let queue = writer::start(Arc::clone(&store), tell)?;
        Ok(Journal(Arc::new(Inner {
            kept: Some(Kept {
                store,
                queue,
                stopped,
            }),
            durability,
            seal: seal.map(Arc::new),
            signer,
        })))
    }

    /// What has to have happened before a ticket resolves.
    pub fn durability(&self) -> Durability {
        self.0.durability
    }

    /// Begins an episode: writes its first record. The id is drawn before,
    /// since secrets are sealed for it.
    pub fn begin(&self, episode: EpisodeId, created: Created) -> (Pen, Ticket) {
        let mut pen = Pen::new(episode, self.queue(), self.veil(&created));
        let ticket = pen.append(&Record::Created(Box::new(created)));
        (pen, ticket)
    }

    /// Goes on after the last record of a history.
    pub fn resume(&self, history: &History) -> Pen {
        let veil = self.veil(history.created());
        Pen::after(history, self.queue(), veil)
    }

    fn queue(&self) -> Option<Sender> {
        self.0.kept.as_ref().map(|kept| kept.queue.clone())
    }

    fn veil(&self, created: &Created) -> Veil {
        Veil::of(&created.secrets, self.0.seal.as_ref())
    }

    /// Everything that is written down of an episode, checked, and open as far
    /// as there is a key.
    pub async fn history(&self, episode: EpisodeId) -> Result<History, JournalError> {
        let key = self.0.seal.clone();
        self.ask(move |store| -> Result<History, JournalError> {
            let index = store.episode(episode)?;
            let index = index.ok_or(JournalError::Unknown(episode))?;
            let mut history = History::read_all(&index, &store.read(episode, 0)?)?;
            if let (Some(key), SealedSecrets::Sealed(sealed)) = (key, &history.created().secrets)
                // With another key it stays closed, and can still be ended.
                && key.unseal(sealed, episode).is_ok()
            {
                history.unseal(&key)?;
            }
            Ok(history)
        })
        .await
    }

    /// The live episodes, newest first.
    pub async fn live(&self) -> Result<Vec<Episode>, JournalError> {
        self.list(Filter {
            live: true,
            ..Filter::default()
        })
        .await
    }

    /// The episodes that fit, newest first.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Episode>, JournalError> {
        if self.0.kept.is_none() {
            return Ok(Vec::new());
        }
        self.ask(move |store| store.list(&filter)).await
    }

    /// The newest episode of this owner and session id, live or ended.
    pub async fn find(
        &self,
        owner: Option<&str>,
        session: &SessionId,
    ) -> Result<Option<Episode>, JournalError> {
        if self.0.kept.is_none() {
            return Ok(None);
        }
        let (owner, session) = (owner.map(str::to_owned), session.clone());
        self.ask(move |store| store.find(owner.as_deref(), &session))
            .await
    }

    /// What the index says of an episode.
    pub async fn episode(&self, episode: EpisodeId) -> Result<Option<Episode>, JournalError> {
        if self.0.kept.is_none() {
            return Ok(None);
        }
        self.ask(move |store| store.episode(episode)).await
    }

    /// Removes an episode with all its records.
    pub async fn forget(&self, episode: EpisodeId) -> Result<(), JournalError> {
        self.ask(move |store| store.forget(episode)).await
    }

    /// A key of this name that is the same for as long as the journal is kept,
    /// and that nobody else knows: drawn when it is first asked for. Without a
    /// journal, drawn each time.
    pub async fn host_key(&self, name: &'static str) -> Result<[u8; 32], JournalError> {
        let fresh: [u8; 32] = rand::random();
        if self.0.kept.is_none() {
            return Ok(fresh);
        }
        let key = self
            .ask(move |store| store.keep(&format!("key {name}"), &fresh))
            .await?;
        key.try_into()
            .map_err(|_| JournalError::Io(format!("the key {name:?} in the journal is none")))
    }

    /// Seals secrets for an episode.
    pub fn seal(
        &self,
        secrets: &Secrets,
        episode: EpisodeId,
    ) -> Result<SealedSecrets, JournalError> {
        match &self.0.seal {
            _ if secrets.is_empty() => Ok(SealedSecrets::None),
            Some(key) => key.seal(secrets, episode).map(SealedSecrets::Sealed),
            None => Ok(SealedSecrets::Withheld),
        }
    }

    /// Opens the secrets of an episode.
    pub fn unseal(
        &self,
        sealed: &SealedSecrets,
        episode: EpisodeId,
    ) -> Result<Secrets, JournalError> {
        sealed.open(self.0.seal.as_deref(), episode)
    }

    /// A receipt for what there is of an episode.
    pub async fn receipt(&self, episode: EpisodeId) -> Result<Receipt, JournalError> {
        let history = self.history(episode).await?;
        Ok(Receipt::sign(&history, &self.0.signer))
    }

    /// What this host's receipts are known by.
    pub fn receipt_key(&self) -> ReceiptKey {
        self.0.signer.key()
    }

    /// Resolves with the reason when the journal has stopped: after a failed
    /// sync, or because it was closed. Without a journal never.
    pub async fn stopped(&self) -> String {
        let Some(kept) = &self.0.kept else {
            return std::future::pending().await;
        };
        let mut stopped = kept.stopped.clone();
        let why = match stopped.wait_for(Option::is_some).await {
            Ok(why) => why.clone(),
            Err(_) => None,
        };
        why.unwrap_or_else(|| "its thread has ended".to_owned())
    }

    /// Writes what is queued and then nothing more. Resolves once the store
    /// has it and is closed: nothing can be read either.
    pub async fn close(&self) {
        let Some(kept) = &self.0.kept else {
            return;
        };
        let (reply, closed) = oneshot::channel();
        if kept.queue.close(reply) {
            // Its thread may have ended before, and then there is nothing to
            // wait for.
            let _ = closed.await;
        }
    }

    /// Asks the store where waiting for the disk is in nobody's way.
    async fn ask<T, E>(
        &self,
        question: impl FnOnce(&dyn Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, JournalError>
    where
        T: Send + 'static,
        E: Into<JournalError> + Send + 'static,
    {
        let kept = self.0.kept.as_ref().ok_or(JournalError::Off)?;
        let store = Arc::clone(&kept.store);
        let answer = tokio::task::spawn_blocking(move || question(&*store)).await;
        match answer {
            Ok(answer) => answer.map_err(Into::into),
            Err(error) => Err(JournalError::Io(format!(
                "the question was dropped: {error}"
            ))),
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journal({})", self.0.durability)
    }
}
