//! What a test does when something that it needs is missing on the machine.

/// Reports that a test is skipped because a requirement is missing. In CI,
/// where the variable `CI` is set, the test fails instead.
///
/// `install` says what to install or to change, so that the test can run.
#[track_caller]
pub fn skip(missing: &str, install: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "this test cannot run: {missing}; {install}"
    );
    eprintln!("SKIPPED: {missing}; {install}");
}
