//! The parent's side of the compiler subprocess: starts it, sends the
//! component, enforces the deadline and explains its exit.
//!
//! The child gets an empty environment and no open file except three pipes, and
//! is killed at the deadline. It sets its other limits itself, before it reads
//! the first byte (see [`super::worker`]). If its exit has no other
//! explanation, its standard error is logged, escaped and bounded, since it may
//! quote the component.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Builder};

use rustix::process::Signal;

use orwd_model::AdmissionLimits;

use crate::compile::error::CompileError;
use crate::compile::frame::{self, BadReply, Reply};
use crate::compile::worker;

/// Bytes of its standard error that are kept.
const STDERR_KEPT: u64 = 4096;

/// Characters of a rejection that are shown.
const REASON_CHARS: usize = 2000;

/// Threads of one compiler. Each uses memory of its own, all of which counts
/// against the limit, so the number of cores must not decide.
const THREADS: usize = 8;

/// The program to start, with the arguments that precede those of the limits.
pub(crate) struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// Runs `orwd` as its own compiler.
    pub(crate) fn orwd(file: PathBuf) -> Program {
        Program {
            file,
            arguments: vec![worker::COMMAND.into()],
        }
    }

    /// Runs a shell script instead.
    #[cfg(test)]
    pub(crate) fn shell(script: &str) -> Program {
        Program {
            file: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        }
    }

    fn start(&self, limits: &AdmissionLimits) -> io::Result<Child> {
        // Descriptors that we open are close-on-exec; this covers those that
        // were open when this process started.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Command::new(&self.file)
            .arg0("orwd")
            .args(&self.arguments)
            .args(worker::arguments(limits))
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.min(THREADS).to_string())
            // The allocator would reserve 1 GiB of address space before the
            // limit is set, and so defeat a lower limit.
            .env("MIMALLOC_ARENA_RESERVE", "0")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

/// What was read from the child's pipes.
enum PipeResult {
    Reply(Reply),
    Bad(BadReply),
    Late,
}

/// Compiles in a subprocess and waits for it.
pub(crate) fn compile(
    program: &Program,
    limits: &AdmissionLimits,
    wasm: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let unavailable = |error: io::Error| CompileError::Unavailable(error.to_string());
    let mut child = program.start(limits).map_err(unavailable)?;
    let (result, stderr_head) = match exchange(&mut child, limits, wasm) {
        Ok(result) => result,
        Err(error) => {
            end(&mut child).map_err(unavailable)?;
            return Err(unavailable(error));
        }
    };
    let status = end(&mut child).map_err(unavailable)?;
    match result {
        PipeResult::Reply(Reply::Code(code)) => Ok(code),
        PipeResult::Reply(Reply::Refused(reason)) => {
            Err(CompileError::Refused(for_display(&reason)))
        }
        PipeResult::Reply(Reply::NoMemory) => Err(CompileError::Memory(limits.memory)),
        PipeResult::Late => Err(CompileError::Wall(limits.wall())),
        PipeResult::Bad(BadReply::Malformed) => {
            Err(CompileError::Crashed("its reply is malformed".to_owned()))
        }
        PipeResult::Bad(BadReply::Cut) => Err(explain_exit(status, &stderr_head, limits)),
    }
}

/// Sends the component and reads the reply, each pipe on its own thread so that
/// none blocks another. The child is killed before this returns.
fn exchange(
    child: &mut Child,
    limits: &AdmissionLimits,
    wasm: &[u8],
) -> io::Result<(PipeResult, Vec<u8>)> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(io::Error::other("the compiler process has no pipes"));
    };
    // Code larger than this would not fit into the child's memory.
    let most = limits.memory;
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let begun = (|| {
            let stderr_head = Builder::new().spawn_scoped(scope, move || read_head(stderr))?;
            Builder::new().spawn_scoped(scope, move || {
                // After the deadline the receiver is gone.
                let _ = sender.send(frame::read_reply(stdout, most));
            })?;
            Builder::new().spawn_scoped(scope, move || {
                // If the child has exited, its exit status says why.
                let _ = frame::write_component(stdin, wasm);
            })?;
            io::Result::Ok(stderr_head)
        })();
        let result = match (&begun, receiver.recv_timeout(limits.wall())) {
            (Err(_), _) | (_, Err(RecvTimeoutError::Timeout)) => PipeResult::Late,
            (_, Ok(Ok(reply))) => PipeResult::Reply(reply),
            (_, Ok(Err(bad))) => PipeResult::Bad(bad),
            (_, Err(RecvTimeoutError::Disconnected)) => PipeResult::Bad(BadReply::Cut),
        };
        // The pipes end with the process, and the threads with the pipes.
        let killed = child.kill();
        let stderr_head = begun?.join().unwrap_or_default();
        killed.map(|()| (result, stderr_head))
    })
}

/// Kills the child, if it still runs, and reaps it.
fn end(child: &mut Child) -> io::Result<ExitStatus> {
    child.kill()?;
    child.wait()
}

/// Keeps the first bytes and drains the rest, so that the child never blocks on
/// a full pipe.
fn read_head(mut from: impl Read) -> Vec<u8> {
    let mut stderr_head = Vec::new();
    let _ = from
        .by_ref()
        .take(STDERR_KEPT)
        .read_to_end(&mut stderr_head);
    let _ = io::copy(&mut from, &mut io::sink());
    stderr_head
}

/// Explains an exit without a complete reply. The standard library reports an
/// allocation failure only by a message and an abort, so the message is
/// matched.
fn explain_exit(status: ExitStatus, stderr_head: &[u8], limits: &AdmissionLimits) -> CompileError {
    let stderr_head = String::from_utf8_lossy(stderr_head);
    let no_memory = [
        "memory allocation of ",
        "Cannot allocate memory",
        "out of memory",
        // A thread whose stack cannot be allocated.
        "Resource temporarily unavailable",
    ];
    let signal = status.signal();
    if signal == Some(Signal::XCPU.as_raw()) {
        CompileError::Cpu(limits.time)
    } else if no_memory
        .iter()
        .any(|pattern| stderr_head.contains(pattern))
    {
        CompileError::Memory(limits.memory)
    } else if stderr_head.contains("overflowed its stack") {
        CompileError::Crashed("it overflowed its stack".to_owned())
    } else {
        if !stderr_head.is_empty() {
            tracing::warn!(%status, stderr = ?stderr_head.trim_end(), "compiler failed");
        }
        CompileError::Crashed(match signal {
            Some(signal) => format!("it was killed by signal {signal}"),
            None => {
                let code = status.code().unwrap_or_default();
                format!("it exited with code {code} and no reply")
            }
        })
    }
}

/// Escapes and truncates the reason for display: it may quote names chosen by
/// the author.
fn for_display(reason: &str) -> String {
    let escape = |c: char| match c {
        '\n' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    reason.chars().take(REASON_CHARS).map(escape).collect()
}
