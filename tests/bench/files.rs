//! `bench files`: file reads of a guest.
//!
//! The same component reads the same files in orwd and with the engine's own WASI
//! file system, and this process reads them natively; all take turns, so that the
//! figures of one round are comparable. Then thousands of sessions are opened on
//! one data directory, to count the server's descriptors.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use orwd_tests::artifacts::component;
use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::{ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::load::{
    Latencies, LoadGenerator, StopCondition, Workload, create_on, delete, each, post,
    run_and_result,
};
use crate::process::{descriptors, load_average};
use crate::servers::{BenchTarget, StockSession};
use crate::statistics::median_or_nan;

const ENVIRONMENT: &str = "files";

/// The distance of the bytes of the large file that are summed.
const PIECE: usize = 4096;

/// The number of connections that open the sessions.
const CONNECTIONS: usize = 16;

/// The parameters of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilesPlan {
    /// The size of the large file.
    pub(crate) size: u64,
    /// The size of one read.
    pub(crate) buffer: usize,
    /// Opens per round.
    pub(crate) opens: usize,
    /// The number of rounds.
    pub(crate) rounds: u32,
    /// The number of sessions on one data directory.
    pub(crate) sessions: usize,
}

/// The guest's report about reading a file to its end.
#[derive(Clone, Copy, Debug, Deserialize)]
struct StreamTiming {
    bytes: u64,
    sum: u64,
    nanoseconds: f64,
}

/// Opening, reading 4 KiB and closing, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
struct OpenTiming {
    p50: f64,
    p99: f64,
}

/// One reader in one round.
#[derive(Clone, Copy, Debug, Serialize)]
struct FileFigures {
    megabytes_per_second: f64,
    open_p50_us: f64,
    open_p99_us: f64,
}

/// One round.
#[derive(Clone, Copy, Debug, Serialize)]
struct FileRound {
    native: FileFigures,
    orwd: FileFigures,
    stock: FileFigures,
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(crate) struct FilesReport {
    bench: &'static str,
    size: u64,
    buffer: usize,
    optimised: bool,
    load_before: Option<f64>,
    load_after: Option<f64>,
    rounds: Vec<FileRound>,
    /// The median of the rounds' ratios to the native read.
    orwd_to_native: f64,
    stock_to_native: f64,
    orwd_open_p50_us: f64,
    stock_open_p50_us: f64,
    sessions: usize,
    descriptors_before: usize,
    descriptors_with_all: usize,
}

impl FilesReport {
    /// Returns the guest's read rate as a fraction of a native process.
    pub(crate) fn ratio(&self) -> f64 {
        self.orwd_to_native
    }

