//! One game: an answer, the guesses so far, and when it is over.
//!
//! Knows nothing of sessions, rewards or texts shown to an agent.

use crate::word::{Feedback, Word};

/// How many guesses a player has.
pub(crate) const GUESSES: usize = 6;

/// A game in progress or over.
pub(crate) struct Game {
    answer: Word,
    turns: Vec<Turn>,
}

/// A guess that counted, and what was said of it.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) guess: Word,
    pub(crate) feedback: Feedback,
}

/// How a game stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Guesses are left; how many.
    Open(usize),
    /// The last guess was the answer.
    Won,
    /// No guess is left.
    Lost,
}

impl Game {
    /// A game on an answer.
    pub(crate) fn new(answer: Word) -> Self {
        Self {
            answer,
            turns: Vec::with_capacity(GUESSES),
        }
    }

    /// Takes a guess into account, and says how the game stands then. A game
    /// that is over takes none.
    pub(crate) fn guess(&mut self, guess: Word) -> Standing {
        if matches!(self.standing(), Standing::Open(_)) {
            let feedback = Feedback::of(guess, self.answer);
            self.turns.push(Turn { guess, feedback });
        }
        self.standing()
    }

    /// How the game stands.
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

    /// The guesses that counted, in order.
    pub(crate) fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// The word to be found.
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
    fn the_answer_wins_even_as_the_last_guess() {
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
    fn a_game_that_is_over_stays_as_it_is() {
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
