//! What authors get wrong is refused by the compiler, in words that say what to
//! write instead. The texts are those of the pinned compiler; after a change
//! to them:
//!
//! ```text
//! TRYBUILD=overwrite cargo test -p orwd-sdk --test mistakes
//! ```

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/mistakes/*.rs");
}
