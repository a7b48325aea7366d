//! The tree for the fuzz targets: bytes become a sequence of operations.

use std::sync::OnceLock;

use super::model::{self, Beneath, NAMES, Op};

/// Operations of one input.
const OPERATIONS: usize = 64;

/// Does what the bytes say to a tree and to the model, and panics where they
/// differ or where the counters are not exact.
pub fn tree(bytes: &[u8]) {
    // Made once: no operation changes it, and that is looked at too.
    static BENEATH: OnceLock<Beneath> = OnceLock::new();
    let beneath = BENEATH.get_or_init(model::beneath);
    let mut bytes = bytes.iter().copied();
    let is_tight = bytes.next().is_some_and(|byte| byte & 1 == 1);
    let ops: Vec<Op> = std::iter::from_fn(|| op(&mut bytes))
        .take(OPERATIONS)
        .collect();
    if is_tight {
        model::stay_within(beneath, &ops);
    } else {
        model::agree(beneath, &ops);
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

/// A length: near the ends of pages, or anything up to three of them.
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
