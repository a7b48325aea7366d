//! The host's side of a compiler in a process of its own: starts it, feeds it,
//! waits no longer than allowed, and tells from its end what went wrong.
//!
//! The process gets no variable of ours, no open file but the three pipes, and
//! is killed when it is late; its other limits it puts on itself before it
//! reads the first byte (see [`super::worker`]). What it says on standard error,
//! if its end has no other explanation, goes to the log, escaped and bounded,
//! since it may quote the component.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Builder};

use rustix::process::Signal;

use super::CompileError;
use super::frame::{self, Answer, BadAnswer};
use super::worker;
use orwd_model::AdmissionLimits;

/// Bytes of its standard error that are kept.
const WORDS: u64 = 4096;

/// Characters of a refusal that are shown.
const REASON: usize = 2000;

/// Threads of one compiler. Each brings memory of its own, all of which counts
/// against the limit, so a machine of a hundred cores must not start a hundred.
const THREADS: usize = 8;

/// What is started, with arguments that come before those of the limits.
pub(super) struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// The program `orwd`, as its own compiler.
    pub(super) fn orwd(file: PathBuf) -> Program {
        Program {
            file,
            arguments: vec![worker::COMMAND.into()],
        }
    }

    /// A shell that does this instead.
    #[cfg(test)]
    pub(super) fn shell(script: &str) -> Program {
        Program {
            file: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        }
    }

    fn start(&self, limits: &AdmissionLimits) -> io::Result<Child> {
        // What we open ourselves is closed on exec; this is for what was open
        // when this process began.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Command::new(&self.file)
            .arg0("orwd")
            .args(&self.arguments)
            .args(worker::arguments(limits))
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.min(THREADS).to_string())
            // The allocator would reserve a gibibyte of address space before
            // the limit is there, and so work beyond a limit that is lower.
            .env("MIMALLOC_ARENA_RESERVE", "0")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

/// How a compiler ended, as far as its pipes tell.
enum Heard {
    Answer(Answer),
    Bad(BadAnswer),
    Late,
}

/// Compiles in a process of its own; waits for it.
pub(super) fn compile(
    program: &Program,
    limits: &AdmissionLimits,
    wasm: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let unavailable = |error: io::Error| CompileError::Unavailable(error.to_string());
    let mut child = program.start(limits).map_err(unavailable)?;
    let (heard, words) = match converse(&mut child, limits, wasm) {
        Ok(heard) => heard,
        Err(error) => {
            end(&mut child).map_err(unavailable)?;
            return Err(unavailable(error));
        }
    };
    let status = end(&mut child).map_err(unavailable)?;
    match heard {
        Heard::Answer(Answer::Code(code)) => Ok(code),
        Heard::Answer(Answer::Refused(reason)) => Err(CompileError::Refused(shown(&reason))),
        Heard::Answer(Answer::NoMemory) => Err(CompileError::Memory(limits.memory)),
        Heard::Late => Err(CompileError::Wall(limits.wall())),
        Heard::Bad(BadAnswer::Malformed) => {
            Err(CompileError::Crashed("its answer is no answer".to_owned()))
        }
        Heard::Bad(BadAnswer::Cut) => Err(cause_of_death(status, &words, limits)),
    }
}

/// Feeds the compiler and hears it out, each pipe on a thread of its own so
/// that none can block another. Afterwards the process is of no more use.
fn converse(
    child: &mut Child,
    limits: &AdmissionLimits,
    wasm: &[u8],
) -> io::Result<(Heard, Vec<u8>)> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(io::Error::other("it has no pipes"));
    };
    // Code that large would not fit into its memory.
    let most = limits.memory;
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let begun = (|| {
            let words = Builder::new().spawn_scoped(scope, move || first(stderr))?;
            Builder::new().spawn_scoped(scope, move || {
                // Nobody listens once it is too late.
                let _ = sender.send(frame::read_answer(stdout, most));
            })?;
            Builder::new().spawn_scoped(scope, move || {
                // A compiler that is gone says by its end why.
                let _ = frame::write_component(stdin, wasm);
            })?;
            io::Result::Ok(words)
        })();
        let heard = match (&begun, receiver.recv_timeout(limits.wall())) {
            (Err(_), _) | (_, Err(RecvTimeoutError::Timeout)) => Heard::Late,
            (_, Ok(Ok(answer))) => Heard::Answer(answer),
            (_, Ok(Err(bad))) => Heard::Bad(bad),
            (_, Err(RecvTimeoutError::Disconnected)) => Heard::Bad(BadAnswer::Cut),
        };
        // The pipes end with the process, and the threads with the pipes.
        let killed = child.kill();
        let words = begun?.join().unwrap_or_default();
        killed.map(|()| (heard, words))
    })
}

/// Kills it, if it still runs, and collects it.
fn end(child: &mut Child) -> io::Result<ExitStatus> {
    child.kill()?;
    child.wait()
}

/// The beginning of what it says, and all the rest unkept, lest it wait for a
/// reader.
fn first(mut from: impl Read) -> Vec<u8> {
    let mut words = Vec::new();
    let _ = from.by_ref().take(WORDS).read_to_end(&mut words);
    let _ = io::copy(&mut from, &mut io::sink());
    words
}

/// Why it ended in the middle. The standard library has no better way to say
/// that memory ran out than to write it and to abort.
fn cause_of_death(status: ExitStatus, words: &[u8], limits: &AdmissionLimits) -> CompileError {
    let words = String::from_utf8_lossy(words);
    let no_memory = [
        "memory allocation of ",
        "Cannot allocate memory",
        "out of memory",
        // A thread without room for its stack.
        "Resource temporarily unavailable",
    ];
    let signal = status.signal();
    if signal == Some(Signal::XCPU.as_raw()) {
        CompileError::Cpu(limits.time)
    } else if no_memory.iter().any(|sign| words.contains(sign)) {
        CompileError::Memory(limits.memory)
    } else if words.contains("overflowed its stack") {
        CompileError::Crashed("it overflowed its stack".to_owned())
    } else {
        if !words.is_empty() {
            tracing::warn!(%status, "the compiler says: {:?}", words.trim_end());
        }
        CompileError::Crashed(match signal {
            Some(signal) => format!("it was killed by signal {signal}"),
            None => {
                let code = status.code().unwrap_or_default();
                format!("it ended with exit code {code} and no answer")
            }
        })
    }
}

/// The reason for people: it may quote names that the author chose.
fn shown(reason: &str) -> String {
    let escape = |c: char| match c {
        '\n' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    reason.chars().take(REASON).map(escape).collect()
}
