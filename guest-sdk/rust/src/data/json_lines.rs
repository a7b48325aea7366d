//! Files of JSON lines, read one line at a time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::{Context, Result};

/// The mark that some programs write at the beginning of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The size of the read buffer.
const BUFFER: usize = 64 * 1024;

/// A file with one JSON value in each line.
///
/// A look-up reads one line. Where the lines begin is found once in each
/// instance, and no further than the look-ups need, so a file of any size takes
/// little memory. Empty lines are skipped, and so is a UTF-8 byte order mark. An
/// error names the file and the line.
///
/// ```no_run
/// use orwd_sdk::prelude::*;
///
/// #[derive(Deserialize)]
/// struct Problem { question: String, answer: String }
///
/// # fn main() -> Result<()> {
/// let problems = JsonLines::open(data_dir().join("train.jsonl"))?;
/// let first: Option<Problem> = problems.get(0)?;
/// let count = problems.count()?;
/// # let _ = (first, count);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    index: Rc<RefCell<Index>>,
}

/// Where the lines of a file begin, as far as it was read.
#[derive(Debug, Default)]
struct Index {
    starts: Vec<u64>,
    /// For each empty line, the number of values before it.
    empty: Vec<usize>,
    /// The offset of the first line that was not read.
    next: u64,
    complete: bool,
}

/// What tells a file from an older one at the same path.
type Stamp = (u64, Option<SystemTime>);

/// A file as it was when it was indexed, and its index.
type Indexed = (Stamp, Rc<RefCell<Index>>);

thread_local! {
    static KNOWN: RefCell<BTreeMap<PathBuf, Indexed>> =
        const { RefCell::new(BTreeMap::new()) };
}

impl JsonLines {
    /// Opens a file. Opening it again in the same instance is cheap.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let found = path
            .metadata()
            .with_context(|| path.display().to_string())?;
        let stamp = (found.len(), found.modified().ok());
        let index = KNOWN.with_borrow_mut(|known| match known.get(path) {
            Some((known, index)) if *known == stamp => index.clone(),
            _ => {
                let index = Rc::default();
                known.insert(path.to_owned(), (stamp, Rc::clone(&index)));
                index
            }
        });
        Ok(Self {
            path: path.to_owned(),
            index,
        })
    }

    /// Returns the number of values. The first time, this reads the whole file.
    pub fn count(&self) -> Result<usize> {
        self.scan(usize::MAX)?;
        Ok(self.index.borrow().starts.len())
    }

    /// Returns the value at this index, from 0; `None` behind the end.
    pub fn get<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>> {
        self.scan(index)?;
        let Some(start) = self.index.borrow().starts.get(index).copied() else {
            return Ok(None);
        };
        let mut file = self.file()?;
        file.seek(SeekFrom::Start(start))?;
        let mut line = Vec::new();
        BufReader::with_capacity(BUFFER, file).read_until(b'\n', &mut line)?;
        self.parse(index, start, &line).map(Some)
    }

    /// Returns the index that a client means, in which a negative one counts from
    /// the end; `None` if there is no such value.
    pub fn resolve(&self, index: i64) -> Result<Option<usize>> {
        match usize::try_from(index) {
            Ok(index) => {
                self.scan(index)?;
                let known = self.index.borrow().starts.len();
                Ok((index < known).then_some(index))
            }
            Err(_) => {
                let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
                Ok(self.count()?.checked_sub(back))
            }
        }
    }

    /// Returns all values, in order.
    pub fn all<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let count = self.count()?;
        let mut reader = BufReader::with_capacity(BUFFER, self.file()?);
        let mut line = Vec::new();
        let mut at = 0;
        (0..count)
            .map(|index| {
                let start = self.index.borrow().starts.get(index).copied();
                let start = start.context("the file has changed")?;
                reader.seek_relative(i64::try_from(start.saturating_sub(at))?)?;
                line.clear();
                at = start + reader.read_until(b'\n', &mut line)? as u64;
                self.parse(index, start, &line)
            })
            .collect()
    }

    fn file(&self) -> Result<File> {
        File::open(&self.path).with_context(|| self.path.display().to_string())
    }

    fn parse<T: DeserializeOwned>(&self, index: usize, start: u64, line: &[u8]) -> Result<T> {
        serde_json::from_slice(content(start, line)).with_context(|| {
            let empty = self.index.borrow();
            let empty = empty.empty.partition_point(|before| *before <= index);
            format!("{}, line {}", self.path.display(), index + empty + 1)
        })
    }

    /// Extends the index until it has this place, or the whole file.
    fn scan(&self, until: usize) -> Result<()> {
        let mut index = self.index.borrow_mut();
        if index.complete || index.starts.len() > until {
            return Ok(());
        }
        let mut file = self.file()?;
        file.seek(SeekFrom::Start(index.next))?;
        let mut reader = BufReader::with_capacity(BUFFER, file);
        let mut line = Vec::new();
        while index.starts.len() <= until {
            line.clear();
            let length = reader.by_ref().read_until(b'\n', &mut line)?;
            if length == 0 {
                index.complete = true;
                break;
            }
            let start = index.next;
            index.next += length as u64;
            if content(start, &line).is_empty() {
                let before = index.starts.len();
                index.empty.push(before);
            } else {
                index.starts.push(start);
            }
        }
        Ok(())
    }
}

