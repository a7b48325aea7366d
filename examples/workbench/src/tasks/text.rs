//! Texts: frequencies and puzzles.

use std::collections::BTreeMap;

use orwd_sdk::Rng;

use super::draw::{WORDS, file, lines, number, one, some};
use crate::bench::{Bench, Check};

/// The most frequent words.
pub(super) fn frequencies(rng: &mut Rng) -> Bench {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    let vocabulary = some(rng, &WORDS, 14);
    let mut text = Vec::new();
    for _ in 0..30 {
        let mut sentence = Vec::new();
        for _ in 0..number(rng, 4, 10) {
            // Earlier words are more frequent.
            let word = vocabulary
                .get(rng.index(vocabulary.len()).min(rng.index(vocabulary.len())))
                .copied()
                .unwrap_or_default();
            *counts.entry(word).or_default() += 1;
            sentence.push(match rng.chance(0.2) {
                true => word.to_uppercase(),
                false => word.to_owned(),
            });
        }
        text.push(format!("{}.", sentence.join(one(rng, &[" ", ", ", " - "]))));
    }
    let different = counts.len();
    let mut counts: Vec<(&str, i64)> = counts.into_iter().collect();
    counts.sort_by_key(|(word, count)| (-count, *word));
    let top = counts
        .iter()
        .take(8)
        .map(|(word, count)| format!("{word} {count}"));
    Bench {
        prompt: "Count the words of `text.txt` without regard to case; words consist of letters. \
                 Write the eight most frequent to `top.txt`, as lines `WORD COUNT` in lower case, \
                 highest count first, and by word for equal counts. Write the number of different \
                 words to `different.txt`."
            .to_owned(),
        files: vec![file("text.txt", lines(text))],
        checks: vec![
            Check::Text("top.txt".into(), lines(top)),
            Check::Text("different.txt".into(), different.to_string()),
        ],
    }
}

/// A message in the first letters of numbered lines.
pub(super) fn acrostic(rng: &mut Rng) -> Bench {
    let message = some(rng, &WORDS, 3).join("");
    let mut numbers: Vec<i64> = (0..message.len() as i64)
        .map(|place| place * 7 + 3)
        .collect();
    let last = numbers.last().copied().unwrap_or_default();
    let mut text: Vec<String> = numbers
        .drain(..)
        .zip(message.chars())
        .map(|(number, letter)| {
            let rest = one(rng, &WORDS);
            format!("{number}: {letter}{rest} {}", one(rng, &WORDS))
        })
        .collect();
    rng.shuffle(&mut text);
    Bench {
        prompt:
            "The lines of `notes.txt` are numbered but out of order. In order of their numbers, \
                 the first letters of their texts are a message. Write the message to \
                 `message.txt`, and the highest number to `last.txt`."
                .to_owned(),
        files: vec![file("notes.txt", lines(text))],
        checks: vec![
            Check::Text("message.txt".into(), message),
            Check::Text("last.txt".into(), last.to_string()),
        ],
    }
}

/// A text whose letters are shifted.
pub(super) fn cipher(rng: &mut Rng) -> Bench {
    let shift = number(rng, 3, 24) as u8;
    let key = one(rng, &WORDS);
    let mut plain = vec![format!("the key is {key}.")];
    for _ in 0..number(rng, 3, 6) {
        plain.push(format!("{}.", some(rng, &WORDS, 5).join(" ")));
    }
    let plain = lines(plain);
    let shifted: String = plain
        .chars()
        .map(|letter| match letter.is_ascii_lowercase() {
            true => char::from((letter as u8 - b'a' + shift) % 26 + b'a'),
            false => letter,
        })
        .collect();
    Bench {
        prompt:
            "In `secret.txt` each letter was replaced by the one a fixed number of places later \
                 in the alphabet, which begins again after z. The text begins with `the key is`. \
                 Write the text to `plain.txt`, and the key, one word, to `key.txt`."
                .to_owned(),
        files: vec![file("secret.txt", shifted)],
        checks: vec![
            Check::Text("plain.txt".into(), plain),
            Check::Text("key.txt".into(), key.to_owned()),
        ],
    }
}

/// A table of contents.
pub(super) fn contents(rng: &mut Rng) -> Bench {
    let (mut text, mut contents) = (vec!["# Manual".to_owned(), String::new()], Vec::new());
    let mut chapters = 0;
    for word in some(rng, &WORDS, 8) {
        let deep = rng.chance(0.5) && chapters > 0;
        let (marks, indent) = if deep { ("###", "  ") } else { ("##", "") };
        chapters += i64::from(!deep);
        text.push(format!("{marks} The {word} part"));
        text.push(format!("Text on {}.", one(rng, &WORDS)));
        if rng.chance(0.3) {
            text.extend(["```", "## no heading, but code", "```"].map(str::to_owned));
        }
        contents.push(format!("{indent}- [The {word} part](#the-{word}-part)"));
    }
    Bench {
        prompt: "Write a table of contents of `manual.md` to `contents.md`: for each heading of \
                 level 2 a line `- [TITLE](#ANCHOR)`, and for each of level 3 the same, indented by \
                 two spaces, in their order. The anchor is the title in lower case with `-` for \
                 spaces. Lines between ``` are code and no headings. Write the number of headings of \
                 level 2 to `chapters.txt`."
            .to_owned(),
        files: vec![file("manual.md", lines(text))],
        checks: vec![
            Check::Text("contents.md".into(), lines(contents)),
            Check::Text("chapters.txt".into(), chapters.to_string()),
        ],
    }
}
