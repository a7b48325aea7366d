//! Words and numbers for the files of tasks.

use orwd_sdk::Rng;

pub(super) const NAMES: [&str; 12] = [
    "Ada", "Boris", "Chen", "Dora", "Emil", "Farah", "Goran", "Hana", "Ivan", "Jana", "Kofi",
    "Lena",
];

pub(super) const WORDS: [&str; 24] = [
    "amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty",
    "kayak", "ledge", "maple", "north", "ocean", "pearl", "quarry", "river", "stone", "tidal",
    "umber", "valley", "willow", "zephyr",
];

/// Returns a number of the range.
pub(super) fn number(rng: &mut Rng, from: i64, to: i64) -> i64 {
    rng.range(from..to)
}

/// Returns one of these.
pub(super) fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    rng.choose(of).copied().unwrap_or_default()
}

/// Returns this many different ones of these.
pub(super) fn some<'a>(rng: &mut Rng, of: &[&'a str], count: usize) -> Vec<&'a str> {
    let mut all = of.to_vec();
    rng.shuffle(&mut all);
    all.truncate(count);
    all
}

/// Returns a text with a line end after each line.
pub(super) fn lines<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line.as_ref());
        text.push('\n');
    }
    text
}

/// Returns a file of a task.
pub(super) fn file(name: impl Into<String>, content: impl Into<String>) -> (String, String) {
    (name.into(), content.into())
}
