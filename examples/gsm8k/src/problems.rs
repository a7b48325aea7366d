//! Reads problems from the JSON lines files of a data directory.
//!
//! A split is a file that exists. The line number of a problem is its index plus
//! one. So a session finds its problem by skipping lines without parsing them,
//! which takes a few milliseconds even at the end of the full training file.
//! Only a listing parses the whole file. The error for an invalid line contains
//! its file and line number.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::number::{self, Number, Reading};

/// The mark that some programs write at the beginning of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    Test,
}

impl Part {
    pub(crate) const ALL: [Self; 2] = [Self::Train, Self::Test];

    /// The name of the split.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }

    /// Returns the part with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::Train => "train.jsonl",
            Self::Test => "test.jsonl",
        }
    }
}

/// The location of a problem: `train-0` is the first line of `train.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProblemId {
    pub(crate) part: Part,
    pub(crate) index: usize,
}

impl fmt::Display for ProblemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.part.name(), self.index)
    }
}

impl FromStr for ProblemId {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let parse = || {
            let (part, index) = text.split_once('-')?;
            Some(Self {
                part: Part::named(part)?,
                index: index.parse().ok()?,
            })
        };
        // `train-007` is not an alias of `train-7`.
        parse()
            .filter(|id| id.to_string() == text)
            .ok_or_else(|| DataError::NoId(text.to_owned()))
    }
}

/// A problem and its solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) question: String,
    pub(crate) gold: Number,
}

/// The reason why a problem cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    #[error("{0:?} is no task of this environment: an id looks like `train-0` or `test-0`")]
    NoId(String),
    #[error("there is no task {id}: {} ends before line {}", file.display(), id.index.saturating_add(1))]
    NoSuchProblem { id: ProblemId, file: PathBuf },
    #[error("{} cannot be read: {cause}", file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
    #[error("{}, line {line}: {why}", file.display())]
    Malformed {
        file: PathBuf,
        line: usize,
        why: String,
    },
}

/// A directory of problem files.
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Returns the directory at a path, without reading it.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the parts whose file exists.
    pub(crate) fn parts(&self) -> Vec<Part> {
        Part::ALL
            .into_iter()
            .filter(|part| self.file(*part).is_file())
            .collect()
    }

    /// Reads and validates all problems of a part.
    pub(crate) fn problems(&self, part: Part) -> Result<Vec<Problem>, DataError> {
        let file = self.file(part);
        let mut lines = Lines::open(&file)?;
        let mut problems = Vec::new();
        let mut blank = None;
        while let Some(line) = lines.next_line()? {
            match (line.is_blank(), blank) {
                // Blank lines at the end are ignored; one before a problem
                // would shift the ids.
                (true, _) => blank = blank.or(Some(line.number)),
                (false, Some(number)) => {
                    return Err(DataError::Malformed {
                        file,
                        line: number,
                        why: "an empty line between problems".to_owned(),
                    });
                }
                (false, None) => problems.push(line.problem(&file)?),
            }
        }
        Ok(problems)
    }

    /// Reads the file up to the line of a problem, and returns the problem.
    pub(crate) fn problem(&self, id: ProblemId) -> Result<Problem, DataError> {
        let file = self.file(id.part);
        let mut lines = Lines::open(&file)?;
        lines.skip(id.index)?;
        match lines.next_line()? {
            Some(line) if !line.is_blank() => line.problem(&file),
            _ => Err(DataError::NoSuchProblem { id, file }),
        }
    }

    fn file(&self, part: Part) -> PathBuf {
        self.root.join(part.file_name())
    }
}

/// A problem file, read line by line.
struct Lines<'a> {
    file: &'a Path,
    reader: BufReader<File>,
    /// The number of lines that were read or skipped.
    passed: usize,
}

impl<'a> Lines<'a> {
    /// Each read is a call into the host, so a buffer larger than the default
    /// saves time.
    const BUFFER_BYTES: usize = 64 * 1024;

    fn open(file: &'a Path) -> Result<Self, DataError> {
        let opened = File::open(file).map_err(|cause| unreadable(file, cause))?;
        Ok(Self {
            file,
            reader: BufReader::with_capacity(Self::BUFFER_BYTES, opened),
            passed: 0,
        })
    }

