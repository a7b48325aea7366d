//! The fuzz target of the overlay: bytes become a sequence of operations.

use std::sync::OnceLock;

use crate::testing::model::{self, LowerFixture, NAMES, Op};

/// Operations per input.
const OPERATIONS: usize = 64;

/// Applies the operations to an overlay and to the model; panics if they differ
/// or if the counters are not exact.
pub fn overlay(bytes: &[u8]) {
    // Created once: no operation changes it, which is checked too.
    static LOWER: OnceLock<LowerFixture> = OnceLock::new();
    let lower = LOWER.get_or_init(model::lower_fixture);
    let mut bytes = bytes.iter().copied();
    let is_tight = bytes.next().is_some_and(|byte| byte & 1 == 1);
    let ops: Vec<Op> = std::iter::from_fn(|| op(&mut bytes))
        .take(OPERATIONS)
        .collect();
    if is_tight {
        model::stay_within(lower, &ops);
    } else {
        model::agree(lower, &ops);
    }
}

fn op(bytes: &mut impl Iterator<Item = u8>) -> Option<Op> {
    Some(match bytes.next()? % 10 {
        0 => Op::Write(
            path(bytes)?,
            amount(bytes)?,
            amount(bytes)?.clamp(1, 70_000),
        ),
        1 => Op::SetSize(path(bytes)?, amount(bytes)?),
        2 => Op::Truncate(path(bytes)?),
        3 => Op::MakeDir(path(bytes)?),
        4 => Op::Unlink(path(bytes)?),
        5 => Op::RemoveDir(path(bytes)?),
        6 => Op::Rename(path(bytes)?, path(bytes)?),
        7 => Op::Link(path(bytes)?, path(bytes)?),
        8 => Op::Hold(path(bytes)?),
        _ => Op::LetGo,
    })
}

/// One to four names, from one byte.
fn path(bytes: &mut impl Iterator<Item = u8>) -> Option<String> {
    let byte = bytes.next()?;
    let parts: Vec<&str> = (0..=byte >> 6)
        .filter_map(|part| NAMES.get(usize::from(byte >> (2 * part) & 3)).copied())
        .collect();
    Some(parts.join("/"))
}

/// A length: near page boundaries, or anything up to three pages.
fn amount(bytes: &mut impl Iterator<Item = u8>) -> Option<usize> {
    let number = u16::from_le_bytes([bytes.next()?, bytes.next()?]);
    let (kind, number) = (number >> 14, usize::from(number & 0x3fff));
    Some(match kind {
        0 => number % 300,
        1 => 65_536 - 150 + number % 300,
        2 => 131_072 - 150 + number % 300,
        _ => number * 12,
    })
}
