//! What the journal costs by itself: appends a second, beside the least that
//! appending can cost on the same disk in the same run.
//!
//! ```sh
//! cargo bench -p orwd --bench journal             # a minute
//! cargo bench -p orwd --bench journal -- DIR      # on another disk
//! cargo bench -p orwd --bench journal -- --at-least 0.7   # fails if `power` has less of the bare
//! ```
//!
//! The bare store puts the bytes of a batch behind a file, with one sync where
//! power is to be survived. It hangs behind the same writer, so that it gets
//! the same grouping. The two take turns, and the ratios are medians of the
//! rounds: what else the machine does meets both.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on should stop, and what it prints is what it is for"
)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use orwd_journal::{
    Answered, Ask, Asked, At, ClockMode, Created, Durability, Entry, Episode, EpisodeId, Filter,
    Hash, HostFacts, Journal, Outcome, Put, Record, Row, RunMark, SealedSecrets, SqliteStore,
    Store, StoreError,
};
use orwd_model::{
    Block, Budget, Digest, EnvName, Json, SessionId, SessionLimits, TaskId, ToolOutput,
};

const ROUNDS: usize = 3;
const TURN: Duration = Duration::from_secs(2);

/// A file that everything is put behind.
struct Bare {
    file: Mutex<File>,
    durability: Durability,
}

impl Bare {
    fn open(dir: &Path, durability: Durability) -> Bare {
        let name = format!("bare-{:016x}", rand::random::<u64>());
        Bare {
            file: Mutex::new(File::create_new(dir.join(name)).unwrap()),
            durability,
        }
    }
}

impl Store for Bare {
    fn append(&self, batch: &[Entry]) -> Result<Vec<Put>, StoreError> {
        let bytes: Vec<u8> = batch.iter().flat_map(|entry| entry.bytes.clone()).collect();
        let mut file = self.file.lock().unwrap();
        file.write_all(&bytes).unwrap();
        if self.durability == Durability::Power {
            file.sync_data().unwrap();
        }
        Ok(vec![Put::Done; batch.len()])
    }

    fn read(&self, _: EpisodeId, _: u64) -> Result<Vec<Row>, StoreError> {
        Ok(Vec::new())
    }

    fn episode(&self, _: EpisodeId) -> Result<Option<Episode>, StoreError> {
        Ok(None)
    }

    fn find(&self, _: Option<&str>, _: &SessionId) -> Result<Option<Episode>, StoreError> {
        Ok(None)
    }

    fn list(&self, _: &Filter) -> Result<Vec<Episode>, StoreError> {
        Ok(Vec::new())
    }

    fn keep(&self, _: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(fresh.to_vec())
    }

    fn forget(&self, _: EpisodeId) -> Result<(), StoreError> {
        Ok(())
    }

