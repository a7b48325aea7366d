//! Grades the files of an episode.

use std::fs;
use std::path::PathBuf;

use orwd_sdk::Folder;
use orwd_sdk::shell::{Shell, ShellLimits};
use serde_json::Value;

use crate::bench::{Check, write_files};

/// Bytes of a file that is graded.
const MAX_FILE: u64 = 4 << 20;

/// The grader of one episode.
pub(crate) struct Grader {
    folder: PathBuf,
    /// The checks of which half was paid.
    paid: Vec<bool>,
    /// The sum of all rewards so far.
    total: f64,
}

/// The grade at the end of an episode.
pub(crate) struct Grade {
    pub(crate) reward: f64,
    pub(crate) text: String,
}

impl Grader {
    pub(crate) fn new(folder: PathBuf, checks: usize) -> Self {
        Self {
            folder,
            paid: vec![false; checks],
            total: 0.0,
        }
    }

    /// Returns the reward for checks that pass for the first time. Checks that run
    /// commands are left for the end.
    pub(crate) fn progress(&mut self, checks: &[Check]) -> f64 {
        let before = self.total;
        let half = 0.5 / checks.len().max(1) as f64;
        for (place, check) in checks.iter().enumerate() {
            let runs = matches!(check, Check::Prints { .. });
            let unpaid = self.paid.get(place) == Some(&false);
            if !runs && unpaid && self.passes(check) {
                if let Some(paid) = self.paid.get_mut(place) {
                    *paid = true;
                }
                self.total += half;
            }
        }
        self.total - before
    }

    /// Returns the last reward, with which all rewards sum to the share of the checks
    /// that pass now.
    pub(crate) fn finish(&mut self, checks: &[Check]) -> Grade {
        let passed = checks.iter().filter(|check| self.passes(check)).count();
        let share = passed as f64 / checks.len().max(1) as f64;
        let reward = share - self.total;
        self.total = share;
        Grade {
            reward,
            text: format!("{passed} of {} checks pass.", checks.len()),
        }
    }

    fn passes(&self, check: &Check) -> bool {
        match check {
            Check::Text(path, expected) => self
                .read(path)
                .is_some_and(|text| text.trim_end() == expected.trim_end()),
            Check::Lines(path, expected) => self.read(path).is_some_and(|text| {
                let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
                lines.retain(|line| !line.is_empty());
                let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
                lines.sort_unstable();
                expected.sort_unstable();
                lines == expected
            }),
            Check::Json(path, expected) => self
                .read(path)
                .and_then(|text| serde_json::from_str::<Value>(&text).ok())
                .is_some_and(|found| found == *expected),
            Check::Absent(path) => Folder::at(&self.folder)
                .join(path)
                .is_ok_and(|path| path.symlink_metadata().is_err()),
            Check::Prints {
                command,
                files,
                output,
            } => {
                if write_files(&self.folder, files).is_err() {
                    return false;
                }
                let ran = Shell::at(&self.folder).run(command, &ShellLimits::default());
                ran.exit_code == 0 && ran.output.trim_end() == output.trim_end()
            }
        }
    }

    /// Reads a file that the agent may have replaced by a link or a large file.
    fn read(&self, path: &str) -> Option<String> {
        let path = Folder::at(&self.folder).join(path).ok()?;
        let found = path.metadata().ok()?;
        if !found.is_file() || found.len() > MAX_FILE {
            return None;
        }
        fs::read_to_string(path).ok()
    }
}
