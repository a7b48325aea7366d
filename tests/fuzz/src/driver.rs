//! Hands a target over to libFuzzer.
//!
//! The one place here with unsafe code: the fuzzer is C++, and gives its inputs
//! as a pointer and a length. A panic does not unwind out of `input`: it aborts
//! the process, which is how the fuzzer learns of a finding.

#![allow(unsafe_code, reason = "the fuzzer is a C library")]

use std::ffi::{CString, c_char, c_int};
use std::process::ExitCode;
use std::sync::OnceLock;

/// Looks at one input, and panics if it shows a mistake.
pub(crate) type Target = fn(&[u8]);

static TARGET: OnceLock<Target> = OnceLock::new();

type Input = extern "C" fn(*const u8, usize) -> c_int;

unsafe extern "C" {
    fn LLVMFuzzerRunDriver(argc: *mut c_int, argv: *mut *mut *mut c_char, input: Input) -> c_int;
}

extern "C" fn input(data: *const u8, size: usize) -> c_int {
    let bytes = if size == 0 {
        &[][..]
    } else {
        // SAFETY: the fuzzer gives the address of `size` bytes, which nobody
        // changes during the call.
        unsafe { std::slice::from_raw_parts(data, size) }
    };
    if let Some(target) = TARGET.get() {
        target(bytes);
    }
    0
}

/// Runs the fuzzer with these arguments to its end.
pub(crate) fn run(
    target: Target,
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
    // SAFETY: `list` holds `count` strings and a null, as `main` of a C program
    // has them, and they live until the call ends.
    let code = unsafe { LLVMFuzzerRunDriver(&mut count, &mut list, input) };
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
