//! From a component's bytes to native code.
//!
//! To compile is to run a large program on input that somebody hostile chose,
//! and what it may take in memory and time cannot be told beforehand. So the
//! server has it done by a process of its own, which is this very program under
//! another name and dies at its limits, alone; see [`apart`] for the side that
//! waits and [`worker`] for the side that works. A component that was too
//! expensive once is not tried again by this process. Whoever uses orwd as a
//! library may have no such program, and compiles in process without these
//! limits.

mod apart;
mod frame;
mod worker;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apart::Program;
use orwd_model::{AdmissionLimits, Digest};
pub use worker::{WorkerError, work};

/// Failures that are kept in mind; beyond them the oldest is forgotten.
const REMEMBERED: usize = 1024;

/// Compiles components; clones share what it remembers.
#[derive(Clone)]
pub struct Compiler(Arc<Inner>);

struct Inner {
    way: Way,
    limits: AdmissionLimits,
    failures: Mutex<VecDeque<(Digest, CompileError)>>,
}

enum Way {
    /// In this process.
    Here,
    /// In a process for each component.
    Apart(Program),
}

/// Native code that a compiler of this program made: what [`super::Cache`]
/// keeps and, apart from it, the only thing that is ever loaded as code.
pub(super) struct Code(Vec<u8>);

/// Why there is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The compiler does not take it for a valid component.
    #[error("the component cannot be compiled: {0}")]
    Refused(String),
    /// The limit on CPU time was reached.
    #[error(
        "the component is too expensive: compiling it takes more than {} of CPU time \
         (--compile-time)",
        seconds(*.0)
    )]
    Cpu(Duration),
    /// The limit on time was reached.
    #[error(
        "the component is too expensive: it is not compiled after {} (twice --compile-time)",
        seconds(*.0)
    )]
    Wall(Duration),
    /// The limit on memory was reached.
    #[error(
        "the component is too expensive: compiling it takes more than {} MiB of memory \
         (--compile-memory)",
        .0 >> 20
    )]
    Memory(u64),
    /// The compiler ended without an answer, for none of the reasons above.
    #[error("the compiler fails on this component: {0}")]
    Crashed(String),
    /// There is no compiler to ask, which says nothing about the component.
    #[error("the compiler cannot be run: {0}")]
    Unavailable(String),
}

impl Compiler {
    /// One that works in this process. Of the limits only the component's size
    /// is in force.
    pub fn here(limits: AdmissionLimits) -> Compiler {
        Compiler::new(Way::Here, limits)
    }

    /// One that starts this program, which is `orwd`, for each component.
    pub fn apart(program: PathBuf, limits: AdmissionLimits) -> Compiler {
        Compiler::new(Way::Apart(Program::orwd(program)), limits)
    }

    fn new(way: Way, limits: AdmissionLimits) -> Compiler {
        Compiler(Arc::new(Inner {
            way,
            limits,
            failures: Mutex::default(),
        }))
    }

    /// What a component may cost.
    pub fn limits(&self) -> &AdmissionLimits {
        &self.0.limits
    }

    /// Compiles, or repeats what was found out before.
    pub(super) fn compile(
        &self,
        engine: &wasmtime::Engine,
        digest: Digest,
        wasm: &[u8],
    ) -> Result<Code, CompileError> {
        if let Some(known) = self.recall(digest) {
            return Err(known);
        }
        let compiled = match &self.0.way {
            Way::Here => precompile(engine, wasm).map_err(CompileError::Refused),
            Way::Apart(program) => apart::compile(program, &self.0.limits, wasm),
        };
        if let Err(error) = &compiled {
            self.remember(digest, error);
        }
        compiled.map(Code)
    }

    fn recall(&self, digest: Digest) -> Option<CompileError> {
        let failures = self.failures();
        let found = failures.iter().find(|(known, _)| *known == digest);
        found.map(|(_, error)| error.clone())
    }

