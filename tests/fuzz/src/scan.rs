//! The look at a component before it is compiled: any bytes are scanned to the
//! end, or refused with a reason, and alike each time.

use orwd_engine::fuzzing::scan;

pub(crate) fn run(bytes: &[u8]) {
    let seen = scan(bytes);
    assert_eq!(seen, scan(bytes), "the second look differs");
    if let Err(reason) = seen {
        assert!(!reason.is_empty(), "a refusal without a reason");
    }
}
