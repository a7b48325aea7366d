//! The journal of a host: the interface for sessions. It is cheap to clone, and
//! none of its functions blocks a thread that serves.

use std::fmt;
use std::sync::Arc;

use orwd_model::{Digest, Secrets, SessionId};
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::error::JournalError;
use crate::history::{self, EpisodeHistory, EpisodePages, EpisodeStep, ScannedRecord};
use crate::receipt::{Receipt, ReceiptSigner};
use crate::record::{ChainLink, CreatedRecord, EndedRecord, EpisodeId, Record, SealedSecrets};
use crate::sealing::{ContentPolicy, SealKey};
use crate::store::{
    AppendEntry, DiskSpace, EpisodeFilter, ImportOrigin, IndexChange, IndexedEpisode, JournalStore,
    SqliteStore, UsageLedger,
};
use crate::writer::{self, EpisodeWriter, PendingCommit, Sender, WriteBudget, WriterMetrics};
use orwd_model::Durability;

/// Words that are written to find out whether writing works: more than what a new
/// session writes, so that a disk with less space counts as full.
const PROBE_WORDS: usize = 4 << 10;

/// The journal of a host. Clones share it.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    /// `None` if no journal is kept.
    backend: Option<Backend>,
    durability: Durability,
    seal: Option<Arc<SealKey>>,
    signer: ReceiptSigner,
    budget: WriteBudget,
    metrics: WriterMetrics,
    /// Admits those that read many records.
    readers: Arc<Semaphore>,
}

struct Backend {
    store: Arc<dyn JournalStore>,
    queue: Sender,
    stopped: watch::Receiver<Option<String>>,
}

impl Journal {
    /// Creates a journal that stores nothing.
    pub fn disabled() -> Journal {
        Journal(Arc::new(Inner {
            backend: None,
            durability: Durability::None,
            seal: None,
            signer: ReceiptSigner::random(),
            budget: WriteBudget::new(),
            metrics: WriterMetrics::new(),
            readers: readers(),
        }))
    }

    /// Creates the journal over a store that was opened with this durability.
    /// Receipts are signed with the key in its state directory.
    pub fn with_state(
        store: SqliteStore,
        durability: Durability,
        seal: Option<SealKey>,
    ) -> Result<Journal, JournalError> {
        let signer = ReceiptSigner::open(store.dir())?;
        Journal::with_signer(store, durability, seal, signer)
    }

    /// Creates the journal over a store that was opened with this durability.
    /// Receipts are signed with a random key.
    pub fn with_store(
        store: impl JournalStore,
        durability: Durability,
        seal: Option<SealKey>,
    ) -> Result<Journal, JournalError> {
        Journal::with_signer(store, durability, seal, ReceiptSigner::random())
    }

    /// Creates the journal over a store, with the key that signs receipts.
    pub(crate) fn with_signer(
        store: impl JournalStore,
        durability: Durability,
        seal: Option<SealKey>,
        signer: ReceiptSigner,
    ) -> Result<Journal, JournalError> {
        let store: Arc<dyn JournalStore> = Arc::new(store);
        let (stop, stopped) = watch::channel(None);
        let metrics = WriterMetrics::new();
        let queue = writer::start(Arc::clone(&store), stop, metrics.clone())?;
        Ok(Journal(Arc::new(Inner {
            backend: Some(Backend {
                store,
                queue,
                stopped,
            }),
            durability,
            seal: seal.map(Arc::new),
            signer,
            budget: WriteBudget::new(),
            metrics,
            readers: readers(),
        })))
    }

    /// Adds what the journal counts to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Returns what an acknowledged record survives.
    pub fn durability(&self) -> Durability {
        self.0.durability
    }

    /// Begins an episode: writes its first record. The caller draws the id, since
    /// secrets are sealed for it before.
    pub fn begin(
        &self,
        episode: EpisodeId,
        created: CreatedRecord,
    ) -> (EpisodeWriter, PendingCommit) {
        self.begin_fork(episode, created, None)
    }

    /// Begins an episode that is forked from one of this origin. Its records up to
    /// the number in the origin are copies of records that this host did not run.
    pub fn begin_fork(
        &self,
        episode: EpisodeId,
        created: CreatedRecord,
        import: Option<ImportOrigin>,
    ) -> (EpisodeWriter, PendingCommit) {
        let policy = self.content_policy(episode, &created);
        let queue = self.queue(created.owner.as_deref());
        let mut writer = EpisodeWriter::new(episode, queue, self.0.budget.clone(), policy);
        let commit = writer.append_first(&Record::Created(Box::new(created)), import);
        (writer, commit)
    }