    fn remember(&self, digest: Digest, error: &CompileError) {
        if matches!(error, CompileError::Unavailable(_)) {
            return;
        }
        let mut failures = self.failures();
        if failures.len() >= REMEMBERED {
            failures.pop_front();
        }
        failures.push_back((digest, error.clone()));
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, VecDeque<(Digest, CompileError)>> {
        // The list is whole whatever its last user died of.
        self.0
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Code {
    /// Code that the cache found untouched.
    pub(super) fn from_cache(bytes: Vec<u8>) -> Code {
        Code(bytes)
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The compiling itself, in whatever process.
fn precompile(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Vec<u8>, String> {
    engine
        .precompile_component(wasm)
        .map_err(|error| format!("{error:#}"))
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(script: &str, limits: AdmissionLimits) -> Compiler {
        Compiler::new(Way::Apart(Program::shell(script)), limits)
    }

    fn told(compiler: &Compiler, wasm: &[u8]) -> String {
        let engine = wasmtime::Engine::default();
        match compiler.compile(&engine, Digest::of(wasm), wasm) {
            Ok(code) => format!("{} bytes of code", code.bytes().len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn whatever_the_compiler_does_is_told_and_ends() {
        let limits = AdmissionLimits {
            time: Duration::from_millis(500),
            ..AdmissionLimits::default()
        };
        for (script, expected) in [
            (
                "exec sleep 60",
                "the component is too expensive: it is not compiled after 1 s \
                 (twice --compile-time)",
            ),
            // It may also close its output and go on.
            (
                "exec >&-; exec sleep 60",
                "the compiler fails on this component: it was killed by signal 9",
            ),
            (
                "kill -XCPU $$",
                "the component is too expensive: compiling it takes more than 0.5 s of CPU time \
                 (--compile-time)",
            ),
            (
                "echo 'memory allocation of 99 bytes failed' >&2; kill -ABRT $$",
                "the component is too expensive: compiling it takes more than 4096 MiB of memory \
                 (--compile-memory)",
            ),
            (
                "kill -SEGV $$",
                "the compiler fails on this component: it was killed by signal 11",
            ),
            (
                "exit 7",
                "the compiler fails on this component: it ended with exit code 7 and no answer",
            ),
            // Code, but not all of what was announced; more than that; an
            // answer of no kind; more than may be.
            (
                "printf 'C\\010\\0\\0\\0\\0\\0\\0\\0code'",
                "the compiler fails on this component: it ended with exit code 0 and no answer",
            ),
            (
                "printf 'C\\002\\0\\0\\0\\0\\0\\0\\0code'",
                "the compiler fails on this component: its answer is no answer",
            ),
            (
                "printf 'X\\004\\0\\0\\0\\0\\0\\0\\0code'",
                "the compiler fails on this component: its answer is no answer",
            ),
            (
                "printf 'C\\0\\0\\0\\0\\0\\0\\0\\177code'",
                "the compiler fails on this component: its answer is no answer",
            ),
            (
                "printf 'C\\004\\0\\0\\0\\0\\0\\0\\0code'",
                "4 bytes of code",
            ),
            (
                "printf 'R\\004\\0\\0\\0\\0\\0\\0\\0no\\033!'",
                "the component cannot be compiled: no\\u{1b}!",
            ),
        ] {
            assert_eq!(told(&wait(script, limits), b"wasm"), expected, "{script}");
        }
    }

    #[test]
    fn it_gets_the_component_and_an_empty_environment() {
        let script = "test \"$(tail -c +9)\" = wasm && test -z \"$HOME$PATH_BEFORE$CARGO\" \
                      && printf 'C\\002\\0\\0\\0\\0\\0\\0\\0ok'";
        assert_eq!(
            told(&wait(script, AdmissionLimits::default()), b"wasm"),
            "2 bytes of code"
        );
    }

    #[test]
    fn what_failed_once_is_not_tried_again() {
        let file = std::env::temp_dir().join(format!("orwd-{:016x}", rand::random::<u64>()));
        let script = format!("echo once >> {}; exit 1", file.display());
        let compiler = wait(&script, AdmissionLimits::default());
        let first = told(&compiler, b"one");
        assert_eq!(told(&compiler.clone(), b"one"), first);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "once\n");
        told(&compiler, b"another");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "once\nonce\n");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_compiler_that_is_not_there_says_nothing_about_the_component() {
        let nowhere = Compiler::apart("/nowhere/orwd".into(), AdmissionLimits::default());
        let error = told(&nowhere, b"wasm");
        assert!(error.starts_with("the compiler cannot be run: "), "{error}");
        assert_eq!(nowhere.recall(Digest::of(b"wasm")), None);
    }

    #[test]
    fn the_oldest_failure_is_forgotten_first() {
        let compiler = Compiler::here(AdmissionLimits::default());
        let digest = |n: usize| Digest::of(&n.to_le_bytes());
        let error = CompileError::Refused("no".to_owned());
        for n in 0..=REMEMBERED {
            compiler.remember(digest(n), &error);
        }
        assert_eq!(compiler.recall(digest(0)), None);
        assert_eq!(compiler.recall(digest(1)), Some(error));
        assert_eq!(compiler.failures().len(), REMEMBERED);
    }
}
