//! What the evaluator does not bound itself: the depth of nested commands and of some
//! expressions, the work of a command, and the programs of `jq`. All would end the
//! session, where a limit should end the command line.

mod expressions;
mod jq;
mod jq_arguments;
mod lexer;
mod meter;
mod stack;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use bashkit::hooks::{HookAction, Interceptor, ToolEvent};

use crate::files::SessionFiles;
use crate::limits::ShellLimits;
use meter::Metered;
use stack::StackUse;

/// Watches the commands of one command line.
pub(crate) struct Guard {
    files: Arc<SessionFiles>,
    stack: StackUse,
    limits: ShellLimits,
    /// The time, in seconds, after which the command line is to be stopped.
    until: f64,
    /// The work that is being counted.
    metered: OnceLock<Metered>,
    /// The evaluator looks at it before each command.
    cancelled: OnceLock<Arc<AtomicBool>>,
    reason: OnceLock<Stopped>,
}

/// Why a command line was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Commands that run each other.
    Nesting,
    /// More work than fits into its time.
    Work,
}

impl Guard {
    /// Returns a guard of a command line that begins now, and here on the stack.
    pub(crate) fn new(files: &Arc<SessionFiles>, limits: &ShellLimits) -> Arc<Self> {
        Arc::new(Self {
            files: Arc::clone(files),
            stack: StackUse::from_here(),
            limits: *limits,
            until: now() + limits.timeout.as_secs_f64(),
            metered: OnceLock::new(),
            cancelled: OnceLock::new(),
            reason: OnceLock::new(),
        })
    }

    /// Begins to watch an evaluator, which looks at this flag before each command.
    pub(crate) fn watch(&self, cancelled: Arc<AtomicBool>) {
        // Both are set once, right after the evaluator is built.
        let _ = self
            .metered
            .set(Metered::start(self.limits.work(), Arc::clone(&cancelled)));
        let _ = self.cancelled.set(cancelled);
    }

    /// Returns why the guard has stopped the command line, if it has.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        let too_much = self.metered.get().is_some_and(Metered::is_exceeded);
        let reason = self.reason.get().copied();
        reason.or(too_much.then_some(Stopped::Work))
    }

    /// Returns the hook that sees each command before it runs.
    pub(crate) fn hook(self: &Arc<Self>) -> Interceptor<ToolEvent> {
        let guard = Arc::clone(self);
        Box::new(move |event| HookAction::Continue(guard.command(event)))
    }

    /// Looks at a command, and returns it as it is to run.
    fn command(&self, mut event: ToolEvent) -> ToolEvent {
        self.files.expect_program(None);
        if self.stack.is_exceeded() {
            self.stop(Stopped::Nesting);
        } else if matches!(event.name.as_str(), "jq" | "yq") {
            let until = (now() + jq::SECONDS).min(self.until);
            let file = jq_arguments::guard(&event.name, &mut event.args, until);
            self.files.expect_program(file.map(|name| (name, until)));
        }
        expressions::guard(&event.name, &mut event.args);
        event
    }

    fn stop(&self, reason: Stopped) {
        let _ = self.reason.set(reason);
        if let Some(cancelled) = self.cancelled.get() {
            cancelled.store(true, Ordering::Relaxed);
        }
    }
}

/// The session's time as `jq` knows it, in seconds.
fn now() -> f64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.unwrap_or_default().as_secs_f64()
}

/// Returns a program file of `jq` as it is to run.
pub(crate) fn program_file(content: Vec<u8>, until: f64) -> Vec<u8> {
    match std::str::from_utf8(&content) {
        Ok(program) => match jq::guarded(program, until) {
            jq::Guarded::AsIs => content,
            jq::Guarded::Changed(program) => program.into_bytes(),
            jq::Guarded::Refused => jq::refusal().into_bytes(),
        },
        Err(_) => content,
    }
}
