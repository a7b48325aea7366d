//! The word lists, which are compiled in.
//!
//! The files have one word in each line, so word *n* is at byte 6 × *n* and a
//! session neither parses nor copies a list. `words/make.py` defines the rules
//! of the lists, and the tests check them.

use crate::word::{LETTERS, Word};

/// A list of words, one in each line.
#[derive(Clone, Copy)]
pub(crate) struct WordList(&'static str);

/// The valid guesses, in alphabetical order. It contains every answer.
pub(crate) const GUESSES: WordList = WordList(include_str!("../words/guesses.txt"));

/// The training answers.
pub(crate) const TRAIN: WordList = WordList(include_str!("../words/train.txt"));

/// The held-out answers; none is in `TRAIN`.
pub(crate) const TEST: WordList = WordList(include_str!("../words/test.txt"));

const LINE: usize = LETTERS + 1;

impl WordList {
    /// Returns the number of words.
    pub(crate) fn len(self) -> usize {
        self.0.len() / LINE
    }

    /// Returns the word at an index.
    pub(crate) fn get(self, index: usize) -> Option<Word> {
        let start = index.checked_mul(LINE)?;
        let end = start.checked_add(LETTERS)?;
        self.0.get(start..end)?.parse().ok()
    }

    /// Returns whether a sorted list contains a word.
    pub(crate) fn contains(self, word: Word) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self
                .get(middle)
                .map(|found| found.letters().cmp(&word.letters()))
            {
                Some(std::cmp::Ordering::Equal) => return true,
                Some(std::cmp::Ordering::Less) => low = middle + 1,
                Some(std::cmp::Ordering::Greater) | None => high = middle,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sha2::{Digest, Sha256};

    use super::*;

    fn lines(list: WordList) -> Vec<&'static str> {
        list.0.lines().collect()
    }

    #[test]
    fn every_line_is_a_unique_word() {
        for list in [GUESSES, TRAIN, TEST] {
            let lines = lines(list);
            assert_eq!(lines.len(), list.len());
            assert_eq!(lines.iter().collect::<HashSet<_>>().len(), lines.len());
            for (index, line) in lines.iter().enumerate() {
                assert_eq!(
                    list.get(index).map(|word| word.to_string().to_lowercase()),
                    Some((*line).to_owned())
                );
            }
            assert_eq!(list.get(list.len()), None);
        }
        assert!(lines(GUESSES).is_sorted());
    }

    #[test]
    fn answers_can_be_guessed_and_no_answer_is_in_both_splits() {
        for word in lines(TRAIN).into_iter().chain(lines(TEST)) {
            assert!(GUESSES.contains(word.parse().unwrap()), "{word}");
        }
        let train: HashSet<_> = lines(TRAIN).into_iter().collect();
        assert!(lines(TEST).into_iter().all(|word| !train.contains(word)));
    }

    #[test]
    fn the_digest_of_a_word_determines_its_split_and_index() {
        let digests = |list| lines(list).into_iter().map(Sha256::digest);
        assert!(digests(TRAIN).is_sorted());
        assert!(digests(TEST).is_sorted());
        assert!(digests(TRAIN).all(|digest| digest[0] >= 51));
        assert!(digests(TEST).all(|digest| digest[0] < 51));
    }

    #[test]
    fn the_lists_contain_only_words() {
        for word in ["aaaaa", "zzzzz", "xviii", "qwert"] {
            assert!(!GUESSES.contains(word.parse().unwrap()), "{word}");
        }
        for word in ["abaci", "crane", lines(GUESSES).last().copied().unwrap()] {
            assert!(GUESSES.contains(word.parse().unwrap()), "{word}");
        }
    }
}
