//! The steps of a client in one episode. A script depends on its seed only, so
//! that a killed and an undisturbed host can get the same one.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Few values, so that identical calls often follow each other on purpose.
const VALUES: [&str; 5] = ["north", "east", "south", "west", "wait"];

/// An episode from `/create` to `/delete`.
#[derive(Clone, Debug)]
pub(crate) struct ClientScript {
    pub(crate) seed: u64,
    /// The duration of the setup.
    pub(crate) setup_ms: u64,
    /// Whether calls have an `Idempotency-Key`.
    pub(crate) keyed: bool,
    pub(crate) steps: Vec<ClientStep>,
}

/// A call that folds a value in.
#[derive(Clone, Debug)]
pub(crate) struct FoldCall {
    pub(crate) value: &'static str,
    /// The duration of the call.
    pub(crate) ms: u64,
}

/// One step of a client.
#[derive(Clone, Debug)]
pub(crate) enum ClientStep {
    /// Makes a call.
    Call(FoldCall, HangUp),
    /// Makes two concurrent calls, the second when the first has its id.
    Pair([FoldCall; 2]),
    /// Reads the prompt, which reports the chain.
    Prompt,
    /// Sends a ping.
    Ping,
    /// Pauses for this number of milliseconds.
    Think(u64),
    /// Forks the session `back` calls ago, and makes a call in each child.
    Fork {
        back: usize,
        children: Vec<FoldCall>,
    },
    /// Deletes the session and creates it again with the same id.
    Recreate,
    /// Pauses until the last kill.
    Idle,
}

/// Whether a client disconnects from its own call and resumes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HangUp {
    Never,
    /// Right after sending. If the host is killed as well, only an idempotency key
    /// identifies the call.
    AfterSending,
    /// After reading the run id.
    WithId,
}

impl ClientScript {
    /// Draws an episode of a few seconds.
    pub(crate) fn busy(seed: u64) -> ClientScript {
        let mut random = StdRng::seed_from_u64(seed);
        let keyed = random.random_bool(0.5);
        let steps = random.random_range(6..=24);
        ClientScript {
            seed,
            setup_ms: *[0, 0, 30, 200].choose(&mut random).unwrap_or(&0),
            keyed,
            steps: (0..steps).map(|_| step(&mut random, keyed)).collect(),
        }
    }

    /// Draws an episode that is idle until the last kill.
    pub(crate) fn idle(seed: u64) -> ClientScript {
        let mut random = StdRng::seed_from_u64(seed);
        let mut calls = || -> Vec<ClientStep> {
            let calls = random.random_range(1..=4);
            (0..calls)
                .map(|_| ClientStep::Call(fold(&mut random), HangUp::Never))
                .collect()
        };
        let steps = [calls(), vec![ClientStep::Idle, ClientStep::Prompt], calls()].concat();
        ClientScript {
            seed,
            setup_ms: 0,
            keyed: false,
            steps,
        }
    }
}

fn fold(random: &mut StdRng) -> FoldCall {
    FoldCall {
        value: VALUES.choose(random).copied().unwrap_or_default(),
        ms: *[0, 0, 0, 5, 40, 150].choose(random).unwrap_or(&0),
    }
}

fn step(random: &mut StdRng, keyed: bool) -> ClientStep {
    match random.random_range(0..100) {
        0..62 => {
            let hang_up = match random.random_range(0..20) {
                0 if keyed => HangUp::AfterSending,
                1 => HangUp::WithId,
                _ => HangUp::Never,
            };
            ClientStep::Call(fold(random), hang_up)
        }
        62..72 => ClientStep::Pair([fold(random), fold(random)]),
        72..77 => ClientStep::Prompt,
        77..81 => ClientStep::Ping,
        81..90 => ClientStep::Think(random.random_range(1..=120)),
        // Long enough to hibernate.
        90..93 => ClientStep::Think(random.random_range(400..=900)),
        93..97 => ClientStep::Fork {
            back: random.random_range(0..=3),
            children: (0..random.random_range(1..=3))
                .map(|_| fold(random))
                .collect(),
        },
        _ => ClientStep::Recreate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_depends_on_its_seed_and_scripts_cover_all_steps() {
        let shown = |seed| format!("{:?}", ClientScript::busy(seed));
        assert_eq!(shown(7), shown(7));
        let all: String = (0..200).map(shown).collect();
        for part in [
            "keyed: true",
            "keyed: false",
            "AfterSending",
            "WithId",
            "Pair",
            "Prompt",
            "Ping",
            "Think",
            "Fork",
            "Recreate",
        ] {
            assert!(all.contains(part), "{part}");
        }
        assert!(format!("{:?}", ClientScript::idle(1)).contains("Idle"));
    }
}
