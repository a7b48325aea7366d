//! The suite's table: one row per attack, with what was tried and what
//! happened.
//!
//! It is written to standard error directly, past the test runner's capture,
//! and kept in `target/orwd-hostile/FAMILY.md`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

use orwd_tests::artifacts;

use super::canary::CanaryStats;
use super::process_stats::ProcessStats;

/// The outcome of one attack.
pub(crate) struct AttackRow {
    /// What was tried.
    pub(crate) attack: String,
    /// The limit or the rule that stops it.
    pub(crate) stops: String,
    /// What its client saw.
    pub(crate) saw: String,
    /// How long the attack took.
    pub(crate) took: Duration,
    /// What the canary saw during the attack.
    pub(crate) canary: CanaryStats,
    /// The number of tries.
    pub(crate) tries: usize,
    /// Why the case failed.
    pub(crate) problem: Option<String>,
}

/// The table of one family.
pub(crate) struct AttackReport {
    family: &'static str,
    text: String,
}

impl AttackReport {
    /// Creates an empty table. `quiet` is what the canary saw before the first
    /// attack.
    pub(crate) fn new(family: &'static str, flags: &[&str], quiet: &CanaryStats) -> Self {
        let flags: Vec<String> = flags.chunks(2).map(|pair| pair.join(" ")).collect();
        let mut text = format!("\n## {family}\n\n");
        if !flags.is_empty() {
            let _ = writeln!(text, "Limits: `{}`.", flags.join(" "));
        }
        let _ = writeln!(
            text,
            "Canary before the first attack: {}.\n",
            summary(quiet)
        );
        text.push_str("| attack | stopped by | the client saw | took | canary | tries |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        Self { family, text }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, row: AttackRow) {
        let saw = match &row.problem {
            None => row.saw,
            Some(problem) => format!("**{}** {problem}", row.saw),
        };
        let _ = writeln!(
            self.text,
            "| {} | {} | {} | {:.0} ms | {} | {} |",
            cell(&row.attack),
            cell(&row.stops),
            cell(&saw),
            row.took.as_secs_f64() * 1e3,
            summary(&row.canary),
            row.tries
        );
    }

    /// Prints the table and writes it to its file.
    pub(crate) fn print(&mut self, total: &CanaryStats, start: &ProcessStats, end: &ProcessStats) {
        let _ = writeln!(
            self.text,
            "\nCanary in total: {}. The server held {start} at the start and {end} at the end.",
            summary(total)
        );
        let directory = artifacts::target_dir().join("orwd-hostile");
        fs::create_dir_all(&directory).expect("a directory can be created");
        let file = directory.join(format!("{}.md", self.family));
        fs::write(file, &self.text).expect("a file can be written");
        let _ = std::io::stderr().write_all(self.text.as_bytes());
    }
}

/// Shortens and escapes a text for a table cell.
fn cell(text: &str) -> String {
    let text: String = text.chars().take(600).collect();
    text.replace('|', "\\|").replace(['\r', '\n'], " ")
}

fn summary(canary: &CanaryStats) -> String {
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    format!(
        "{} calls, p50 {}, p99 {} ms, {} errors",
        canary.calls,
        ms(canary.p50),
        ms(canary.p99),
        canary.errors.len()
    )
}