    /// Returns the descriptors that the server holds for the sessions.
    pub(crate) fn held(&self) -> usize {
        self.descriptors_with_all
            .saturating_sub(self.descriptors_before)
    }
}

/// Measures, and passes each line of output to `say`.
pub(crate) fn run(plan: FilesPlan, mut say: impl FnMut(&str)) -> Result<FilesReport, String> {
    let scratch = TestDir::new();
    let data = scratch.path().join("data");
    std::fs::create_dir_all(data.join("below")).map_err(|error| error.to_string())?;
    let sum = generate(&data.join("large"), plan.size).map_err(|error| error.to_string())?;
    let small = data.join("below/small");
    std::fs::write(&small, [7; 2 * PIECE]).map_err(|error| error.to_string())?;

    let server = serve(&scratch, plan.sessions);
    let load_before = load_average();
    let (rounds, reading) = {
        let session = server.ors().open(ENVIRONMENT, TaskSelector::At("train", 0));
        let mut stock = StockSession::open(component(ENVIRONMENT), &data)?;
        let mut rounds = Vec::new();
        // The first round only fills the caches.
        for number in 0..=plan.rounds {
            let round = FileRound {
                native: native(&data, &plan, sum)?,
                orwd: guest(&plan, sum, |tool, input| Ok(answer(&session, tool, input)))?,
                stock: guest(&plan, sum, |tool, input| stock.call(tool, input))?,
            };
            if number > 0 {
                say(&round.shown(number));
                rounds.push(round);
            }
        }
        let reading = RoundMedians::of(&rounds);
        (rounds, reading)
    };
    say(&reading.shown());
    let held = held_open(&server, plan.sessions)?;
    say(&format!(
        "{} sessions on one data directory: {} descriptors before, {} with all (without sockets)",
        plan.sessions, held.before, held.with_all,
    ));
    Ok(FilesReport {
        bench: "files",
        size: plan.size,
        buffer: plan.buffer,
        optimised: !cfg!(debug_assertions),
        load_before,
        load_after: load_average(),
        rounds,
        orwd_to_native: reading.orwd_to_native,
        stock_to_native: reading.stock_to_native,
        orwd_open_p50_us: reading.orwd_open,
        stock_open_p50_us: reading.stock_open,
        sessions: plan.sessions,
        descriptors_before: held.before,
        descriptors_with_all: held.with_all,
    })
}

/// Writes the large file and returns the expected sum.
fn generate(path: &Path, size: u64) -> std::io::Result<u64> {
    let mut file = File::create(path)?;
    let mut block = vec![0xaa_u8; 256 * PIECE];
    let (mut written, mut sum) = (0, 0);
    while written < size {
        for (number, piece) in block.chunks_mut(PIECE).enumerate() {
            let at = written + (number * PIECE) as u64;
            piece[0] = (at / PIECE as u64 % 251) as u8;
            if at < size {
                sum += u64::from(piece[0]);
            }
        }
        let length = (size - written).min(block.len() as u64);
        file.write_all(&block[..usize::try_from(length).unwrap_or(block.len())])?;
        written += length;
    }
    file.sync_all()?;
    Ok(sum)
}

fn serve(scratch: &TestDir, sessions: usize) -> ServerProcess {
    let manifest = format!("name = \"{ENVIRONMENT}\"\nclock = \"real\"\n");
    scratch.write("files/orwd.toml", manifest);
    scratch.copy("files/component.wasm", component(ENVIRONMENT));
    ServeCommand::path(scratch.at("files"))
        .set("--data", scratch.at("data"))
        .set("--log", "warn")
        .set("--max-sessions", (sessions + 16).to_string())
        .start()
}

fn answer(session: &SessionClient, tool: &str, input: &Value) -> String {
    session.call(tool, input.clone()).text()
}

/// Lets a guest measure its reads.
fn guest(
    plan: &FilesPlan,
    sum: u64,
    mut call: impl FnMut(&str, &Value) -> Result<String, String>,
) -> Result<FileFigures, String> {
    let large = json!({"path": "/orwd_data/large", "buffer": plan.buffer});
    let start = Instant::now();
    let streamed: StreamTiming = read(&call("stream", &large)?)?;
    real_time(&streamed, start.elapsed().as_secs_f64() * 1e9)?;
    if (streamed.bytes, streamed.sum) != (plan.size, sum) {
        return Err(format!("the guest read something else: {streamed:?}"));
    }
    let small = json!({"path": "/orwd_data/below/small", "count": plan.opens});
    let opened: OpenTiming = read(&call("opens", &small)?)?;
    Ok(FileFigures::new(plan, streamed.nanoseconds, opened))
}

/// Refuses figures of a guest without the real clock: sessions have virtual
/// clocks, unless the manifest says otherwise.
fn real_time(streamed: &StreamTiming, nanoseconds: f64) -> Result<(), String> {
    // The time of a call outside the measurement.
    const OVERHEAD: f64 = 20e6;
    let guest = streamed.nanoseconds;
    if guest <= nanoseconds && guest >= nanoseconds / 2.0 - OVERHEAD {
        Ok(())
    } else {
        Err(format!(
            "the guest's clock is not the machine's: {guest} ns by its own, {nanoseconds} ns"
        ))
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|_| format!("the guest returned: {text}"))
}

/// Measures the same reads natively.
fn native(data: &Path, plan: &FilesPlan, sum: u64) -> Result<FileFigures, String> {
    let fail = |error: std::io::Error| error.to_string();
    let mut buffer = vec![0; plan.buffer];
    let mut file = File::open(data.join("large")).map_err(fail)?;
    let (mut bytes, mut seen) = (0, 0_u64);
    let start = Instant::now();
    loop {
        let count = file.read(&mut buffer).map_err(fail)?;
        if count == 0 {
            break;
        }
        let marks = buffer[..count]
            .iter()
            .skip(PIECE.wrapping_sub(bytes) % PIECE);
        seen += marks
            .step_by(PIECE)
            .map(|byte| u64::from(*byte))
            .sum::<u64>();
        bytes += count;
    }
    let nanoseconds = start.elapsed().as_secs_f64() * 1e9;
    if (bytes as u64, seen) != (plan.size, sum) {
        return Err("the file is not as it was written".to_owned());
    }
    let mut times = Latencies::default();
    let small = data.join("below/small");
    for _ in 0..plan.opens {
        let start = Instant::now();
        let mut file = File::open(&small).map_err(fail)?;
        file.read_exact(&mut [0; PIECE]).map_err(fail)?;
        drop(file);
        times.record(start.elapsed());
    }
    let opened = OpenTiming {
        p50: times.quantile_us(0.5) * 1e3,
        p99: times.quantile_us(0.99) * 1e3,
    };
    Ok(FileFigures::new(plan, nanoseconds, opened))
}

struct DescriptorCounts {
    before: usize,
    with_all: usize,
}

/// Opens the sessions, lets each read the small file, counts descriptors, and
/// deletes the sessions.
fn held_open(server: &ServerProcess, sessions: usize) -> Result<DescriptorCounts, String> {
    let address = BenchTarget::started("orwd", server.base())?.address;
    let ids: Vec<String> = (0..sessions).map(|_| orwd_tests::ors::fresh_id()).collect();
    let before = descriptors(server.pid())?;
    let created = each(address, CONNECTIONS, &ids, |address, id| {
        create_on(address, ENVIRONMENT, id)
    });
    let counted = created.and_then(|_| {
        let mut reads = ReadCalls {
            address,
            rest: ids.iter(),
        };
        let io = |error: std::io::Error| error.to_string();
        let mut lines = LoadGenerator::open(address, CONNECTIONS).map_err(io)?;
        lines
            .run(&mut reads, StopCondition::Done)
            .map_err(io)?
            .without_errors()?;
        descriptors(server.pid())
    });
    let deleted = each(address, CONNECTIONS, &ids, delete);
    let with_all = counted?;
    deleted?;
    Ok(DescriptorCounts { before, with_all })
}

/// A call in each session that opens a data file.
struct ReadCalls<'a> {
    address: SocketAddr,
    rest: std::slice::Iter<'a, String>,
}

