//! Find a five-letter word in six guesses.
//!
//! The reward follows the rules of the game: 1 for the word, 0 after the last
//! guess, and none before. A text that is not a word does not count as a guess.

mod game;
mod word;
mod words;

use orwd_sdk::prelude::*;

use game::{GUESSES, Game, Standing};
use word::Word;
use words::WordList;

/// The splits: a name and the answers.
const SPLITS: [(&str, WordList); 2] = [("train", words::TRAIN), ("test", words::TEST)];

/// A task identifies its word by an index, not by the word itself, because
/// clients see tasks.
#[derive(Serialize, Deserialize)]
struct Task {
    id: String,
}

struct Wordle {
    game: Game,
}

fn words_of(split: &str) -> Result<WordList> {
    SPLITS
        .into_iter()
        .find(|(name, _)| *name == split)
        .map(|(_, words)| words)
        .with_context(|| format!("there is no split {split:?}"))
}

fn id_of(split: &str, place: usize) -> String {
    format!("{split}-{place}")
}

/// Returns the word of an id such as `train-17`.
fn word_of(id: &str) -> Result<Word> {
    let find = || {
        let (split, place) = id.split_once('-')?;
        let place = place.parse().ok()?;
        // `train-07` is not an alias of `train-7`.
        let word = words_of(split).ok()?.get(place)?;
        (id_of(split, place) == id).then_some(word)
    };
    find().with_context(|| {
        format!("{id:?} is no task of this environment: an id looks like `train-0` or `test-0`")
    })
}

#[environment]
impl Environment for Wordle {
    type Task = Task;

    fn splits() -> Vec<Split> {
        vec![Split::train("train"), Split::test("test")]
    }

    fn tasks(split: &str) -> Result<Vec<Task>> {
        let task = |place| Task {
            id: id_of(split, place),
        };
        Ok((0..words_of(split)?.len()).map(task).collect())
    }

    fn open(task: Task, _session: &SessionParams) -> Result<Self> {
        let game = Game::new(word_of(&task.id)?);
        Ok(Self { game })
    }

    fn prompt(&mut self) -> Result<Vec<Block>> {
        Ok(vec![text(format!(
            "Find a five-letter English word in {GUESSES} guesses, one call of `guess` each.\n\
             \n\
             Each guess is answered with a sign for each of its letters:\n\
             G  the word has this letter in this place\n\
             Y  the word has this letter in another place\n\
             -  the word has no such letter, or no more of it than are marked\n\
             \n\
             A text that is not in the word list does not count as a guess."
        ))])
    }
}

/// Input of `guess`.
#[derive(Deserialize, JsonSchema)]
struct Guess {
    /// A five-letter English word, in any case.
    word: String,
}

#[tools]
impl Wordle {
    /// Guesses the word and shows all guesses so far with what they told.
    #[tool]
    fn guess(&mut self, input: Guess) -> Result<Output> {
        let word = match input.word.parse::<Word>() {
            Ok(word) if words::GUESSES.contains(word) => word,
            Ok(word) => return Ok(self.not_counted(&format!("{word} is not in the word list"))),
            Err(why) => return Ok(self.not_counted(&why.to_string())),
        };
        let standing = self.game.guess(word);
        let end = match standing {
            Standing::Open(left) => format!("Guesses left: {left}."),
            Standing::Won => "You found the word.".to_owned(),
            Standing::Lost => format!("No guess is left. The word was {}.", self.game.answer()),
        };
        let output = Output::text(format!("{}{end}", self.history()));
        Ok(match standing {
            Standing::Open(_) => output,
            Standing::Won => output.reward(1.0).finished(),
            Standing::Lost => output.reward(0.0).finished(),
        })
    }
}

impl Wordle {
    /// Returns the guesses so far with their feedback, one in each line.
    fn history(&self) -> String {
        self.game
            .turns()
            .iter()
            .map(|turn| format!("{} {}\n", turn.guess, turn.feedback))
            .collect()
    }

    fn not_counted(&self, why: &str) -> Output {
        let left = GUESSES.saturating_sub(self.game.turns().len());
        Output::text(format!("Not counted: {why}.\nGuesses left: {left}."))
    }
}

export!(Wordle);

#[cfg(test)]
mod tests;
