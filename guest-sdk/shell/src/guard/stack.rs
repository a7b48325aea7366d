//! The depth of nested commands, measured on the stack.
//!
//! Each level of `eval`, `source`, a function or a substitution takes stack, and
//! some of them have no limit in the evaluator. A stack that overflows ends the
//! session.

/// Bytes of the component's stack that nested commands take at most. The host's
/// stack of 2 MiB grows with it, at less than half of its rate: the rest is for what the
/// innermost command evaluates.
#[cfg(target_arch = "wasm32")]
const MAX: usize = 640 << 10;

/// Unit tests run on the stack of a thread, with unoptimized frames.
#[cfg(not(target_arch = "wasm32"))]
const MAX: usize = 1 << 20;

/// The stack that is used since a place of the program.
#[derive(Clone, Copy)]
pub(crate) struct StackUse {
    base: usize,
}

impl StackUse {
    /// Measures from the caller on.
    pub(crate) fn from_here() -> Self {
        Self { base: address() }
    }

    /// Whether too much is used.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.used() > MAX
    }

    /// Returns the bytes that are used.
    pub(crate) fn used(&self) -> usize {
        self.base.abs_diff(address())
    }
}

/// Returns an address on the stack.
#[inline(never)]
fn address() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&marker)).addr()
}
