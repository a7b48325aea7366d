//! Appends per second of the journal, compared with plain file appends on the same
//! disk in the same run.
//!
//! ```sh
//! cargo bench -p orwd --bench journal             # a minute
//! cargo bench -p orwd --bench journal -- DIR      # on another disk
//! cargo bench -p orwd --bench journal -- --at-least 0.7   # fails if `power` is below this part of the baseline
//! ```
//!
//! The baseline store appends the bytes of a batch to a file, with one sync if the
//! durability is `power`. It uses the same committing thread, so its batches are
//! grouped in the same way. The two run alternately, and the ratios are medians
//! of the rounds, so that other load of the machine affects both.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its results and stops at the first error"
)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use orwd_journal::{
    AppendEntry, AppendResult, CreatedRecord, CreationContent, DiskSpace, Durability,
    EpisodeFilter, EpisodeId, GuestOutcome, GuestRequest, Hash, ImportedReceipt, IndexedEpisode,
    Journal, JournalStore, OutcomeRecord, Record, RequestRecord, RunIdentity, SealedSecrets,
    SqliteStore, StoreError, StoredRecord, UsageLedger,
};
use orwd_model::{
    Block, ClockMode, Digest, EnvName, Json, RunId, Seed, SessionId, SessionLimits, Timestamp,
    ToolOutput,
};

const ROUNDS: usize = 3;
const ROUND_TIME: Duration = Duration::from_secs(2);

/// A store that appends to a file.
struct BaselineStore {
    file: Mutex<File>,
    durability: Durability,
    usage: UsageLedger,
}

impl BaselineStore {
    fn open(dir: &Path, durability: Durability) -> BaselineStore {
        let name = format!("bare-{:016x}", rand::random::<u64>());
        BaselineStore {
            file: Mutex::new(File::create_new(dir.join(name)).unwrap()),
            durability,
            usage: UsageLedger::default(),
        }
    }
}

impl JournalStore for BaselineStore {
    fn append(&self, batch: &[AppendEntry]) -> Result<Vec<AppendResult>, StoreError> {
        let bytes: Vec<u8> = batch.iter().flat_map(|entry| entry.bytes.clone()).collect();
        let mut file = self.file.lock().unwrap();
        file.write_all(&bytes).unwrap();
        if self.durability == Durability::Power {
            file.sync_data().unwrap();
        }
        Ok(vec![AppendResult::Appended; batch.len()])
    }

    fn read(&self, _: EpisodeId, _: u64) -> Result<Vec<StoredRecord>, StoreError> {
        Ok(Vec::new())
    }

    fn episode(&self, _: EpisodeId) -> Result<Option<IndexedEpisode>, StoreError> {
        Ok(None)
    }

    fn find(&self, _: Option<&str>, _: &SessionId) -> Result<Option<IndexedEpisode>, StoreError> {
        Ok(None)
    }

    fn list(&self, _: &EpisodeFilter) -> Result<Vec<IndexedEpisode>, StoreError> {
        Ok(Vec::new())
    }

    fn get_or_insert(&self, _: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(fresh.to_vec())
    }

