//! The run itself: a host that is killed over and over while clients play to
//! it, then the same scripts on a host that is left alone.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server, quiet_address};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::player::Player;
use crate::script::Script;
use crate::tally::Tally;
use crate::wire::Wire;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    /// No more kills after this.
    pub(crate) time: Duration,
    /// Sessions at a time, apart from forks.
    pub(crate) sessions: u64,
    /// How the host keeps its journal.
    pub(crate) durability: String,
    /// The longest time that the host is left alone.
    pub(crate) uptime: Duration,
}

/// An episode that came to its end.
struct Played {
    script: Script,
    reward: f64,
}

/// Does it. Says how it goes in `tell`, every so many kills.
pub(crate) fn run(plan: &Plan, tell: impl Fn(&str)) -> Tally {
    let scratch = Scratch::new();
    let tally = Tally::default();
    let played = disturbed(plan, &scratch, &tally, &tell);
    tell(&format!(
        "{} episodes are played again, undisturbed",
        played.len()
    ));
    undisturbed(plan, &scratch, &played, &tally);
    tally
}

fn disturbed(plan: &Plan, scratch: &Scratch, tally: &Tally, tell: &impl Fn(&str)) -> Vec<Played> {
    let mut killer = Killer::new(plan, scratch, tally);
    let over = AtomicBool::new(false);
    let done = Mutex::new(Vec::new());
    let play = |player: &Player<'_>, script: Script| {
        if let Some(reward) = player.play(&script) {
            let played = Played { script, reward };
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(played);
        }
    };
    thread::scope(|threads| {
        // Set however the killing ends, or the clients would rest for ever.
        let end = SetOnDrop(&over);
        for worker in 0..plan.sessions {
            let player = Player {
                wire: Wire::new(&killer.base()),
                tally,
                thinks: true,
                over: &over,
            };
            let (over, play, seed) = (&over, &play, plan.seed);
            threads.spawn(move || {
                // Some are there from the first kill to the last.
                if worker % 4 == 0 {
                    play(&player, Script::patient(mixed(seed, worker, 0)));
                }
                let mut round = 1;
                while !over.load(Ordering::Relaxed) {
                    play(&player, Script::busy(mixed(seed, worker, round)));
                    round += 1;
                }
            });
        }
        killer.run(tell);
        drop(end);
    });
    drop(killer);
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Plays the same to a host that is never killed, and compares the rewards.
fn undisturbed(plan: &Plan, scratch: &Scratch, played: &[Played], tally: &Tally) {
    let other = Tally::default();
    let server = serve(plan, &scratch.path().join("undisturbed")).start();
    let over = AtomicBool::new(true);
    let threads = usize::try_from(plan.sessions).unwrap_or(1);
    thread::scope(|scope| {
        for first in 0..threads {
            let player = Player {
                wire: Wire::new(server.base()),
                tally: &other,
                thinks: false,
                over: &over,
            };
            scope.spawn(move || {
                for one in played.iter().skip(first).step_by(threads) {
                    let reward = player.play(&one.script);
                    if reward.is_some_and(|reward| reward.to_bits() == one.reward.to_bits()) {
                        tally.rewards.one();
                    } else {
                        let (seed, was) = (one.script.seed, one.reward);
                        tally.other_rewards.one();
                        tally.tell(format!("seed {seed}: {was}, and undisturbed {reward:?}"));
                    }
                }
            });
        }
    });
    if !other.is_clean() {
        tally.other_rewards.one();
        tally.tell(format!("the undisturbed run came to:\n{other}"));
    }
}

fn serve(plan: &Plan, state: &Path) -> Serve {
    Serve::fixtures(&["chain"])
        .set("--state", state)
        .set("--durability", &plan.durability)
        .set("--hibernate-after", "300ms")
        .set("--create-rate", "100000")
}

fn mixed(seed: u64, worker: u64, round: u64) -> u64 {
    let mut random = StdRng::seed_from_u64(seed ^ (worker << 32) ^ round);
    random.random()
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts the host and kills it.
struct Killer<'a> {
    plan: &'a Plan,
    scratch: &'a Scratch,
    tally: &'a Tally,
    address: String,
    random: StdRng,
    server: Server,
}

impl<'a> Killer<'a> {
    fn new(plan: &'a Plan, scratch: &'a Scratch, tally: &'a Tally) -> Killer<'a> {
        let address = quiet_address();
        let server = serve(plan, &scratch.path().join("state")).start_at(&address);
        Killer {
            plan,
            scratch,
            tally,
            address,
            random: StdRng::seed_from_u64(plan.seed),
            server,
        }
    }

    fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    fn serve(&self) -> Serve {
        serve(self.plan, &self.scratch.path().join("state"))
    }

    /// Kills it as often as planned, if there is time, and leaves it running.
    fn run(&mut self, tell: &impl Fn(&str)) {
        let begin = Instant::now();
        let kills = &self.tally.kills;
        while kills.get() < self.plan.kills && begin.elapsed() < self.plan.time {
            thread::sleep(self.some_time());
            self.server.kill();
            kills.one();
            if kills.get() < self.plan.kills && self.random.random_bool(0.1) {
                // One that is not even up yet. What it takes to be up is
                // known from nothing, so most of these come in its middle.
                let after = self.some_time() / 4;
                self.serve().cut_short(&self.address, after);
                kills.one();
                self.tally.kills_at_start.one();
            }
            self.server = self.serve().start_at(&self.address);
            if kills.get().is_multiple_of(20) {
                let seconds = begin.elapsed().as_secs();
                let calls = self.tally.calls.get();
                tell(&format!(
                    "{} kills, {calls} calls, {seconds} s",
                    kills.get()
                ));
            }
        }
    }

    fn some_time(&mut self) -> Duration {
        let most = u64::try_from(self.plan.uptime.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random.random_range(20..=most.max(21)))
    }
}
