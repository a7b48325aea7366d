//! One game: an answer and the guesses so far.
//!
//! This module does not depend on sessions, rewards or the texts for the agent.

use crate::word::{Feedback, Word};

/// The number of guesses that a player has.
pub(crate) const GUESSES: usize = 6;

/// A game in progress or over.
pub(crate) struct Game {
    answer: Word,
    turns: Vec<Turn>,
}

/// A guess that counted, and its feedback.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) guess: Word,
    pub(crate) feedback: Feedback,
}

/// The state of a game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The number of guesses that are left.
    Open(usize),
    /// The last guess was the answer.
    Won,
    /// No guess is left.
    Lost,
}

impl Game {
    /// Starts a game with an answer.
    pub(crate) fn new(answer: Word) -> Self {
        Self {
            answer,
            turns: Vec::with_capacity(GUESSES),
        }
    }

    /// Adds a guess and returns the new state. A finished game does not change.
    pub(crate) fn guess(&mut self, guess: Word) -> Standing {
        if matches!(self.standing(), Standing::Open(_)) {
            let feedback = Feedback::of(guess, self.answer);
            self.turns.push(Turn { guess, feedback });
        }
        self.standing()
    }

    /// Returns the state of the game.
    pub(crate) fn standing(&self) -> Standing {
        if self
            .turns
            .last()
            .is_some_and(|turn| turn.feedback.is_solved())
        {
            return Standing::Won;
        }
        match GUESSES.saturating_sub(self.turns.len()) {
            0 => Standing::Lost,
            left => Standing::Open(left),
        }
    }

    /// Returns the guesses that counted, in order.
    pub(crate) fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// Returns the answer.
    pub(crate) fn answer(&self) -> Word {
        self.answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(answer: &str, guesses: &[&str]) -> Vec<Standing> {
        let mut game = Game::new(answer.parse().unwrap());
        guesses
            .iter()
            .map(|guess| game.guess(guess.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_answer_wins_as_the_last_guess_too() {
        use Standing::{Lost, Open, Won};
        assert_eq!(play("crane", &["crane"]), [Won]);
        assert_eq!(
            play(
                "crane",
                &["moult", "moult", "moult", "moult", "moult", "crane"]
            ),
            [Open(5), Open(4), Open(3), Open(2), Open(1), Won]
        );
        assert_eq!(
            play("crane", &["moult"; 6]),
            [Open(5), Open(4), Open(3), Open(2), Open(1), Lost]
        );
    }

    #[test]
    fn a_finished_game_does_not_change() {
        let after_defeat = [
            "moult", "moult", "moult", "moult", "moult", "moult", "crane",
        ];
        assert_eq!(play("crane", &after_defeat).last(), Some(&Standing::Lost));
        assert_eq!(
            play("crane", &["crane", "moult"]).last(),
            Some(&Standing::Won)
        );
    }
}