    fn set_value(&self, _: &str, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn set_receipts(&self, _: EpisodeId, _: &[ImportedReceipt]) -> Result<(), StoreError> {
        Ok(())
    }

    fn receipts(&self, _: EpisodeId) -> Result<Vec<ImportedReceipt>, StoreError> {
        Ok(Vec::new())
    }

    fn receipt_keys(&self, _: EpisodeId) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn purge(&self, _: EpisodeId) -> Result<(), StoreError> {
        Ok(())
    }

    fn fork(
        &self,
        _: EpisodeId,
        _: u64,
        _: &[AppendEntry],
    ) -> Result<Option<Vec<AppendResult>>, StoreError> {
        Ok(None)
    }

    fn oldest_ended(&self, _: Option<&str>, _: u32) -> Result<Vec<EpisodeId>, StoreError> {
        Ok(Vec::new())
    }

    fn usage(&self) -> &UsageLedger {
        &self.usage
    }

    fn space(&self) -> Result<DiskSpace, StoreError> {
        Ok(DiskSpace::UNLIMITED)
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn json(text: &str) -> Json {
    Json::object(text.to_owned()).unwrap()
}

fn created(session: &str) -> CreatedRecord {
    CreatedRecord {
        owner: None,
        session: SessionId::new(session).unwrap(),
        environment: EnvName::new("counter").unwrap(),
        component: Digest::of(b"component"),
        data: None,
        observed: None,
        mode: orwd_model::DataMode::Session,
        task: json(r#"{"target":3}"#),
        seed: Seed::new(7),
        start: Timestamp::from_nanos(1_700_000_000_000_000_000),
        clock: ClockMode::Virtual,
        limits: SessionLimits::default(),
        host_version: "0".to_owned(),
        engine: "none".to_owned(),
        secrets: SealedSecrets::None,
        request: Hash::of(b""),
        toolset: None,
        parent: None,
        content: CreationContent::Plain,
        sealed_for: None,
    }
}

/// A call of `echo` with 100 bytes, or its outcome.
fn record(seq: u64) -> Record {
    let text = "x".repeat(100);
    if seq % 2 == 1 {
        return Record::Request(Box::new(RequestRecord {
            at: Timestamp::from_nanos(seq),
            request: GuestRequest::Call {
                tool: "echo".to_owned(),
                input: json(&format!("{{\"text\":\"{text}\"}}")),
            },
            run: Some(RunIdentity {
                id: RunId::random(),
                body: Hash::of(text.as_bytes()),
                idempotency_key: None,
            }),
            sealed: None,
        }));
    }
    let output = ToolOutput {
        blocks: vec![Block::Text { text, detail: None }],
        metadata: None,
        reward: None,
        finished: false,
    };
    Record::Outcome(Box::new(OutcomeRecord::new(
        seq - 1,
        GuestOutcome::Output(output),
        1,
    )))
}

/// The results of one round.
struct RoundResult {
    appends_per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// Runs this many sessions, each of which appends records in sequence.
async fn run_round(journal: &Journal, writers: usize) -> RoundResult {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..writers {
        let journal = journal.clone();
        tasks.push(tokio::spawn(async move {
            let id = EpisodeId::new();
            let (mut writer, commit) = journal.begin(id, created(&id.to_string()));
            commit.await.unwrap();
            let mut taken = Vec::new();
            while begun.elapsed() < ROUND_TIME {
                let record = record(writer.next());
                let asked = Instant::now();
                writer.append(&record).await.unwrap();
                taken.push(asked.elapsed());
            }
            taken
        }));
    }
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.unwrap());
    }
    let seconds = begun.elapsed().as_secs_f64();
    taken.sort();
    RoundResult {
        appends_per_second: taken.len() as f64 / seconds,
        p50: taken[taken.len() / 2],
        p99: taken[taken.len() * 99 / 100],
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints a line and returns the ratio.
async fn compare(dir: &Path, durability: Durability, writers: usize) -> f64 {
    let (mut kept, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let state = dir.join(format!("state-{:016x}", rand::random::<u64>()));
        let store = SqliteStore::open(&state, durability).unwrap();
        let journal = Journal::with_store(store, durability, None).unwrap();
        let one = run_round(&journal, writers).await;
        journal.close().await;
        let journal =
            Journal::with_store(BaselineStore::open(dir, durability), durability, None).unwrap();
        let two = run_round(&journal, writers).await;
        journal.close().await;
        ratios.push(one.appends_per_second / two.appends_per_second);
        kept.push(one);
        bare.push(two);
    }
    let pick = |rounds: &[RoundResult], pick: fn(&RoundResult) -> f64| {
        median(rounds.iter().map(pick).collect())
    };
    let ratio = median(ratios);
    println!(
        "{durability:8} {writers:7} {:10.0} {:9.0} {:9.0} {:10.0} {:9.0} {:6.2}",
        pick(&kept, |round| round.appends_per_second),
        pick(&kept, |round| round.p50.as_secs_f64() * 1e6),
        pick(&kept, |round| round.p99.as_secs_f64() * 1e6),
        pick(&bare, |round| round.appends_per_second),
        pick(&bare, |round| round.p50.as_secs_f64() * 1e6),
        ratio,
    );
    ratio
}

/// Measures the size of an episode on disk, and the time to read it.
async fn read(dir: &Path) {
    println!("\ncalls  bytes on disk a call  history read in ms");
    for calls in [100u64, 1000, 10_000] {
        let state = dir.join(format!("read-{calls}"));
        let store = SqliteStore::open(&state, Durability::Process).unwrap();
        let journal = Journal::with_store(store, Durability::Process, None).unwrap();
        let id = EpisodeId::new();
        let (mut writer, mut last) = journal.begin(id, created("s"));
        for _ in 0..2 * calls {
            last = writer.append(&record(writer.next()));
        }
        last.await.unwrap();
        let begun = Instant::now();
        let history = journal.history(id).await.unwrap();
        let took = begun.elapsed();
        assert_eq!(history.steps().len() as u64, calls);
        journal.close().await;
        drop((journal, writer));
        // The last handle runs the checkpoint, on the committing thread.
        let log = state.join("journal.db-wal");
        while log.metadata().is_ok_and(|log| log.len() > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let bytes = state.join("journal.db").metadata().unwrap().len();
        println!(
            "{calls:5}  {:20}  {:18.2}",
            bytes / calls,
            took.as_secs_f64() * 1e3
        );
    }
}

/// The command line.
#[derive(Default)]
struct Arguments {
    dir: Option<PathBuf>,
    at_least: Option<f64>,
}

impl Arguments {
    fn read() -> Arguments {
        let mut arguments = Arguments::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo passes it before the arguments of the command line.
                "--bench" => {}
                "--at-least" => {
                    arguments.at_least = words.next().map(|ratio| ratio.parse().unwrap())
                }
                dir => arguments.dir = Some(dir.into()),
            }
        }
        arguments
    }
}

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        println!("this build is not optimised; its figures are not representative");
    }
    let Arguments { dir, at_least } = Arguments::read();
    let above = dir.unwrap_or_else(std::env::temp_dir);
    let dir = tempfile::TempDir::new_in(above).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut met = true;
    runtime.block_on(async {
        println!("                  journal                        bare");
        println!("           writers  appends/s   p50, us   p99, us  appends/s   p50, us  ratio");
        for durability in [Durability::Process, Durability::Power] {
            for writers in [1, 64] {
                let ratio = compare(dir.path(), durability, writers).await;
                let bound = at_least.filter(|_| durability == Durability::Power);
                met &= bound.is_none_or(|bound| ratio >= bound);
            }
        }
        read(dir.path()).await;
    });
    if !met {
        println!("`power` is below the required part of the baseline");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
