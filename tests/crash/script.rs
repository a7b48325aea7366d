//! What a client does in one episode. A script depends on its seed alone, so
//! that the same one can be played to a host that is killed and to one that is
//! not.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Few, so that the same call often comes twice in a row and means it.
const VALUES: [&str; 5] = ["north", "east", "south", "west", "wait"];

/// An episode from `/create` to `/delete`.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    /// How long the setup takes.
    pub(crate) setup_ms: u64,
    /// Calls bear an `Idempotency-Key`.
    pub(crate) keyed: bool,
    pub(crate) steps: Vec<Step>,
}

/// A call that folds a value in.
#[derive(Clone, Debug)]
pub(crate) struct Fold {
    pub(crate) value: &'static str,
    /// How long the tool takes for it.
    pub(crate) ms: u64,
}

/// One thing that a client does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Makes a call.
    Call(Fold, Leave),
    /// Makes two calls at once, the second when the first has its id.
    Pair([Fold; 2]),
    /// Asks for the prompt, which tells how the chain stands.
    Prompt,
    /// Says that it is there.
    Ping,
    /// Does nothing for so many milliseconds.
    Think(u64),
    /// Forks the session some calls back, and makes a call in each child.
    Fork { back: usize, children: Vec<Fold> },
    /// Deletes the session and creates it again under its old id.
    Anew,
    /// Does nothing until there are no more kills.
    Rest,
}

/// Whether a client hangs up on its own call, to come back for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Never,
    /// As soon as the call is sent. Only a key makes sure that it is known
    /// again if the host is killed as well.
    Blind,
    /// When it has the id.
    WithId,
}

impl Script {
    /// An episode of a few seconds.
    pub(crate) fn busy(seed: u64) -> Script {
        let mut random = StdRng::seed_from_u64(seed);
        let keyed = random.random_bool(0.5);
        let steps = random.random_range(6..=24);
        Script {
            seed,
            setup_ms: *[0, 0, 30, 200].choose(&mut random).unwrap_or(&0),
            keyed,
            steps: (0..steps).map(|_| step(&mut random, keyed)).collect(),
        }
    }

    /// One that is begun, left alone for as long as the host is being killed,
    /// and ended.
    pub(crate) fn patient(seed: u64) -> Script {
        let mut random = StdRng::seed_from_u64(seed);
        let mut calls = || -> Vec<Step> {
            let calls = random.random_range(1..=4);
            (0..calls)
                .map(|_| Step::Call(fold(&mut random), Leave::Never))
                .collect()
        };
        let steps = [calls(), vec![Step::Rest, Step::Prompt], calls()].concat();
        Script {
            seed,
            setup_ms: 0,
            keyed: false,
            steps,
        }
    }
}

fn fold(random: &mut StdRng) -> Fold {
    Fold {
        value: VALUES.choose(random).copied().unwrap_or_default(),
        ms: *[0, 0, 0, 5, 40, 150].choose(random).unwrap_or(&0),
    }
}

fn step(random: &mut StdRng, keyed: bool) -> Step {
    match random.random_range(0..100) {
        0..62 => {
            let leave = match random.random_range(0..20) {
                0 if keyed => Leave::Blind,
                1 => Leave::WithId,
                _ => Leave::Never,
            };
            Step::Call(fold(random), leave)
        }
        62..72 => Step::Pair([fold(random), fold(random)]),
        72..77 => Step::Prompt,
        77..81 => Step::Ping,
        81..90 => Step::Think(random.random_range(1..=120)),
        // Long enough to be put to sleep.
        90..93 => Step::Think(random.random_range(400..=900)),
        93..97 => Step::Fork {
            back: random.random_range(0..=3),
            children: (0..random.random_range(1..=3))
                .map(|_| fold(random))
                .collect(),
        },
        _ => Step::Anew,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_depends_on_its_seed_alone_and_scripts_do_everything() {
        let shown = |seed| format!("{:?}", Script::busy(seed));
        assert_eq!(shown(7), shown(7));
        let all: String = (0..200).map(shown).collect();
        for part in [
            "keyed: true",
            "keyed: false",
            "Blind",
            "WithId",
            "Pair",
            "Prompt",
            "Ping",
            "Think",
            "Fork",
            "Anew",
        ] {
            assert!(all.contains(part), "{part}");
        }
        assert!(format!("{:?}", Script::patient(1)).contains("Rest"));
    }
}