    /// Creates a writer that continues after the last record of a history.
    pub fn resume(&self, history: &EpisodeHistory) -> EpisodeWriter {
        let policy = self.content_policy(history.episode(), history.created());
        let queue = self.queue(history.created().owner.as_deref());
        EpisodeWriter::after(history, queue, self.0.budget.clone(), policy)
    }

    /// Ends an episode that no writer has, without reading its records. Succeeds if
    /// it has ended.
    pub async fn end(&self, episode: EpisodeId, ended: EndedRecord) -> Result<(), JournalError> {
        let index = self.episode(episode).await?;
        let index = index.ok_or(JournalError::Unknown(episode))?;
        if !index.is_live() {
            return Ok(());
        }
        let queue = self.queue(index.header.owner.as_deref());
        let budget = self.0.budget.clone();
        let mut writer = EpisodeWriter::after_last(&index, queue, budget);
        writer.append(&Record::Ended(ended)).await
    }

    fn queue(&self, owner: Option<&str>) -> Option<Sender> {
        let backend = self.0.backend.as_ref();
        backend.map(|backend| backend.queue.for_owner(owner))
    }

    fn content_policy(&self, episode: EpisodeId, created: &CreatedRecord) -> ContentPolicy {
        ContentPolicy::of(created, episode, self.0.seal.as_ref())
    }

    /// Reads and checks the history of an episode, unsealed if the key fits.
    pub async fn history(&self, episode: EpisodeId) -> Result<EpisodeHistory, JournalError> {
        self.history_with(episode, |_, _| true).await
    }

    /// The same for a history of which `keep` decides what is kept. It gets each
    /// record after the first, which it may change, and the steps so far, of
    /// which it may drop some or their content. A record is left out if it returns `false`;
    /// then so must be the outcome of a request.
    pub async fn history_with(
        &self,
        episode: EpisodeId,
        mut keep: impl FnMut(&mut Record, &mut Vec<EpisodeStep>) -> bool + Send + 'static,
    ) -> Result<EpisodeHistory, JournalError> {
        let key = self.0.seal.clone();
        self.run_reading(move |store| history::read_history(store, episode, key, &mut keep))
            .await
    }

