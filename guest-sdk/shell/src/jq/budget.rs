//! What one run of `jq` may use. A guest cannot catch a panic, and an overflow of the
//! stack ends the session: so each step is counted, and a run that exceeds a bound goes
//! on failing until it has ended.

use std::cell::{Cell, RefCell};

use jaq_core::{Error, Exn};

use super::value::Value;
use crate::guard::meter;
use crate::guard::stack::StackUse;

/// Levels of arrays and objects inside each other, as `jq` reads them.
pub(crate) const MAX_DEPTH: u32 = 256;

/// Bytes of JSON text of one value. A value may hold another many times, so it can be
/// much larger than the memory that it takes.
pub(crate) const MAX_WEIGHT: u64 = 64 << 20;

/// Bytes of a text.
pub(crate) const MAX_TEXT: usize = 16 << 20;

/// Items of an array, and entries of an object. A vector that grows doubles its memory.
pub(crate) const MAX_ITEMS: usize = 2 << 20;

/// Bytes of memory that a run takes at most.
const MAX_LIVE: usize = 96 << 20;

/// Elements of a path.
pub(crate) const MAX_PATH: usize = 256;

/// Bytes of the component's stack that a run takes at most. The frames of the
/// interpreter take more of the host's stack than of this one.
const MAX_STACK: usize = 96 << 10;

/// Steps between two looks at the memory.
const STRIDE: u64 = 64;

/// Why a run was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Steps,
    Memory,
    Depth,
    Size,
    Recursion,
}

impl Stop {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Steps => "stopped: the program takes too many steps",
            Self::Memory => "stopped: the values of the program take more than 96 MiB",
            Self::Depth => "stopped: a value or a path nests more than 256 levels deep",
            Self::Size => "stopped: a value is too large",
            Self::Recursion => "stopped: the program calls itself too deeply",
        }
    }
}

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    static STOPPED: Cell<Option<Stop>> = const { Cell::new(None) };
    static LIVE: Cell<usize> = const { Cell::new(usize::MAX) };
    static STACK: RefCell<Option<RunStack>> = const { RefCell::new(None) };
}

/// The stack of a run: that of the command line, and its own part of it.
struct RunStack {
    command: StackUse,
    run: StackUse,
}

impl RunStack {
    fn is_exceeded(&self) -> bool {
        self.command.is_exceeded() || self.run.used() > MAX_STACK
    }
}

/// A run whose steps are counted until this is dropped.
pub(crate) struct Budget(());

impl Budget {
    pub(crate) fn begin(steps: u64, stack: StackUse) -> Self {
        LEFT.set(steps);
        STOPPED.set(None);
        LIVE.set(meter::live().saturating_add(MAX_LIVE));
        STACK.replace(Some(RunStack {
            command: stack,
            run: StackUse::from_here(),
        }));
        Self(())
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        LEFT.set(u64::MAX);
        STOPPED.set(None);
        LIVE.set(usize::MAX);
        STACK.replace(None);
    }
}

/// Returns why the run is to end, if it is.
pub(crate) fn stopped() -> Option<Stop> {
    STOPPED.get()
}

/// Ends the run. The first reason stays.
#[cold]
pub(crate) fn stop(reason: Stop) {
    if STOPPED.get().is_none() {
        STOPPED.set(Some(reason));
    }
}

/// Counts steps, where no error can be returned.
pub(crate) fn count(steps: u64) {
    let left = LEFT.get();
    LEFT.set(left.saturating_sub(steps));
    if left <= steps {
        stop(Stop::Steps);
    } else if left % STRIDE < steps {
        if meter::live() > LIVE.get() {
            stop(Stop::Memory);
        } else if meter::is_used_up() {
            stop(Stop::Steps);
        }
    }
}

/// Counts steps, and fails when the run is to end.
pub(crate) fn spend(steps: u64) -> Result<(), Error<Value>> {
    count(steps);
    match stopped() {
        Some(reason) => Err(Error::str(reason.reason())),
        None => Ok(()),
    }
}

/// Counts the work on this many bytes.
pub(crate) fn spend_bytes(bytes: usize) -> Result<(), Error<Value>> {
    spend(1 + bytes as u64 / 512)
}

/// Takes a step of the evaluator, at which it may have gone deeper. The exception
/// cannot be caught by the program.
pub(crate) fn step<'a>(path_is_long: bool) -> Result<(), Exn<'a, Value>> {
    if STACK.with_borrow(|stack| stack.as_ref().is_some_and(RunStack::is_exceeded)) {
        stop(Stop::Recursion);
    } else if path_is_long {
        stop(Stop::Depth);
    }
    spend(1).map_err(|_| Exn::halt(5))
}
