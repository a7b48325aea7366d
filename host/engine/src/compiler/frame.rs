//! What the host and its compiler say to each other: each message a length and
//! so many bytes, and the answer a letter before them that says what it is.

use std::io::{self, Read, Write};

/// What the compiler answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Native code.
    Code(Vec<u8>),
    /// The component is not valid, and why.
    Refused(String),
    /// There was not enough memory.
    NoMemory,
}

/// Why an answer is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadAnswer {
    /// It ends before it is complete.
    Cut,
    /// It does not have the form of one, or is larger than it may be.
    Malformed,
}

/// Writes a component.
pub(super) fn write_component(mut to: impl Write, wasm: &[u8]) -> io::Result<()> {
    to.write_all(&length(wasm))?;
    to.write_all(wasm)?;
    to.flush()
}

/// Reads a component, and nothing after it.
pub(super) fn read_component(mut from: impl Read) -> io::Result<Vec<u8>> {
    let size = read_length(&mut from)?;
    let mut wasm = Vec::new();
    if from.take(size).read_to_end(&mut wasm)? as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(wasm)
}

/// Writes an answer.
pub(super) fn write_answer(mut to: impl Write, answer: &Answer) -> io::Result<()> {
    let (letter, bytes) = match answer {
        Answer::Code(code) => (b'C', code.as_slice()),
        Answer::Refused(reason) => (b'R', reason.as_bytes()),
        Answer::NoMemory => (b'M', &[][..]),
    };
    to.write_all(&[letter])?;
    to.write_all(&length(bytes))?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads an answer of no more than so many bytes, which must be all there is.
pub(super) fn read_answer(mut from: impl Read, most: u64) -> Result<Answer, BadAnswer> {
    let cut = |_| BadAnswer::Cut;
    let mut letter = [0];
    from.read_exact(&mut letter).map_err(cut)?;
    let size = read_length(&mut from).map_err(cut)?;
    if size > most {
        return Err(BadAnswer::Malformed);
    }
    let mut bytes = Vec::new();
    // One byte more than announced would be one too many.
    let got = from
        .take(size.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(cut)?;
    match (got as u64).cmp(&size) {
        std::cmp::Ordering::Less => return Err(BadAnswer::Cut),
        std::cmp::Ordering::Greater => return Err(BadAnswer::Malformed),
        std::cmp::Ordering::Equal => {}
    }
    match letter {
        [b'C'] => Ok(Answer::Code(bytes)),
        [b'R'] => Ok(Answer::Refused(
            String::from_utf8_lossy(&bytes).into_owned(),
        )),
        [b'M'] if bytes.is_empty() => Ok(Answer::NoMemory),
        _ => Err(BadAnswer::Malformed),
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
    fn what_is_written_reads_back_and_a_part_of_it_does_not() {
        for answer in [
            Answer::Code(b"code".to_vec()),
            Answer::Refused("why".to_owned()),
            Answer::NoMemory,
        ] {
            let mut bytes = Vec::new();
            write_answer(&mut bytes, &answer).unwrap();
            for cut in 0..bytes.len() {
                assert_eq!(read_answer(&bytes[..cut], 4), Err(BadAnswer::Cut));
            }
            assert_eq!(read_answer(bytes.as_slice(), 4), Ok(answer));
            bytes.push(0);
            assert_eq!(read_answer(bytes.as_slice(), 4), Err(BadAnswer::Malformed));
        }
        let mut bytes = Vec::new();
        write_component(&mut bytes, b"wasm").unwrap();
        assert_eq!(read_component(bytes.as_slice()).unwrap(), b"wasm");
        for cut in 0..bytes.len() {
            assert!(read_component(&bytes[..cut]).is_err());
        }
    }
}
