//! The suite's table: a line for each attack, so that whoever doubts can read
//! what was tried and what came of it.
//!
//! It is printed past the test harness, which would keep it to itself, and
//! kept in `target/orwd-hostile/FAMILY.md`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

use orwd_tests::artifacts;

use crate::canary::Effect;
use crate::vitals::Vitals;

/// What came of one attack.
pub struct Line {
    /// What was tried.
    pub attack: String,
    /// The limit or the rule that stops it.
    pub stops: String,
    /// What its client saw.
    pub saw: String,
    /// How long the attack took.
    pub took: Duration,
    /// What the canary saw meanwhile.
    pub effect: Effect,
    /// How often it was tried.
    pub tries: usize,
    /// What was wrong.
    pub problem: Option<String>,
}

/// The table of one family.
pub struct Report {
    family: &'static str,
    text: String,
}

impl Report {
    /// An empty one. `quiet` is what the canary saw before the first attack.
    pub fn new(family: &'static str, flags: &[&str], quiet: &Effect) -> Self {
        let flags: Vec<String> = flags.chunks(2).map(|pair| pair.join(" ")).collect();
        let mut text = format!("\n## {family}\n\n");
        if !flags.is_empty() {
            let _ = writeln!(text, "Limits: `{}`.", flags.join(" "));
        }
        let _ = writeln!(
            text,
            "Before the first attack, the canary: {}.\n",
            canary(quiet)
        );
        text.push_str("| attack | stopped by | the client saw | took | the canary | tries |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        Self { family, text }
    }

    /// Adds a line.
    pub fn add(&mut self, line: Line) {
        let saw = match &line.problem {
            None => line.saw,
            Some(problem) => format!("**{}** {problem}", line.saw),
        };
        let _ = writeln!(
            self.text,
            "| {} | {} | {} | {} | {} | {} |",
            cell(&line.attack),
            cell(&line.stops),
            cell(&saw),
            milliseconds(line.took),
            canary(&line.effect),
            line.tries
        );
    }

    /// Prints it, and keeps it.
    pub fn print(&mut self, whole: &Effect, start: &Vitals, end: &Vitals) {
        let _ = writeln!(
            self.text,
            "\nThe canary in all: {}. At the start the server held {start}; at the end, {end}.",
            canary(whole)
        );
        let folder = artifacts::target_dir().join("orwd-hostile");
        fs::create_dir_all(&folder).expect("a folder can be made");
        let file = folder.join(format!("{}.md", self.family));
        fs::write(file, &self.text).expect("a file can be written");
        let _ = std::io::stderr().write_all(self.text.as_bytes());
    }
}

/// What does not break the table, nor the line.
fn cell(text: &str) -> String {
    let text: String = text.chars().take(600).collect();
    text.replace('|', "\\|").replace(['\r', '\n'], " ")
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

fn canary(effect: &Effect) -> String {
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    format!(
        "{} calls, p50 {}, p99 {} ms, {} errors",
        effect.calls,
        ms(effect.p50),
        ms(effect.p99),
        effect.errors.len()
    )
}
