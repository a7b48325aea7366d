//! Compile errors of the macros say what to write instead. The texts are those
//! of the pinned compiler; to update them after a change:
//!
//! ```text
//! TRYBUILD=overwrite cargo test -p orwd-sdk --test compile_fail
//! ```

#[test]
fn compile_errors_say_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