/// Returns a line without white space around it and without the mark.
fn content(start: u64, line: &[u8]) -> &[u8] {
    let line = match start {
        0 => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
        _ => line,
    };
    line.trim_ascii()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;
    use crate::data::test_layer::TempFolder;

    #[test]
    fn lines_are_found_by_index_in_any_order() {
        let temp = TempFolder::new("lines");
        let path = temp.path().join("x.jsonl");
        for mark in ["", "\u{feff}"] {
            fs::write(
                &path,
                format!("{mark}{{\"n\":0}}\n\n{{\"n\":1}}\r\n  \n{{\"n\":2}}"),
            )
            .unwrap();
            let lines = JsonLines::open(&path).unwrap();
            let get = |index| lines.get::<Value>(index).unwrap();
            assert_eq!(get(2), Some(json!({"n": 2})));
            assert_eq!(get(0), Some(json!({"n": 0})));
            assert_eq!(get(3), None);
            assert_eq!(lines.count().unwrap(), 3);
            let all: Vec<Value> = lines.all().unwrap();
            assert_eq!(all, [json!({"n": 0}), json!({"n": 1}), json!({"n": 2})]);
            for (index, expected) in [
                (0, Some(0)),
                (2, Some(2)),
                (3, None),
                (-1, Some(2)),
                (-3, Some(0)),
                (-4, None),
                (i64::MIN, None),
                (i64::MAX, None),
            ] {
                assert_eq!(lines.resolve(index).unwrap(), expected, "{index}");
            }
        }
    }

    #[test]
    fn a_lookup_reads_no_further_than_its_line() {
        let temp = TempFolder::new("index");
        let path = temp.path().join("x.jsonl");
        fs::write(&path, "1\n2\n3\n4\n").unwrap();
        let lines = JsonLines::open(&path).unwrap();
        assert_eq!(lines.get::<u8>(1).unwrap(), Some(2));
        assert_eq!(lines.index.borrow().starts, [0, 2]);
        // Another open file of this instance has the same index.
        let again = JsonLines::open(&path).unwrap();
        assert_eq!(again.get::<u8>(0).unwrap(), Some(1));
        assert_eq!(again.count().unwrap(), 4);
        assert!(lines.index.borrow().complete);
        fs::write(&path, "10\n20\n").unwrap();
        assert_eq!(JsonLines::open(&path).unwrap().count().unwrap(), 2);
    }

    #[test]
    fn an_error_names_the_file_and_the_line() {
        let temp = TempFolder::new("errors");
        let path = temp.path().join("x.jsonl");
        fs::write(&path, "1\n\nx\n").unwrap();
        let lines = JsonLines::open(&path).unwrap();
        let error = lines.get::<u8>(1).unwrap_err().to_string();
        assert!(error.contains("x.jsonl, line 3: "), "{error}");
        let missing = JsonLines::open(temp.path().join("no.jsonl")).unwrap_err();
        assert!(missing.to_string().contains("no.jsonl"), "{missing}");
    }
}