    fn skip(&mut self, lines: usize) -> Result<(), DataError> {
        for _ in 0..lines {
            let skipped = self
                .reader
                .skip_until(b'\n')
                .map_err(|cause| unreadable(self.file, cause))?;
            if skipped == 0 {
                break;
            }
            self.passed += 1;
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<Line>, DataError> {
        let mut bytes = Vec::new();
        let read = self
            .reader
            .read_until(b'\n', &mut bytes)
            .map_err(|cause| unreadable(self.file, cause))?;
        if read == 0 {
            return Ok(None);
        }
        if self.passed == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        self.passed += 1;
        Ok(Some(Line {
            number: self.passed,
            bytes,
        }))
    }
}

fn unreadable(file: &Path, cause: io::Error) -> DataError {
    DataError::Unreadable {
        file: file.to_owned(),
        cause,
    }
}

/// A line of a problem file, not parsed yet.
struct Line {
    /// Counted from 1.
    number: usize,
    bytes: Vec<u8>,
}

/// The public line format. Further members are ignored.
#[derive(Deserialize)]
#[serde(expecting = "an object with `question` and `answer`")]
struct Written {
    question: String,
    /// The solution in steps, and after `####` the number.
    answer: String,
}

impl Line {
    fn is_blank(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }

    fn problem(&self, file: &Path) -> Result<Problem, DataError> {
        let malformed = |why| DataError::Malformed {
            file: file.to_owned(),
            line: self.number,
            why,
        };
        let written: Written = serde_json::from_slice(self.bytes.trim_ascii_end())
            .map_err(|error| malformed(json_error(&error)))?;
        if written.question.trim().is_empty() {
            return Err(malformed("`question` is empty".to_owned()));
        }
        let Some((_, gold)) = written.answer.rsplit_once("####") else {
            return Err(malformed(
                "`answer` has no `####` with the number after it".to_owned(),
            ));
        };
        match number::read(gold) {
            Reading::One(gold) => Ok(Problem {
                question: written.question,
                gold,
            }),
            _ => Err(malformed(format!(
                "after `####` stands {:?}, which is not one number",
                gold.trim()
            ))),
        }
    }
}

/// Returns the message of the parser without its line number, which is always 1.
fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(message) => format!("{message}, at column {}", error.column()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"question": "1 + 1?", "answer": "1+1=<<1+1=2>>2\n#### 2"}"#;
    const LARGE: &str =
        r#"{"question": "Caf\u00e9 price?", "answer": "So #### -1,200.50", "by": 1}"#;

    /// Creates a data directory whose training file has this text.
    fn with_train(text: &str) -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("train.jsonl"), text).unwrap();
        let data = DataDir::new(folder.path());
        (folder, data)
    }

    fn train(index: usize) -> ProblemId {
        ProblemId {
            part: Part::Train,
            index,
        }
    }

    /// Removes the folder from a message, because it differs between runs.
    fn message(folder: &tempfile::TempDir, error: DataError) -> String {
        let root = format!("{}/", folder.path().display());
        error.to_string().replace(&root, "")
    }

    #[test]
    fn the_existing_files_are_the_parts() {
        let (folder, data) = with_train(GOOD);
        assert_eq!(data.parts(), [Part::Train]);
        std::fs::write(folder.path().join("test.jsonl"), GOOD).unwrap();
        assert_eq!(data.parts(), [Part::Train, Part::Test]);
        assert_eq!(DataDir::new(folder.path().join("nowhere")).parts(), []);
    }

    #[test]
    fn a_problem_is_the_same_whether_listed_or_looked_up() {
        for end in ["", "\n", "\r\n", "\n\n \n"] {
            let (_folder, data) = with_train(&format!("{GOOD}\r\n{LARGE}{end}"));
            let listed = data.problems(Part::Train).unwrap();
            assert_eq!(listed.len(), 2, "{end:?}");
            for (index, problem) in listed.iter().enumerate() {
                assert_eq!(data.problem(train(index)).unwrap(), *problem);
            }
            assert_eq!(listed[1].question, "Café price?");
            assert_eq!(listed[1].gold.to_string(), "-1200.5");
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let (_folder, data) = with_train(&format!("\u{feff}{GOOD}\n{LARGE}\n"));
        let listed = data.problems(Part::Train).unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(data.problem(train(0)).unwrap(), listed[0]);
        assert_eq!(data.problem(train(1)).unwrap(), listed[1]);
    }

    #[test]
    fn an_error_names_the_malformed_line() {
        let table = [
            ("{", "EOF while parsing an object, at column 1"),
            (
                "[]",
                "invalid length 0, expected an object with `question` and `answer`, at column 2",
            ),
            (
                r#"{"question": "?"}"#,
                "missing field `answer`, at column 17",
            ),
            (
                r#"{"question": "?", "answer": 2}"#,
                "invalid type: integer `2`, expected a string, at column 29",
            ),
            (
                r#"{"question": " ", "answer": "So #### 2"}"#,
                "`question` is empty",
            ),
            (
                r#"{"question": "?", "answer": "2"}"#,
                "`answer` has no `####` with the number after it",
            ),
            (
                r#"{"question": "?", "answer": "So #### two"}"#,
                "after `####` stands \"two\", which is not one number",
            ),
            (
                r#"{"question": "?", "answer": "So #### 2 3"}"#,
                "after `####` stands \"2 3\", which is not one number",
            ),
        ];
        for (line, why) in table {
            let (folder, data) = with_train(&format!("{GOOD}\n{line}\n{GOOD}\n"));
            let expected = format!("train.jsonl, line 2: {why}");
            let listing = data.problems(Part::Train).unwrap_err();
            assert_eq!(message(&folder, listing), expected);
            let look_up = data.problem(train(1)).unwrap_err();
            assert_eq!(message(&folder, look_up), expected);
            // The line fails the listing, but not the sessions of other lines.
            assert!(data.problem(train(2)).is_ok());
        }
    }

    #[test]
    fn an_empty_line_between_problems_is_malformed() {
        let (folder, data) = with_train(&format!("{GOOD}\n\n\n{GOOD}\n"));
        assert_eq!(
            message(&folder, data.problems(Part::Train).unwrap_err()),
            "train.jsonl, line 2: an empty line between problems"
        );
    }

    #[test]
    fn a_missing_file_or_line_is_reported() {
        let (folder, data) = with_train(&format!("{GOOD}\n\n"));
        for index in [1, 2, 500] {
            assert_eq!(
                message(&folder, data.problem(train(index)).unwrap_err()),
                format!(
                    "there is no task train-{index}: train.jsonl ends before line {}",
                    index + 1
                )
            );
        }
        let missing = data.problems(Part::Test).unwrap_err();
        let said = message(&folder, missing);
        assert!(said.starts_with("test.jsonl cannot be read: "), "{said}");
    }

    #[test]
    fn ids_have_one_spelling() {
        assert_eq!("train-12".parse::<ProblemId>().unwrap(), train(12));
        assert_eq!(train(12).to_string(), "train-12");
        for text in [
            "", "train", "train-", "train--1", "train-01", "dev-0", "train-+1",
        ] {
            assert!(text.parse::<ProblemId>().is_err(), "{text:?}");
        }
    }
}