    fn rest(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn json(text: &str) -> Json {
    Json::object(text.to_owned()).unwrap()
}

fn created(session: &str) -> Created {
    let budget = Budget {
        cpu: Duration::from_secs(30),
        wall: Duration::from_secs(60),
    };
    Created {
        owner: None,
        session: SessionId::new(session).unwrap(),
        environment: EnvName::new("counter").unwrap(),
        component: Digest::of(b"component"),
        data: None,
        mode: orwd_model::Mode::Session,
        task: json(r#"{"target":3}"#),
        seed: vec![7; 32],
        start: At(1_700_000_000_000_000_000),
        clock: ClockMode::Virtual,
        limits: SessionLimits {
            memory: 256 << 20,
            tables: 1 << 20,
            handles: 1024,
            call: budget,
            setup: budget,
            teardown: budget,
            result: 8 << 20,
            host_call: 16 << 20,
            json_depth: 128,
            log: 64 << 10,
            log_total: 1 << 20,
            disk: 64 << 20,
            files: 4096,
            open_files: 256,
            journal: 256 << 20,
        },
        host: HostFacts {
            version: "0".to_owned(),
            engine: "none".to_owned(),
        },
        secrets: SealedSecrets::None,
        request: Hash::of(b""),
        toolset: None,
        parent: None,
    }
}

/// A call of `echo` with 100 bytes, or its answer.
fn record(seq: u64) -> Record {
    let text = "x".repeat(100);
    if seq % 2 == 1 {
        return Record::Asked(Box::new(Asked {
            at: At(seq),
            ask: Ask::Call {
                tool: "echo".to_owned(),
                input: json(&format!("{{\"text\":\"{text}\"}}")),
            },
            run: Some(RunMark {
                task: TaskId::random(),
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
    Record::Answered(Box::new(Answered::new(seq - 1, Outcome::Output(output), 1)))
}

/// What a turn came to.
struct Pace {
    appends_per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// So many sessions append one record after another.
async fn turn(journal: &Journal, writers: usize) -> Pace {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..writers {
        let journal = journal.clone();
        tasks.push(tokio::spawn(async move {
            let id = EpisodeId::new();
            let (mut pen, ticket) = journal.begin(id, created(&id.to_string()));
            ticket.await.unwrap();
            let mut taken = Vec::new();
            while begun.elapsed() < TURN {
                let record = record(pen.next());
                let asked = Instant::now();
                pen.append(&record).await.unwrap();
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
    Pace {
        appends_per_second: taken.len() as f64 / seconds,
        p50: taken[taken.len() / 2],
        p99: taken[taken.len() * 99 / 100],
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Shows a line; gives the ratio.
async fn compare(dir: &Path, durability: Durability, writers: usize) -> f64 {
    let (mut kept, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let state = dir.join(format!("state-{:016x}", rand::random::<u64>()));
        let store = SqliteStore::open(&state, durability).unwrap();
        let journal = Journal::over(store, durability, None).unwrap();
        let one = turn(&journal, writers).await;
        journal.close().await;
        let journal = Journal::over(Bare::open(dir, durability), durability, None).unwrap();
        let two = turn(&journal, writers).await;
        journal.close().await;
        ratios.push(one.appends_per_second / two.appends_per_second);
        kept.push(one);
        bare.push(two);
    }
    let pick = |paces: &[Pace], pick: fn(&Pace) -> f64| median(paces.iter().map(pick).collect());
    let ratio = median(ratios);
    println!(
        "{durability:8} {writers:7} {:10.0} {:9.0} {:9.0} {:10.0} {:9.0} {:6.2}",
        pick(&kept, |pace| pace.appends_per_second),
        pick(&kept, |pace| pace.p50.as_secs_f64() * 1e6),
        pick(&kept, |pace| pace.p99.as_secs_f64() * 1e6),
        pick(&bare, |pace| pace.appends_per_second),
        pick(&bare, |pace| pace.p50.as_secs_f64() * 1e6),
        ratio,
    );
    ratio
}

/// What an episode takes on the disk, and how long it takes to read.
async fn read(dir: &Path) {
    println!("\ncalls  bytes on disk a call  history read in ms");
    for calls in [100u64, 1000, 10_000] {
        let state = dir.join(format!("read-{calls}"));
        let store = SqliteStore::open(&state, Durability::Process).unwrap();
        let journal = Journal::over(store, Durability::Process, None).unwrap();
        let id = EpisodeId::new();
        let (mut pen, mut last) = journal.begin(id, created("s"));
        for _ in 0..2 * calls {
            last = pen.append(&record(pen.next()));
        }
        last.await.unwrap();
        let begun = Instant::now();
        let history = journal.history(id).await.unwrap();
        let took = begun.elapsed();
        assert_eq!(history.steps().len() as u64, calls);
        journal.close().await;
        drop((journal, pen));
        // The last handle carries the log over, on the writer's thread.
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

/// What is asked for on the command line.
#[derive(Default)]
struct Given {
    dir: Option<PathBuf>,
    at_least: Option<f64>,
}

impl Given {
    fn read() -> Given {
        let mut given = Given::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo says it before what was given to it.
                "--bench" => {}
                "--at-least" => given.at_least = words.next().map(|ratio| ratio.parse().unwrap()),
                dir => given.dir = Some(dir.into()),
            }
        }
        given
    }
}

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        println!("this build is not optimised; its figures say little");
    }
    let Given { dir, at_least } = Given::read();
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
        println!("`power` has less of the bare appends than was asked for");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
