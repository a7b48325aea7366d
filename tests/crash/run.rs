//! One run: a host that is killed repeatedly while clients play, then the same
//! scripts on an undisturbed host.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use orwd_tests::process::{ServeCommand, ServerProcess, unused_address};
use orwd_tests::test_dir::TestDir;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::client::CrashClient;
use crate::commit_watch::CommitWatch;
use crate::judge::Judge;
use crate::run_client::RunClient;
use crate::script::ClientScript;
use crate::tally::CrashTally;

/// The part of the kills that come right after a commit.
const COMMIT_KILLS: f64 = 0.5;

/// How long such a kill waits for a commit.
const COMMIT_WAIT: Duration = Duration::from_millis(300);

/// The parameters of a run.
#[derive(Clone, Debug)]
pub(crate) struct CrashPlan {
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    /// The time limit for the kills.
    pub(crate) time: Duration,
    /// Concurrent sessions, without forks.
    pub(crate) sessions: u64,
    /// The durability of the journal.
    pub(crate) durability: String,
    /// The maximum time between two kills.
    pub(crate) uptime: Duration,
    /// Whether calls ask a model.
    pub(crate) judge: bool,
}

/// An episode that was played to its end.
struct FinishedEpisode {
    script: ClientScript,
    reward: f64,
}

/// Performs a run and reports the progress to `tell`.
pub(crate) fn run(plan: &CrashPlan, tell: impl Fn(&str)) -> CrashTally {
    let scratch = TestDir::new();
    let tally = CrashTally::default();
    let judge = plan.judge.then(Judge::start);
    let played = disturbed(plan, &scratch, judge.as_ref(), &tally, &tell);
    if let Some(judge) = &judge {
        judge.count(&tally);
        tell("all episodes are replayed");
        judge.replay(&scratch.path().join("state"), &tally);
    }
    tell(&format!(
        "{} episodes are played again, undisturbed",
        played.len()
    ));
    undisturbed(plan, &scratch, &played, &tally);
    tally
}

fn disturbed(
    plan: &CrashPlan,
    scratch: &TestDir,
    judge: Option<&Judge>,
    tally: &CrashTally,
    tell: &impl Fn(&str),
) -> Vec<FinishedEpisode> {
    let mut killer = HostKiller::new(plan, scratch, judge, tally);
    let api = judge.map(Judge::api);
    let over = AtomicBool::new(false);
    let done = Mutex::new(Vec::new());
    let play = |player: &CrashClient<'_>, script: ClientScript| {
        if let Some(reward) = player.play(&script) {
            let played = FinishedEpisode { script, reward };
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(played);
        }
    };
    thread::scope(|threads| {
        // Set even after a panic; otherwise the clients would wait forever.
        let end = SetOnDrop(&over);
        for worker in 0..plan.sessions {
            let player = CrashClient {
                wire: RunClient::new(&killer.base()),
                tally,
                thinks: true,
                over: &over,
                judge: api.as_deref(),
            };
            let (over, play, seed) = (&over, &play, plan.seed);
            threads.spawn(move || {
                // Some sessions exist from the first kill to the last.
                if worker % 4 == 0 {
                    play(&player, ClientScript::idle(mixed(seed, worker, 0)));
                }
                let mut round = 1;
                while !over.load(Ordering::Relaxed) {
                    play(&player, ClientScript::busy(mixed(seed, worker, round)));
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

/// Plays the same scripts on an undisturbed host, and compares the rewards.
fn undisturbed(
    plan: &CrashPlan,
    scratch: &TestDir,
    played: &[FinishedEpisode],
    tally: &CrashTally,
) {
    let other = CrashTally::default();
    let server = serve(plan, None, &scratch.path().join("undisturbed")).start();
    let over = AtomicBool::new(true);
    let threads = usize::try_from(plan.sessions).unwrap_or(1);
    thread::scope(|scope| {
        for first in 0..threads {
            let player = CrashClient {
                wire: RunClient::new(server.base()),
                tally: &other,
                thinks: false,
                over: &over,
                judge: None,
            };
            scope.spawn(move || {
                for one in played.iter().skip(first).step_by(threads) {
                    let reward = player.play(&one.script);
                    if reward.is_some_and(|reward| reward.to_bits() == one.reward.to_bits()) {
                        tally.rewards.one();
                    } else {
                        let (seed, was) = (one.script.seed, one.reward);
                        tally.other_rewards.one();
                        tally.describe(format!("seed {seed}: {was}, and undisturbed {reward:?}"));
                    }
                }
            });
        }
    });
    if !other.is_clean() {
        tally.other_rewards.one();
        tally.describe(format!("the undisturbed run failed:\n{other}"));
    }
}

fn serve(plan: &CrashPlan, judge: Option<&Judge>, state: &Path) -> ServeCommand {
    let served = match judge {
        Some(judge) => judge.serve(),
        None => ServeCommand::fixtures(&["chain"]),
    };
    served
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

/// Starts and kills the host.
struct HostKiller<'a> {
    plan: &'a CrashPlan,
    scratch: &'a TestDir,
    judge: Option<&'a Judge>,
    tally: &'a CrashTally,
    address: String,
    random: StdRng,
    server: ServerProcess,
}

impl<'a> HostKiller<'a> {
    fn new(
        plan: &'a CrashPlan,
        scratch: &'a TestDir,
        judge: Option<&'a Judge>,
        tally: &'a CrashTally,
    ) -> HostKiller<'a> {
        let address = unused_address();
        let server = serve(plan, judge, &scratch.path().join("state")).start_at(&address);
        HostKiller {
            plan,
            scratch,
            judge,
            tally,
            address,
            random: StdRng::seed_from_u64(plan.seed),
            server,
        }
    }

    fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    fn serve(&self) -> ServeCommand {
        serve(self.plan, self.judge, &self.scratch.path().join("state"))
    }

    /// Kills it as often as planned within the time limit, and leaves it running.
    fn run(&mut self, tell: &impl Fn(&str)) {
        let begin = Instant::now();
        let kills = &self.tally.kills;
        while kills.get() < self.plan.kills && begin.elapsed() < self.plan.time {
            thread::sleep(self.some_time());
            if self.random.random_bool(COMMIT_KILLS) && self.commits() {
                self.tally.kills_at_commit.one();
            }
            self.server.kill();
            kills.one();
            if kills.get() < self.plan.kills && self.random.random_bool(0.1) {
                // A kill during the start; the random delay usually falls into
                // it.
                let after = self.some_time() / 4;
                self.serve().kill_after(&self.address, after);
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

    /// Waits for a commit; returns whether there was one. The calls in it have
    /// their results, and their clients have at most their ids.
    fn commits(&self) -> bool {
        let watch = CommitWatch::new(&self.scratch.path().join("state"));
        watch.is_some_and(|watch| watch.wait(COMMIT_WAIT))
    }

    fn some_time(&mut self) -> Duration {
        let most = u64::try_from(self.plan.uptime.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random.random_range(20..=most.max(21)))
    }
}
