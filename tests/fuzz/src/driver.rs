//! Hands a target over to libFuzzer.
//!
//! The only unsafe code: the fuzzer is C++, and gives its inputs
//! as a pointer and a length. A panic does not unwind out of `run_one_input`: it aborts
//! the process, which is how the fuzzer learns of a finding.

#![allow(unsafe_code, reason = "the fuzzer is a C library")]

use std::ffi::{CString, c_char, c_int};
use std::process::ExitCode;
use std::sync::OnceLock;

/// Checks one input, and panics on a finding.
pub(crate) type FuzzTarget = fn(&[u8]);

static TARGET: OnceLock<FuzzTarget> = OnceLock::new();

type InputCallback = extern "C" fn(*const u8, usize) -> c_int;

unsafe extern "C" {
    fn LLVMFuzzerRunDriver(
        argc: *mut c_int,
        argv: *mut *mut *mut c_char,
        run_one_callback: InputCallback,
    ) -> c_int;
}

extern "C" fn run_one_input(data: *const u8, size: usize) -> c_int {
    let bytes = if size == 0 {
        &[][..]
    } else {
        // SAFETY: the fuzzer passes the address of `size` bytes that stay
        // unchanged during the call.
        unsafe { std::slice::from_raw_parts(data, size) }
    };
    if let Some(target) = TARGET.get() {
        target(bytes);
    }
    0
}

/// Runs the fuzzer with these arguments to its end.
pub(crate) fn run(
    target: FuzzTarget,
    program: String,
    arguments: impl Iterator<Item = String>,
) -> ExitCode {
    TARGET.get_or_init(|| target);
    let words = std::iter::once(program).chain(arguments);
    let words: Vec<CString> = words.filter_map(|word| CString::new(word).ok()).collect();
    let mut pointers: Vec<*mut c_char> = words
        .iter()
        .map(|word| word.as_ptr().cast_mut())
        .chain([std::ptr::null_mut()])
        .collect();
    let Ok(mut count) = c_int::try_from(words.len()) else {
        return ExitCode::from(2);
    };
    let mut list = pointers.as_mut_ptr();
    // SAFETY: `list` has `count` strings and a null, like the arguments of a C
    // `main`, and all live until the call ends.
    let code = unsafe { LLVMFuzzerRunDriver(&mut count, &mut list, run_one_input) };
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
