//! The word lists, as they are compiled in.
//!
//! The files hold one word a line, so that word *n* stands at byte 6 × *n*
//! and a session neither parses nor copies a list. `words/make.py` says by
//! which rules they were made, and the tests hold it to them.

use crate::word::{LETTERS, Word};

/// A list of words, one a line.
#[derive(Clone, Copy)]
pub(crate) struct WordList(&'static str);

/// What may be guessed, in the order of the alphabet. Holds every answer.
pub(crate) const GUESSES: WordList = WordList(include_str!("../words/guesses.txt"));

/// The answers to train on.
pub(crate) const TRAIN: WordList = WordList(include_str!("../words/train.txt"));

/// The answers held out; none is in `TRAIN`.
pub(crate) const TEST: WordList = WordList(include_str!("../words/test.txt"));

const LINE: usize = LETTERS + 1;

impl WordList {
    /// How many words there are.
    pub(crate) fn len(self) -> usize {
        self.0.len() / LINE
    }

    /// The word at a place, counted from 0.
    pub(crate) fn get(self, index: usize) -> Option<Word> {
        let start = index.checked_mul(LINE)?;
        let end = start.checked_add(LETTERS)?;
        self.0.get(start..end)?.parse().ok()
    }

    /// Whether a list in the order of the alphabet holds a word.
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
    fn every_line_is_a_word_and_no_word_comes_twice() {
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
    fn the_digest_of_a_word_is_its_split_and_its_place() {
        let digests = |list| lines(list).into_iter().map(Sha256::digest);
        assert!(digests(TRAIN).is_sorted());
        assert!(digests(TEST).is_sorted());
        assert!(digests(TRAIN).all(|digest| digest[0] >= 51));
        assert!(digests(TEST).all(|digest| digest[0] < 51));
    }

    #[test]
    fn what_is_no_word_is_in_no_list() {
        for word in ["aaaaa", "zzzzz", "xviii", "qwert"] {
            assert!(!GUESSES.contains(word.parse().unwrap()), "{word}");
        }
        for word in ["abaci", "crane", lines(GUESSES).last().copied().unwrap()] {
            assert!(GUESSES.contains(word.parse().unwrap()), "{word}");
        }
    }
}