    /// Reads and checks the records of an episode one by one, unsealed if the key
    /// fits. Returns the state into which `visit` takes what it needs of them.
    pub async fn scan<T: Send + 'static>(
        &self,
        episode: EpisodeId,
        mut state: T,
        mut visit: impl FnMut(&mut T, ScannedRecord) + Send + 'static,
    ) -> Result<T, JournalError> {
        let key = self.0.seal.clone();
        self.run_reading(move |store| -> Result<T, JournalError> {
            history::scan(store, episode, key, &mut |record| {
                visit(&mut state, record);
                Ok(())
            })?;
            Ok(state)
        })
        .await
    }

    /// Begins to read the records of an episode in pages, unsealed if the key fits.
    pub async fn pages(&self, episode: EpisodeId) -> Result<EpisodePages, JournalError> {
        let key = self.0.seal.clone();
        self.run_reading(move |store| EpisodePages::open(store, episode, key))
            .await
    }

    /// Reads the next page: at least one record, until their bytes exceed `bytes`.
    /// None at the end.
    pub async fn next_page(
        &self,
        mut pages: EpisodePages,
        bytes: usize,
    ) -> Result<(EpisodePages, Vec<ScannedRecord>), JournalError> {
        self.run_reading(move |store| -> Result<_, JournalError> {
            let records = pages.read(store, bytes)?;
            Ok((pages, records))
        })
        .await
    }

    /// Continues with the record in this slot.
    pub async fn skip_to(
        &self,
        mut pages: EpisodePages,
        seq: u64,
    ) -> Result<EpisodePages, JournalError> {
        self.run_reading(move |store| pages.skip_to(store, seq).map(|()| pages))
            .await
    }

    /// Lists the live episodes, newest first.
    pub async fn live(&self) -> Result<Vec<IndexedEpisode>, JournalError> {
        self.list(EpisodeFilter {
            live: true,
            ..EpisodeFilter::default()
        })
        .await
    }

    /// Lists the matching episodes, newest first.
    pub async fn list(&self, filter: EpisodeFilter) -> Result<Vec<IndexedEpisode>, JournalError> {
        if self.0.backend.is_none() {
            return Ok(Vec::new());
        }
        self.run_blocking(move |store| store.list(&filter)).await
    }

    /// Finds the newest episode of this owner and session id, live or ended.
    pub async fn find(
        &self,
        owner: Option<&str>,
        session: &SessionId,
    ) -> Result<Option<IndexedEpisode>, JournalError> {
        if self.0.backend.is_none() {
            return Ok(None);
        }
        let (owner, session) = (owner.map(str::to_owned), session.clone());
        self.run_blocking(move |store| store.find(owner.as_deref(), &session))
            .await
    }

    /// Looks up an episode in the index.
    pub async fn episode(
        &self,
        episode: EpisodeId,
    ) -> Result<Option<IndexedEpisode>, JournalError> {
        if self.0.backend.is_none() {
            return Ok(None);
        }
        self.run_blocking(move |store| store.episode(episode)).await
    }

    /// Begins episodes that share the records of another, from slot 1 up to
    /// `upto`. Returns one result for each child. The content of children with
    /// secrets must be sealed for the same episode as that of their parent.
    ///
    /// # Errors
    ///
    /// [`JournalError::Unknown`] if the parent does not have these records.
    pub async fn fork(
        &self,
        parent: EpisodeId,
        upto: u64,
        children: Vec<(EpisodeId, CreatedRecord, Option<ImportOrigin>)>,
    ) -> Result<Vec<Result<(), JournalError>>, JournalError> {
        let seal = self.0.seal.clone();
        self.run_reading(move |store| -> Result<_, JournalError> {
            let children = children
                .into_iter()
                .map(|(episode, created, import)| {
                    let policy = ContentPolicy::of(&created, episode, seal.as_ref());
                    let record = Record::Created(Box::new(created));
                    let record = policy.apply(&record, episode, 0)?;
                    let initial = ChainLink::initial(episode);
                    let mut entry = AppendEntry::new(episode, 0, initial, &record);
                    if let IndexChange::Begin(header) = &mut entry.change {
                        header.import = import;
                    }
                    Ok(entry)
                })
                .collect::<Result<Vec<AppendEntry>, JournalError>>()?;
            let results = store.fork(parent, upto, &children)?;
            let results = results.ok_or(JournalError::Unknown(parent))?;
            let results = children.iter().zip(results);
            Ok(results.map(|(child, result)| child.check(result)).collect())
        })
        .await
    }

    /// Returns the bytes on disk of each owner's episodes; `None` if no journal is
    /// kept.
    pub fn usage(&self) -> Option<&UsageLedger> {
        let backend = self.0.backend.as_ref();
        backend.map(|backend| backend.store.usage())
    }

    /// Measures the disk space of the journal. Space in the database that is not
    /// used is available.
    pub(crate) async fn space(&self) -> Result<DiskSpace, JournalError> {
        self.run_blocking(|store| store.space()).await
    }

    /// Returns the ended episodes of an owner, the one that ended first first.
    pub(crate) async fn oldest_ended(
        &self,
        owner: Option<&str>,
        limit: u32,
    ) -> Result<Vec<EpisodeId>, JournalError> {
        let owner = owner.map(str::to_owned);
        self.run_blocking(move |store| store.oldest_ended(owner.as_deref(), limit))
            .await
    }

    /// Removes an episode with all its records.
    pub async fn purge(&self, episode: EpisodeId) -> Result<(), JournalError> {
        self.run_blocking(move |store| store.purge(episode)).await
    }

    /// Returns the host's secret key of this name. It is drawn on first use and
    /// stored in the journal; without a journal it is drawn each time.
    pub async fn host_key(&self, name: &'static str) -> Result<[u8; 32], JournalError> {
        let fresh: [u8; 32] = rand::random();
        if self.0.backend.is_none() {
            return Ok(fresh);
        }
        let key = self
            .run_blocking(move |store| store.get_or_insert(&format!("key {name}"), &fresh))
            .await?;
        key.try_into().map_err(|_| {
            JournalError::Io(format!(
                "the key {name:?} in the journal has the wrong length"
            ))
        })
    }

    /// Writes to the store, to find out whether it can be written.
    pub async fn check_writable(&self) -> Result<(), JournalError> {
        if self.0.backend.is_none() {
            return Ok(());
        }
        self.run_blocking(|store| {
            // SQLite writes no page that stays the same.
            let value = rand::random::<u64>().to_le_bytes().repeat(PROBE_WORDS);
            store.set_value("probe", &value)?;
            store.checkpoint()
        })
        .await
    }

    /// Seals secrets for an episode on this component.
    pub fn seal(
        &self,
        secrets: &Secrets,
        episode: EpisodeId,
        component: Digest,
    ) -> Result<SealedSecrets, JournalError> {
        match &self.0.seal {
            _ if secrets.is_empty() => Ok(SealedSecrets::None),
            Some(key) => key
                .seal(secrets, episode, component)
                .map(SealedSecrets::Sealed),
            None => Ok(SealedSecrets::Withheld),
        }
    }

    /// Unseals the secrets of an episode.
    pub fn unseal(&self, history: &EpisodeHistory) -> Result<Secrets, JournalError> {
        self.unseal_created(history.episode(), history.created())
    }

    /// Unseals the secrets of an episode with this first record.
    pub fn unseal_created(
        &self,
        episode: EpisodeId,
        created: &CreatedRecord,
    ) -> Result<Secrets, JournalError> {
        let key = self.0.seal.as_deref();
        created.secrets.open(key, episode, created.component)
    }

    /// Signs a receipt for what this host ran of an episode so far.
    ///
    /// # Errors
    ///
    /// [`JournalError::Imported`] if it ran nothing of it.
    pub async fn receipt(&self, episode: EpisodeId) -> Result<Receipt, JournalError> {
        self.receipt_holding(episode, ()).await
    }

    /// The same; `permit` is kept until the history has been read, even if the
    /// caller does not wait for it.
    pub async fn receipt_holding(
        &self,
        episode: EpisodeId,
        permit: impl Send + 'static,
    ) -> Result<Receipt, JournalError> {
        let (seal, signer) = (self.0.seal.clone(), self.0.signer.clone());
        self.run_reading(move |store| {
            let _permit = permit;
            Receipt::sign_stored(store, episode, seal, &signer)
        })
        .await
    }

    /// Returns the keys of the receipts that came with an imported episode.
    pub async fn receipt_keys(&self, episode: EpisodeId) -> Result<Vec<String>, JournalError> {
        self.run_blocking(move |store| store.receipt_keys(episode))
            .await
    }

    /// Returns the value of this name. Stores `fresh` first if there is none.
    pub async fn value(&self, name: &'static str, fresh: Vec<u8>) -> Result<Vec<u8>, JournalError> {
        self.run_blocking(move |store| store.get_or_insert(name, &fresh))
            .await
    }

    /// Stores a value under this name, in place of an earlier one.
    pub async fn set_value(&self, name: &'static str, value: Vec<u8>) -> Result<(), JournalError> {
        self.run_blocking(move |store| store.set_value(name, &value))
            .await
    }

    /// Resolves with the reason when the journal has stopped: after a failed sync,
    /// or because it was closed. Never resolves without a journal.
    pub async fn stopped(&self) -> String {
        let Some(backend) = &self.0.backend else {
            return std::future::pending().await;
        };
        let mut stopped = backend.stopped.clone();
        let why = match stopped.wait_for(Option::is_some).await {
            Ok(why) => why.clone(),
            Err(_) => None,
        };
        why.unwrap_or_else(|| "its thread has ended".to_owned())
    }

    /// Commits the queued records and closes the store. Nothing can be read or
    /// written afterwards.
    pub async fn close(&self) {
        let Some(backend) = &self.0.backend else {
            return;
        };
        let (reply, closed) = oneshot::channel();
        if backend.queue.close(reply) {
            // The thread may have ended before; then there is nothing to wait for.
            let _ = closed.await;
        }
    }

    /// Runs what reads and hashes many records, beside few others of its kind.
    async fn run_reading<T, E>(
        &self,
        call: impl FnOnce(&dyn JournalStore) -> Result<T, E> + Send + 'static,
    ) -> Result<T, JournalError>
    where
        T: Send + 'static,
        E: Into<JournalError> + Send + 'static,
    {
        // Never closed. Kept until the end, even if nobody waits for that.
        let permit = self.0.readers.clone().acquire_owned().await;
        self.run_blocking(move |store| {
            let _permit = permit;
            call(store)
        })
        .await
    }

    /// Calls the store on a thread that may block.
    async fn run_blocking<T, E>(
        &self,
        call: impl FnOnce(&dyn JournalStore) -> Result<T, E> + Send + 'static,
    ) -> Result<T, JournalError>
    where
        T: Send + 'static,
        E: Into<JournalError> + Send + 'static,
    {
        let backend = self.0.backend.as_ref().ok_or(JournalError::Disabled)?;
        let store = Arc::clone(&backend.store);
        let result = tokio::task::spawn_blocking(move || call(&*store)).await;
        match result {
            Ok(result) => result.map_err(Into::into),
            Err(error) => Err(JournalError::Io(format!(
                "a call of the store was aborted: {error}"
            ))),
        }
    }
}

/// Creates the permits of readers: for half of the processors, so that calls find
/// the others free while long histories are read.
fn readers() -> Arc<Semaphore> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new((processors / 2).max(1)))
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journal({})", self.0.durability)
    }
}
