//! The messages between the host and its compiler: a tag (in replies), a
//! length, and the bytes.

use std::io::{self, Read, Write};

/// A reply of the compiler.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Native code.
    Code(Vec<u8>),
    /// The component is invalid, with the reason.
    Refused(String),
    /// The compiler ran out of memory.
    NoMemory,
}

/// A reply that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadReply {
    /// It ends before it is complete.
    Cut,
    /// It is malformed, or larger than the limit.
    Malformed,
}

/// Writes a component.
pub(crate) fn write_component(mut to: impl Write, wasm: &[u8]) -> io::Result<()> {
    to.write_all(&length(wasm))?;
    to.write_all(wasm)?;
    to.flush()
}

/// Reads a component, and nothing after it.
pub(crate) fn read_component(mut from: impl Read) -> io::Result<Vec<u8>> {
    let size = read_length(&mut from)?;
    let mut wasm = Vec::new();
    if from.take(size).read_to_end(&mut wasm)? as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(wasm)
}

/// Writes a reply.
pub(crate) fn write_reply(mut to: impl Write, reply: &Reply) -> io::Result<()> {
    let (letter, bytes) = match reply {
        Reply::Code(code) => (b'C', code.as_slice()),
        Reply::Refused(reason) => (b'R', reason.as_bytes()),
        Reply::NoMemory => (b'M', &[][..]),
    };
    to.write_all(&[letter])?;
    to.write_all(&length(bytes))?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads a reply of at most `most` bytes; trailing bytes are an error.
pub(crate) fn read_reply(mut from: impl Read, most: u64) -> Result<Reply, BadReply> {
    let cut = |_| BadReply::Cut;
    let mut letter = [0];
    from.read_exact(&mut letter).map_err(cut)?;
    let size = read_length(&mut from).map_err(cut)?;
    if size > most {
        return Err(BadReply::Malformed);
    }
    let mut bytes = Vec::new();
    // One byte more than announced would be trailing data.
    let got = from
        .take(size.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(cut)?;
    match (got as u64).cmp(&size) {
        std::cmp::Ordering::Less => return Err(BadReply::Cut),
        std::cmp::Ordering::Greater => return Err(BadReply::Malformed),
        std::cmp::Ordering::Equal => {}
    }
    match letter {
        [b'C'] => Ok(Reply::Code(bytes)),
        [b'R'] => Ok(Reply::Refused(String::from_utf8_lossy(&bytes).into_owned())),
        [b'M'] if bytes.is_empty() => Ok(Reply::NoMemory),
        _ => Err(BadReply::Malformed),
    }
}

fn length(bytes: &[u8]) -> [u8; 8] {
    (bytes.len() as u64).to_le_bytes()
}

fn read_length(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip_and_truncated_ones_fail() {
        for reply in [
            Reply::Code(b"code".to_vec()),
            Reply::Refused("why".to_owned()),
            Reply::NoMemory,
        ] {
            let mut bytes = Vec::new();
            write_reply(&mut bytes, &reply).unwrap();
            for cut in 0..bytes.len() {
                assert_eq!(read_reply(&bytes[..cut], 4), Err(BadReply::Cut));
            }
            assert_eq!(read_reply(bytes.as_slice(), 4), Ok(reply));
            bytes.push(0);
            assert_eq!(read_reply(bytes.as_slice(), 4), Err(BadReply::Malformed));
        }
        let mut bytes = Vec::new();
        write_component(&mut bytes, b"wasm").unwrap();
        assert_eq!(read_component(bytes.as_slice()).unwrap(), b"wasm");
        for cut in 0..bytes.len() {
            assert!(read_component(&bytes[..cut]).is_err());
        }
    }
}
