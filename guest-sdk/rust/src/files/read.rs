//! Reading a file for an agent: text with line numbers, or a picture.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::{Block, Context, Image, Result, bail, text};

/// Lines that are shown unless the agent asks for another number.
const DEFAULT_LINES: u64 = 2000;

/// Bytes of a line that are shown.
const MAX_LINE: usize = 2000;

/// Bytes of text that are shown.
const MAX_TEXT: usize = 256 << 10;

/// Bytes of a picture.
const MAX_IMAGE: u64 = 4 << 20;

/// Bytes of a file that edits and searches read.
const MAX_FILE: u64 = 8 << 20;

/// Returns lines from `offset`, which counts from 1, as `cat -n` shows them; or the
/// picture in the file. Text is read line by line, so a file of any size can be
/// shown in parts.
pub(crate) fn show(path: &Path, offset: Option<u64>, limit: Option<u64>) -> Result<Vec<Block>> {
    let file = open(path)?;
    let mut reader = BufReader::new(file);
    let start = reader.fill_buf()?;
    if let Some(mime_type) = image_type(start) {
        let mut data = Vec::new();
        reader.take(MAX_IMAGE + 1).read_to_end(&mut data)?;
        if data.len() as u64 > MAX_IMAGE {
            bail!("the picture has more than {MAX_IMAGE} bytes");
        }
        return Ok(vec![Image::new(mime_type, data).into()]);
    }
    if start.contains(&0) {
        bail!("the file is binary; look at it with the shell, such as `xxd FILE | head`");
    }
    let first = offset.unwrap_or(1).max(1);
    let last = first.saturating_add(limit.unwrap_or(DEFAULT_LINES));
    let mut shown = String::new();
    let mut number = 0_u64;
    let mut line = Vec::new();
    loop {
        let whole = next_line(&mut reader, &mut line)?;
        let Some(whole) = whole else { break };
        number += 1;
        if number < first {
            continue;
        }
        if number >= last || shown.len() > MAX_TEXT {
            shown.push_str(&format!(
                "[more lines follow; continue with offset {number}]\n"
            ));
            break;
        }
        let cut = if whole { "" } else { " [line cut]" };
        shown.push_str(&format!(
            "{number:>6}\t{}{cut}\n",
            String::from_utf8_lossy(&line)
        ));
    }
    if number == 0 {
        shown.push_str("[the file is empty]\n");
    } else if number < first {
        bail!("the file has {number} lines, and offset is {first}");
    }
    Ok(vec![text(shown)])
}

/// Reads a line without its end, of which only the beginning is kept. Returns
/// whether it is whole, or `None` at the end of the file.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> Result<Option<bool>> {
    line.clear();
    let mut any = false;
    let mut whole = true;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
        let room = MAX_LINE.saturating_sub(line.len()).min(part.len());
        whole &= room == part.len();
        line.extend(part.iter().take(room));
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

/// Reads a whole text file.
pub(crate) fn text_of(path: &Path) -> Result<String> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("the file has more than {MAX_FILE} bytes");
    }
    String::from_utf8(bytes).context("the file is no UTF-8 text")
}

fn open(path: &Path) -> Result<File> {
    let found = std::fs::metadata(path).map_err(crate::Error::msg);
    match found {
        Ok(found) if found.is_dir() => bail!("is a folder; list it"),
        Ok(_) => Ok(File::open(path)?),
        Err(_) => bail!("no such file"),
    }
}

fn image_type(start: &[u8]) -> Option<&'static str> {
    let webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP".as_slice());
    match start {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        _ if webp => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::TempFolder;

    #[test]
    fn lines_have_numbers_and_can_be_read_in_parts() {
        let temp = TempFolder::new("read");
        let path = temp.path().join("file");
        fs::write(&path, "one\ntwo\r\nthree\nfour").unwrap();
        let shown = |offset, limit| {
            let blocks = show(&path, offset, limit).map_err(|error| error.to_string())?;
            Ok::<_, String>(blocks[0].as_text().unwrap().to_owned())
        };
        assert_eq!(
            shown(None, None).unwrap(),
            "     1\tone\n     2\ttwo\r\n     3\tthree\n     4\tfour\n"
        );
        assert_eq!(
            shown(Some(2), Some(1)).unwrap(),
            "     2\ttwo\r\n[more lines follow; continue with offset 3]\n"
        );
        assert_eq!(shown(Some(4), Some(9)).unwrap(), "     4\tfour\n");
        assert_eq!(
            shown(Some(5), None).unwrap_err(),
            "the file has 4 lines, and offset is 5"
        );
        fs::write(&path, "").unwrap();
        assert_eq!(shown(None, None).unwrap(), "[the file is empty]\n");
    }

    #[test]
    fn a_long_line_is_cut_and_a_binary_file_refused() {
        let temp = TempFolder::new("read-cut");
        let path = temp.path().join("file");
        fs::write(&path, "x".repeat(10_000)).unwrap();
        let blocks = show(&path, None, None).unwrap();
        let shown = blocks[0].as_text().unwrap();
        assert!(
            shown.len() < 2100 && shown.ends_with("[line cut]\n"),
            "{shown}"
        );
        fs::write(&path, b"a\0b").unwrap();
        assert!(
            show(&path, None, None)
                .unwrap_err()
                .to_string()
                .contains("binary")
        );
        fs::write(&path, b"\x89PNG\r\n\x1a\n\0\0").unwrap();
        let Block::Image(image) = &show(&path, None, None).unwrap()[0] else {
            panic!("no picture");
        };
        assert_eq!(image.mime_type, "image/png");
        assert!(
            show(temp.path(), None, None)
                .unwrap_err()
                .to_string()
                .contains("folder")
        );
    }
}
