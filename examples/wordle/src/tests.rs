//! The environment as a client sees it, without a host.

use super::*;

/// Opens an episode on the first word of `train`, which the transcript solves.
fn open() -> Harness<Wordle> {
    Harness::open(json!({"id": "train-0"})).unwrap()
}

fn guess(session: &mut Harness<Wordle>, word: &str) -> Output {
    session.call("guess", json!({"word": word})).unwrap()
}

#[test]
fn the_transcript_plays() {
    example_transcript::replay::<Wordle>(include_str!("../transcript.jsonl")).unwrap();
}

#[test]
fn six_wrong_guesses_lose_and_reveal_the_word() {
    let mut session = open();
    for left in (1..6).rev() {
        let output = guess(&mut session, "crane");
        assert_eq!((output.reward, output.finished), (None, false));
        assert!(output.plain().ends_with(&format!("Guesses left: {left}.")));
        assert!(!output.plain().contains("INERT"));
    }
    let output = guess(&mut session, "crane");
    assert_eq!((output.reward, output.finished), (Some(0.0), true));
    assert!(
        output
            .plain()
            .ends_with("No guess is left. The word was INERT.")
    );
}

#[test]
fn an_invalid_text_does_not_count_as_a_guess() {
    let mut session = open();
    let table = [
        ("aaaaa", "AAAAA is not in the word list"),
        ("cranes", "a guess has 5 letters, and this has 6"),
        (
            "cran3",
            "a guess consists of the letters a to z, and '3' is none of them",
        ),
    ];
    for (word, why) in table {
        assert_eq!(
            guess(&mut session, word).plain(),
            format!("Not counted: {why}.\nGuesses left: 6.")
        );
    }
    assert!(guess(&mut session, "crane").plain().ends_with("left: 5."));
}

#[test]
fn every_task_opens_on_its_word_and_does_not_reveal_it() {
    for (split, list) in SPLITS {
        let tasks = Wordle::tasks(split).unwrap();
        assert_eq!(tasks.len(), list.len());
        for (place, task) in tasks.into_iter().enumerate() {
            let word = list.get(place).unwrap();
            assert_eq!(word_of(&task.id).unwrap(), word);
            assert!(!task.id.contains(&word.to_string().to_lowercase()));
        }
    }
}

#[test]
fn an_unknown_task_is_rejected() {
    for id in [
        "",
        "train",
        "train-1731",
        "train-07",
        "test--1",
        "dev-0",
        "inert",
    ] {
        let refused = Harness::<Wordle>::open(json!({"id": id})).err().unwrap();
        let why = refused.to_string();
        assert!(
            why.contains("is no task of this environment"),
            "{id}: {why}"
        );
    }
}
