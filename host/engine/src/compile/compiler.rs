//! Compiles components to native code in a subprocess.
//!
//! Compilation runs a large program on hostile input, with memory and time that
//! cannot be predicted. So it runs in a subprocess with resource limits: see
//! [`super::subprocess`] for the parent's side and [`super::worker`] for the
//! child's. A component that failed once is not tried again by this process.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orwd_model::{AdmissionLimits, Digest};

use crate::compile::code::CompiledCode;
use crate::compile::error::CompileError;
use crate::compile::subprocess::{self, Program};

/// Failures kept in memory; the oldest is dropped first.
const MAX_FAILURES: usize = 1024;

/// Compiles components; clones share the list of failures.
#[derive(Clone)]
pub struct Compiler(Arc<Inner>);

struct Inner {
    program: Program,
    limits: AdmissionLimits,
    failures: Mutex<VecDeque<(Digest, CompileError)>>,
}

impl Compiler {
    /// Creates a compiler that starts this program, which must be `orwd`, for
    /// each component.
    pub fn new(program: PathBuf, limits: AdmissionLimits) -> Compiler {
        Compiler::with_program(Program::orwd(program), limits)
    }

    fn with_program(program: Program, limits: AdmissionLimits) -> Compiler {
        Compiler(Arc::new(Inner {
            program,
            limits,
            failures: Mutex::default(),
        }))
    }

    /// Returns the limits on compilation.
    pub fn limits(&self) -> &AdmissionLimits {
        &self.0.limits
    }

    /// Compiles a component, or returns the earlier failure.
    pub(crate) fn compile(
        &self,
        digest: Digest,
        wasm: &[u8],
    ) -> Result<CompiledCode, CompileError> {
        if let Some(known) = self.known_failure(digest) {
            return Err(known);
        }
        let compiled = subprocess::compile(&self.0.program, &self.0.limits, wasm);
        if let Err(error) = &compiled {
            self.record_failure(digest, error);
        }
        compiled.map(CompiledCode::from_compiler)
    }

    fn known_failure(&self, digest: Digest) -> Option<CompileError> {
        let failures = self.failures();
        let found = failures.iter().find(|(known, _)| *known == digest);
        found.map(|(_, error)| error.clone())
    }

    fn record_failure(&self, digest: Digest, error: &CompileError) {
        if matches!(error, CompileError::Unavailable(_)) {
            return;
        }
        let mut failures = self.failures();
        if failures.len() >= MAX_FAILURES {
            failures.pop_front();
        }
        failures.push_back((digest, error.clone()));
    }

    fn failures(&self) -> MutexGuard<'_, VecDeque<(Digest, CompileError)>> {
        // The list stays consistent if a holder of the lock panics.
        self.0
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wait(script: &str, limits: AdmissionLimits) -> Compiler {
        Compiler::with_program(Program::shell(script), limits)
    }

    fn message(compiler: &Compiler, wasm: &[u8]) -> String {
        match compiler.compile(Digest::of(wasm), wasm) {
            Ok(code) => format!("{} bytes of code", code.bytes().len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_behaviour_of_the_compiler_is_reported() {
        let limits = AdmissionLimits {
            time: Duration::from_millis(500),
            ..AdmissionLimits::default()
        };
        for (script, expected) in [
            (
                "exec sleep 60",
                "the component is too expensive: compilation did not finish in 1 s \
                 (twice --compile-time)",
            ),
            // The worker may also close its output and continue.
            (
                "exec >&-; exec sleep 60",
                "the compiler failed on this component: it was killed by signal 9",
            ),
            (
                "kill -XCPU $$",
                "the component is too expensive: compilation exceeds 0.5 s of CPU time \
                 (--compile-time)",
            ),
            (
                "echo 'memory allocation of 99 bytes failed' >&2; kill -ABRT $$",
                "the component is too expensive: compilation exceeds 4096 MiB of memory \
                 (--compile-memory)",
            ),
            (
                "kill -SEGV $$",
                "the compiler failed on this component: it was killed by signal 11",
            ),
            (
                "exit 7",
                "the compiler failed on this component: it exited with code 7 and no reply",
            ),
            // In order: truncated code, trailing bytes, an unknown tag, a
            // length over the limit.
            (
                "printf 'C\\010\\0\\0\\0\\0\\0\\0\\0code'",
                "the compiler failed on this component: it exited with code 0 and no reply",
            ),
            (
                "printf 'C\\002\\0\\0\\0\\0\\0\\0\\0code'",
                "the compiler failed on this component: its reply is malformed",
            ),
            (
                "printf 'X\\004\\0\\0\\0\\0\\0\\0\\0code'",
                "the compiler failed on this component: its reply is malformed",
            ),
            (
                "printf 'C\\0\\0\\0\\0\\0\\0\\0\\177code'",
                "the compiler failed on this component: its reply is malformed",
            ),
            (
                "printf 'C\\004\\0\\0\\0\\0\\0\\0\\0code'",
                "4 bytes of code",
            ),
            (
                "printf 'R\\004\\0\\0\\0\\0\\0\\0\\0no\\033!'",
                "cannot compile the component: no\\u{1b}!",
            ),
        ] {
            assert_eq!(
                message(&wait(script, limits), b"wasm"),
                expected,
                "{script}"
            );
        }
    }

    #[test]
    fn the_worker_gets_the_component_and_an_empty_environment() {
        let script = "test \"$(tail -c +9)\" = wasm && test -z \"$HOME$PATH_BEFORE$CARGO\" \
                      && printf 'C\\002\\0\\0\\0\\0\\0\\0\\0ok'";
        assert_eq!(
            message(&wait(script, AdmissionLimits::default()), b"wasm"),
            "2 bytes of code"
        );
    }

    #[test]
    fn a_failed_component_is_not_compiled_again() {
        let file = std::env::temp_dir().join(format!("orwd-{:016x}", rand::random::<u64>()));
        let script = format!("echo once >> {}; exit 1", file.display());
        let compiler = wait(&script, AdmissionLimits::default());
        let first = message(&compiler, b"one");
        assert_eq!(message(&compiler.clone(), b"one"), first);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "once\n");
        message(&compiler, b"another");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "once\nonce\n");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_missing_compiler_says_nothing_about_the_component() {
        let nowhere = Compiler::new("/nowhere/orwd".into(), AdmissionLimits::default());
        let error = message(&nowhere, b"wasm");
        assert!(error.starts_with("cannot run the compiler: "), "{error}");
        assert_eq!(nowhere.known_failure(Digest::of(b"wasm")), None);
    }

    #[test]
    fn the_oldest_failure_is_forgotten_first() {
        let compiler = Compiler::new("/nowhere/orwd".into(), AdmissionLimits::default());
        let digest = |n: usize| Digest::of(&n.to_le_bytes());
        let error = CompileError::Refused("no".to_owned());
        for n in 0..=MAX_FAILURES {
            compiler.record_failure(digest(n), &error);
        }
        assert_eq!(compiler.known_failure(digest(0)), None);
        assert_eq!(compiler.known_failure(digest(1)), Some(error));
        assert_eq!(compiler.failures().len(), MAX_FAILURES);
    }
}
