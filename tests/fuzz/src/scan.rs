//! The scan of a component before compilation: any bytes are accepted or refused
//! with a reason, with the same result each time.

use orwd_engine::fuzzing::scan;

pub(crate) fn run(bytes: &[u8]) {
    let seen = scan(bytes);
    assert_eq!(seen, scan(bytes), "the second scan differs");
    if let Err(reason) = seen {
        assert!(!reason.is_empty(), "a refusal without a reason");
    }
}
