//! Words of five letters, and the feedback for a guess.
//!
//! Parsing validates that a `Word` consists of lower-case letters a to z. Its
//! error tells the agent what to correct.

use std::fmt;
use std::str::FromStr;

/// The number of letters of a word.
pub(crate) const LETTERS: usize = 5;

/// Five letters; not necessarily a word of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word([u8; LETTERS]);

/// The reason why a text is not a word. The message is for the agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAWord(String);

impl fmt::Display for NotAWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAWord {}

impl FromStr for Word {
    type Err = NotAWord;

    /// Ignores case and surrounding white space.
    fn from_str(text: &str) -> Result<Self, NotAWord> {
        let trimmed = text.trim();
        if let Some(odd) = trimmed.chars().find(|c| !c.is_ascii_alphabetic()) {
            return Err(NotAWord(format!(
                "a guess consists of the letters a to z, and {odd:?} is none of them"
            )));
        }
        let bytes = trimmed.to_ascii_lowercase().into_bytes();
        match <[u8; LETTERS]>::try_from(bytes) {
            Ok(letters) => Ok(Self(letters)),
            Err(other) => Err(NotAWord(format!(
                "a guess has {LETTERS} letters, and this has {}",
                other.len()
            ))),
        }
    }
}

impl Word {
    /// Returns the letters in order.
    pub(crate) fn letters(self) -> [u8; LETTERS] {
        self.0
    }
}

impl fmt::Display for Word {
    /// Formats the word in capitals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|letter| write!(f, "{}", char::from(letter.to_ascii_uppercase())))
    }
}

/// The feedback for one letter of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The answer has this letter in this place.
    Here,
    /// The answer has this letter in another place, which matches no other letter
    /// of the guess.
    Elsewhere,
    /// The answer has no further such letter.
    Nowhere,
}

/// The feedback for a guess, letter by letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feedback([Mark; LETTERS]);

impl Feedback {
    /// Compares a guess with the answer.
    ///
    /// Each letter of the answer matches one letter of the guess: first a letter
    /// in the same place, then misplaced letters from left to right. So surplus
    /// letters of the guess are `Nowhere`.
    pub(crate) fn of(guess: Word, answer: Word) -> Self {
        let mut unclaimed: Vec<u8> = pairs(guess, answer)
            .filter(|(asked, actual)| asked != actual)
            .map(|(_, actual)| actual)
            .collect();
        let mut marks = [Mark::Nowhere; LETTERS];
        for (mark, (asked, actual)) in marks.iter_mut().zip(pairs(guess, answer)) {
            if asked == actual {
                *mark = Mark::Here;
            } else if let Some(at) = unclaimed.iter().position(|letter| *letter == asked) {
                unclaimed.swap_remove(at);
                *mark = Mark::Elsewhere;
            }
        }
        Self(marks)
    }

    /// Returns true if every letter is in its place.
    pub(crate) fn is_solved(self) -> bool {
        self.0.iter().all(|mark| *mark == Mark::Here)
    }
}

fn pairs(guess: Word, answer: Word) -> impl Iterator<Item = (u8, u8)> {
    guess.letters().into_iter().zip(answer.letters())
}

impl fmt::Display for Feedback {
    /// Formats the feedback as `G` for here, `Y` for elsewhere and `-` for
    /// nowhere. Every tokenizer separates these signs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|mark| {
            f.write_str(match mark {
                Mark::Here => "G",
                Mark::Elsewhere => "Y",
                Mark::Nowhere => "-",
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        text.parse().unwrap()
    }

    #[test]
    fn feedback_follows_the_rules() {
        let table = [
            // answer, guess, feedback
            ("crane", "crane", "GGGGG"),
            ("crane", "moult", "-----"),
            ("crane", "nacre", "YYYYG"),
            // One E in the answer, three in the guess: the one in its place
            // matches.
            ("crane", "eerie", "--Y-G"),
            // None in its place: the first of the three matches.
            ("theft", "eerie", "Y----"),
            // Two in the answer, three in the guess.
            ("erase", "eerie", "G-Y-G"),
            ("level", "lilly", "G-Y--"),
            // Two in the answer, one or two in the guess.
            ("geese", "crane", "----G"),
            ("level", "hello", "-GYY-"),
            ("allow", "llama", "YGY--"),
            // Three in the answer, three in the guess.
            ("geese", "eerie", "YG--G"),
            ("mamma", "gamma", "-GGGG"),
        ];
        for (answer, guess, expected) in table {
            let feedback = Feedback::of(word(guess), word(answer));
            assert_eq!(feedback.to_string(), expected, "{guess} against {answer}");
            assert_eq!(feedback.is_solved(), guess == answer);
        }
    }

    #[test]
    fn a_guess_has_five_letters_in_any_case() {
        assert_eq!(word(" CraNe\n").to_string(), "CRANE");
        let refused = [
            ("", "a guess has 5 letters, and this has 0"),
            ("cran", "a guess has 5 letters, and this has 4"),
            ("cranes", "a guess has 5 letters, and this has 6"),
            (
                "cr ne",
                "a guess consists of the letters a to z, and ' ' is none of them",
            ),
            (
                "crané",
                "a guess consists of the letters a to z, and 'é' is none of them",
            ),
        ];
        for (text, why) in refused {
            assert_eq!(text.parse::<Word>().unwrap_err().to_string(), why);
        }
    }
}