impl Workload for ReadCalls<'_> {
    fn next(&mut self, _connection: usize, request: &mut Vec<u8>) -> bool {
        let Some(session) = self.rest.next() else {
            return false;
        };
        let input = json!({"path": "/orwd_data/below/small", "buffer": PIECE});
        let body = json!({"name": "stream", "input": input}).to_string();
        let path = format!("/{ENVIRONMENT}/call");
        request.extend_from_slice(&post(self.address, &path, session, &body));
        true
    }

    fn check(&mut self, _connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        let (_, result) = run_and_result(status, body)?;
        let result: Value = serde_json::from_slice(result).unwrap_or_default();
        let text = result["output"]["blocks"][0]["text"].as_str();
        let streamed: StreamTiming = read(text.unwrap_or_default())?;
        match streamed.bytes == 2 * PIECE as u64 {
            true => Ok(()),
            false => Err(format!("a session read something else: {streamed:?}")),
        }
    }
}

/// The medians over the rounds.
struct RoundMedians {
    orwd_to_native: f64,
    stock_to_native: f64,
    orwd_open: f64,
    stock_open: f64,
    native_open: f64,
}

impl RoundMedians {
    fn of(rounds: &[FileRound]) -> Self {
        let over =
            |figure: fn(&FileRound) -> f64| median_or_nan(rounds.iter().map(figure).collect());
        Self {
            orwd_to_native: over(|r| r.orwd.megabytes_per_second / r.native.megabytes_per_second),
            stock_to_native: over(|r| r.stock.megabytes_per_second / r.native.megabytes_per_second),
            orwd_open: over(|r| r.orwd.open_p50_us),
            stock_open: over(|r| r.stock.open_p50_us),
            native_open: over(|r| r.native.open_p50_us),
        }
    }

    fn shown(&self) -> String {
        format!(
            "medians: orwd reads at {:.2} of native, stock at {:.2}; \
             open + 4 KiB + close: orwd {:.1} us, stock {:.1} us, native {:.1} us",
            self.orwd_to_native,
            self.stock_to_native,
            self.orwd_open,
            self.stock_open,
            self.native_open
        )
    }
}

impl FileFigures {
    fn new(plan: &FilesPlan, nanoseconds: f64, opened: OpenTiming) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "sizes of files")]
        let bytes = plan.size as f64;
        Self {
            megabytes_per_second: bytes * 1e3 / nanoseconds,
            open_p50_us: opened.p50 / 1e3,
            open_p99_us: opened.p99 / 1e3,
        }
    }

    fn shown(&self) -> String {
        format!(
            "{:>6.0} MB/s, open p50 {:>6.1} us p99 {:>7.1} us",
            self.megabytes_per_second, self.open_p50_us, self.open_p99_us
        )
    }
}

impl FileRound {
    fn shown(&self, number: u32) -> String {
        format!(
            "round {number}: native {}\n         orwd   {}\n         stock  {}",
            self.native.shown(),
            self.orwd.shown(),
            self.stock.shown()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE, generate};
    use orwd_tests::test_dir::TestDir;

    #[test]
    fn the_sum_covers_one_byte_per_piece() {
        let scratch = TestDir::new();
        let path = scratch.path().join("large");
        let size = 3 * PIECE as u64 + 5;
        assert_eq!(generate(&path, size).unwrap(), 1 + 2 + 3);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), size);
    }
}
