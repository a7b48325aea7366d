//! What the evaluator does not bound itself: the depth of nested commands and of some
//! expressions, and the work of a command. All would end the session, where a limit should
//! end the command line.

mod arguments;
pub(crate) mod backtracking;
pub(crate) mod digits;
pub(crate) mod meter;
pub(crate) mod scripts;
pub(crate) mod stack;
pub(crate) mod sums;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bashkit::hooks::{HookAction, Interceptor, ToolEvent};

use crate::jq::Allowance;
use crate::limits::ShellLimits;
use meter::Metered;
use stack::StackUse;

/// Steps of the meter that a command counts besides what it allocates.
const COMMAND_STEPS: u64 = 20;

/// Steps that a program of `awk` counts which may loop: its loops allocate nothing, and
/// the evaluator stops them after a million turns.
const LOOP_STEPS: u64 = 20_000;

/// Watches the commands of one command line.
pub(crate) struct Guard {
    stack: StackUse,
    limits: ShellLimits,
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
    /// A number in braces with too many digits.
    Digits,
}

impl Guard {
    /// Returns a guard of a command line that begins now, and here on the stack.
    pub(crate) fn new(limits: &ShellLimits) -> Arc<Self> {
        Arc::new(Self {
            stack: StackUse::from_here(),
            limits: *limits,
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
        if self.stack.is_exceeded() {
            self.stop(Stopped::Nesting);
        }
        let name = event.name.as_str();
        meter::begin(name, &event.args);
        meter::charge(match name {
            "awk" | "gawk" | "mawk" | "nawk"
                if event.args.iter().any(|arg| arguments::may_loop(arg)) =>
            {
                LOOP_STEPS
            }
            _ => COMMAND_STEPS,
        });
        // Of any command: some of `trap`, `alias` and others become programs later.
        if event
            .args
            .iter()
            .any(|arg| digits::are_too_many(arg.as_bytes()))
        {
            self.stop(Stopped::Digits);
            event.args.clear();
        }
        scripts::route(name, &mut event.args);
        arguments::guard(&event.name, &mut event.args);
        event
    }

    /// Returns what a run of `jq` may take.
    pub(crate) fn allowance(&self) -> Allowance {
        Allowance {
            steps: self.limits.steps_of_jq(),
            stack: self.stack,
        }
    }

    /// Ends the command line before its next command.
    pub(crate) fn stop(&self, reason: Stopped) {
        let _ = self.reason.set(reason);
        if let Some(cancelled) = self.cancelled.get() {
            cancelled.store(true, Ordering::Relaxed);
        }
    }
}
