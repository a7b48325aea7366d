//! The work of a command line, counted by the allocator.
//!
//! The evaluator counts commands, but one command may copy an array of many elements
//! or a string of megabytes. So a short loop would use up the CPU time of the session.
//! Nearly all work of the evaluator allocates: the meter counts allocations and their
//! bytes, and cancels the evaluator, which looks before each command.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::backtracking;

/// Bytes of an allocation that count as another step.
const STEP_BYTES: u64 = 64;

/// The steps that are taken, and those that may be taken at most. The component has
/// one thread and runs one command line at a time.
static TAKEN: AtomicU64 = AtomicU64::new(0);
static MAX: AtomicU64 = AtomicU64::new(u64::MAX);

/// How often each step counts: the running command works on what it allocates.
static WEIGHT: AtomicU64 = AtomicU64::new(1);

/// The bytes that are allocated now.
static LIVE: AtomicUsize = AtomicUsize::new(0);

static CANCELLED: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);

/// A command line whose work is counted.
pub(crate) struct Metered(());

impl Metered {
    /// Counts from here on, and sets the flag when the work exceeds this number of
    /// steps.
    pub(crate) fn start(max: u64, cancelled: Arc<AtomicBool>) -> Self {
        *CANCELLED.lock().unwrap_or_else(PoisonError::into_inner) = Some(cancelled);
        TAKEN.store(0, Ordering::Relaxed);
        begin("", &[]);
        MAX.store(max, Ordering::Relaxed);
        Self(())
    }

    /// Whether the work was too much.
    pub(crate) fn is_exceeded(&self) -> bool {
        is_used_up()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        MAX.store(u64::MAX, Ordering::Relaxed);
        CANCELLED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// Begins a command. Some work longer on each byte than others.
pub(crate) fn begin(command: &str, arguments: &[String]) {
    let weight = match command {
        "sed" => backtracking::weight_of_sed(arguments),
        "bzip2" | "bunzip2" | "bzcat" => 16,
        "gzip" | "gunzip" | "zcat" | "tar" | "zip" | "unzip" => 8,
        "diff" | "patch" | "sort" | "join" | "column" | "fmt" => 4,
        "md5sum" | "sha1sum" | "sha224sum" | "sha256sum" | "sha384sum" | "sha512sum" | "b2sum"
        | "cksum" | "sum" | "shasum" => 2,
        _ => 1,
    };
    WEIGHT.store(weight, Ordering::Relaxed);
}

/// Counts work that allocates little. Returns whether there is some left.
pub(crate) fn charge(steps: u64) -> bool {
    take(steps);
    !is_used_up()
}

/// Whether the command line has taken all the steps that it may take.
pub(crate) fn is_used_up() -> bool {
    TAKEN.load(Ordering::Relaxed) > MAX.load(Ordering::Relaxed)
}

/// Returns the bytes that are allocated now. Outside of a component they are not
/// counted.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// Counts an allocation. Does not allocate itself.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
fn count(bytes: usize) {
    LIVE.fetch_add(bytes, Ordering::Relaxed);
    take(1 + bytes as u64 / STEP_BYTES);
}

/// Counts steps, and cancels the evaluator if there are too many.
fn take(steps: u64) {
    let steps = steps * WEIGHT.load(Ordering::Relaxed);
    let taken = TAKEN.fetch_add(steps, Ordering::Relaxed) + steps;
    if taken > MAX.load(Ordering::Relaxed) {
        cancel();
    }
}

/// Counts memory that is freed.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
fn release(bytes: usize) {
    LIVE.fetch_sub(bytes, Ordering::Relaxed);
}

#[cold]
fn cancel() {
    // It is locked while a command line starts or ends, which needs no stop.
    if let Ok(cancelled) = CANCELLED.try_lock()
        && let Some(cancelled) = &*cancelled
    {
        cancelled.store(true, Ordering::Relaxed);
    }
}

/// The allocator of components with a shell: the system's, which counts.
#[cfg(target_arch = "wasm32")]
mod allocator {
    // An allocator can only be defined so. It hands every call through to the system's
    // allocator unchanged, with the caller's guarantees, and it runs in the guest.
    #![allow(unsafe_code)]

    use std::alloc::{GlobalAlloc, Layout, System};

    use super::{count, release};

    struct Counting;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    // SAFETY: every method is that of the system's allocator.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count(layout.size());
            // SAFETY: the caller guarantees what this method demands.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            count(layout.size());
            // SAFETY: as above.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count(size);
            release(layout.size());
            // SAFETY: as above.
            unsafe { System.realloc(pointer, layout, size) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            release(layout.size());
            // SAFETY: as above.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}
