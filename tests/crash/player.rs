//! A client that does what clients do when their host dies under them: it
//! fetches a result by the id of its run, sends again what it has no id for,
//! and comes again when it is told to. It keeps a chain of its own, and holds
//! every answer against it.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use orwd_tests::http::Request;
use orwd_tests::ors::{SESSION_HEADER, fresh_id};
use serde_json::{Value, json};

use crate::chain::{Chain, Wrong};
use crate::script::{Fold, Leave, Script, Step};
use crate::tally::Tally;
use crate::wire::{Heard, Reading, Wire};

/// How long one thing is tried: far longer than a host is ever away.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(25);

/// Plays scripts.
pub(crate) struct Player<'a> {
    pub(crate) wire: Wire,
    pub(crate) tally: &'a Tally,
    /// Whether it takes the time that a script says.
    pub(crate) thinks: bool,
    /// Set when there are no more kills.
    pub(crate) over: &'a AtomicBool,
}

/// An episode that cannot go on; the tally has the reason.
struct Failed;

/// One session on its way through a script.
struct Episode<'p> {
    player: &'p Player<'p>,
    id: String,
    /// What its keys begin with, if its calls have any.
    keys: Option<String>,
    /// Calls until now, of all lives.
    made: u64,
    chain: Chain,
    /// The chain after each call of this life.
    past: Vec<Chain>,
}

/// A call that is to have a result.
struct Flight {
    body: Value,
    key: Option<String>,
    id: Option<String>,
    /// A host may know of it.
    sent: bool,
    leave: Leave,
}

/// What came of one attempt.
enum Tried<T> {
    Done(T),
    /// The host is away, or asked for patience.
    Again,
}

impl Player<'_> {
    /// Plays a script to its end, and gives the final reward; none if the
    /// session did not come so far.
    pub(crate) fn play(&self, script: &Script) -> Option<f64> {
        let keys = script.keyed.then(|| format!("{:016x}", script.seed));
        let mut episode = Episode::new(self, fresh_id(), keys, Chain::default());
        episode.run(script).ok()
    }

    /// Tries until it is done or told to be impossible.
    fn until<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<Tried<T>, Failed>,
    ) -> Result<T, Failed> {
        let begin = Instant::now();
        loop {
            if let Tried::Done(done) = attempt()? {
                return Ok(done);
            }
            if begin.elapsed() > PATIENCE {
                self.tally.lost_sessions.one();
                self.tally
                    .tell(format!("{what}: no answer in {PATIENCE:?}"));
                return Err(Failed);
            }
            thread::sleep(PAUSE);
        }
    }

    fn lost(&self, story: String) -> Failed {
        self.tally.lost_sessions.one();
        self.tally.tell(story);
        Failed
    }
}

impl<'p> Episode<'p> {
    fn new(player: &'p Player<'p>, id: String, keys: Option<String>, chain: Chain) -> Episode<'p> {
        Episode {
            player,
            id,
            keys,
            made: 0,
            chain,
            past: Vec::new(),
        }
    }

    fn run(&mut self, script: &Script) -> Result<f64, Failed> {
        self.create(script)?;
        for step in &script.steps {
            self.step(script, step)?;
        }
        let reward = self.finish()?;
        self.delete()?;
        Ok(reward)
    }

    fn step(&mut self, script: &Script, step: &Step) -> Result<(), Failed> {
        match step {
            Step::Call(fold, leave) => self.fold(fold, *leave),
            Step::Pair(folds) => self.pair(folds),
            Step::Prompt => self.prompt(),
            Step::Ping => self.ping(200),
            Step::Think(ms) => {
                if self.player.thinks {
                    thread::sleep(Duration::from_millis(*ms));
                }
                Ok(())
            }
            Step::Fork { back, children } => self.fork(*back, children),
            Step::Anew => {
                self.delete()?;
                (self.chain, self.past) = (Chain::default(), Vec::new());
                self.create(script)
            }
            Step::Rest => {
                while !self.player.over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(500));
                    self.ping(200)?;
                }
                Ok(())
            }
        }
    }

    fn create(&self, script: &Script) -> Result<(), Failed> {
        let tally = self.player.tally;
        tally.sessions.one();
        let body = json!({"env_name": "chain", "task_spec": {"setup_ms": script.setup_ms}});
        let request = self
            .plain("/create")
            .header("X-ORWD-Seed", script.seed.to_string())
            .json(&body);
        let mut sent = false;
        self.player.until("a creation", || {
            let answer = self.player.wire.ask(&request);
            if sent && answer.is_ok() {
                tally.created_again.one();
            }
            match answer {
                Ok(answer) if answer.status() == 200 => Ok(Tried::Done(())),
                Ok(answer) if answer.status() == 503 => {
                    tally.told_to_wait.one();
                    Ok(Tried::Again)
                }
                Ok(answer) => Err(self.lost(&format!("/create says {answer:?}"))),
                Err(error) => {
                    sent |= error.kind() != ErrorKind::ConnectionRefused;
                    Ok(Tried::Again)
                }
            }
        })
    }

    /// Deletes the session, which stays so.
    fn delete(&self) -> Result<(), Failed> {
        self.ask(&self.plain("/delete"), "/delete", 200)?;
        self.ping(404)
    }

    fn ping(&self, expected: u16) -> Result<(), Failed> {
        self.ask(&self.plain("/ping"), "/ping", expected).map(drop)
    }

    fn prompt(&self) -> Result<(), Failed> {
        let request = Request::get("/chain/prompt").header(SESSION_HEADER, &self.id);
        let blocks = self.ask(&request, "the prompt", 200)?;
        self.check(&self.chain, blocks[0]["text"].as_str().unwrap_or_default())
    }

    fn fold(&mut self, fold: &Fold, leave: Leave) -> Result<(), Failed> {
        let mut flight = self.flight("fold", input(fold), leave);
        let outcome = self.land(&mut flight)?;
        self.acknowledged(fold, &outcome)
    }

    /// Two calls at once. What has no result yet is asked for in the order in
    /// which it was sent, since that is what a client who cares would do.
    fn pair(&mut self, folds: &[Fold; 2]) -> Result<(), Failed> {
        let mut first = self.flight("fold", input(&folds[0]), Leave::Never);
        let mut second = self.flight("fold", input(&folds[1]), Leave::Never);
        let outcomes = self.player.until("two calls", || {
            let Some(one) = self.begin(&mut first)? else {
                return Ok(Tried::Again);
            };
            let Some(two) = self.begin(&mut second)? else {
                return Ok(Tried::Again);
            };
            let (Tried::Done(one), Tried::Done(two)) =
                (self.end(&mut first, one)?, self.end(&mut second, two)?)
            else {
                return Ok(Tried::Again);
            };
            Ok(Tried::Done([one, two]))
        })?;
        self.acknowledged(&folds[0], &outcomes[0])?;
        self.acknowledged(&folds[1], &outcomes[1])
    }

    fn finish(&mut self) -> Result<f64, Failed> {
        let mut flight = self.flight("finish", json!({}), Leave::Never);
        let outcome = self.land(&mut flight)?;
        self.player.tally.calls.one();
        self.check(&self.chain, text(&outcome))?;
        let reward = outcome["output"]["reward"].as_f64();
        if reward != Some(self.chain.reward()) {
            self.player.tally.other_rewards.one();
            self.player
                .tally
                .tell(format!("{}: a reward of {reward:?}", self.id));
            return Err(Failed);
        }
        Ok(self.chain.reward())
    }

    fn fork(&self, back: usize, folds: &[Fold]) -> Result<(), Failed> {
        let at = self.past.len().saturating_sub(back);
        let chain = match at.checked_sub(1) {
            Some(last) => self.past[last].clone(),
            None => Chain::default(),
        };
        let path = format!("/orwd/sessions/{}/fork", self.id);
        let request = Request::post(&path).json(&json!({"at": at, "count": folds.len()}));
        let forked = self.ask(&request, "a fork", 200)?;
        let children = forked["sessions"].as_array().map(Vec::as_slice);
        let children = children.unwrap_or_default();
        if children.len() != folds.len() {
            return Err(self.lost(&format!("a fork came to {forked}")));
        }
        for (child, fold) in children.iter().zip(folds) {
            let child = child.as_str().unwrap_or_default().to_owned();
            let keys = self.keys.as_ref().map(|_| child.clone());
            self.player.tally.sessions.one();
            self.player.tally.forked.one();
            let mut child = Episode::new(self.player, child, keys, chain.clone());
            child.prompt()?;
            child.fold(fold, Leave::Never)?;
            child.delete()?;
        }
        Ok(())
    }

    // One request.

    fn plain(&self, path: &str) -> Request {
        Request::post(path).header(SESSION_HEADER, &self.id)
    }

    /// Asks until there is an answer, which has to have this status.
    fn ask(&self, request: &Request, what: &str, expected: u16) -> Result<Value, Failed> {
        self.player.until(what, || {
            let Ok(answer) = self.player.wire.ask(request) else {
                return Ok(Tried::Again);
            };
            match answer.status() {
                status if status == expected => {
                    let json = serde_json::from_slice(&answer.body);
                    Ok(Tried::Done(json.unwrap_or_default()))
                }
                503 => {
                    self.player.tally.told_to_wait.one();
                    Ok(Tried::Again)
                }
                200 => {
                    self.player.tally.came_back.one();
                    let story = format!("{}: {what} is answered after /delete", self.id);
                    self.player.tally.tell(story);
                    Err(Failed)
                }
                _ => Err(self.lost(&format!("{what} says {answer:?}"))),
            }
        })
    }

    fn lost(&self, story: &str) -> Failed {
        self.player.lost(format!("{}: {story}", self.id))
    }

    // One call.

    fn flight(&mut self, tool: &str, input: Value, leave: Leave) -> Flight {
        self.made += 1;
        Flight {
            body: json!({"name": tool, "input": input}),
            key: self
                .keys
                .as_ref()
                .map(|keys| format!("{keys}-{}", self.made)),
            id: None,
            sent: false,
            leave,
        }
    }

    fn request(&self, flight: &Flight) -> Request {
        let mut body = flight.body.clone();
        if let Some(id) = &flight.id {
            body["task_id"] = json!(id);
        }
        let request = self.plain("/chain/call").json(&body);
        match &flight.key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        }
    }

    /// Makes a call until it has a result.
    fn land(&self, flight: &mut Flight) -> Result<Value, Failed> {
        if flight.leave == Leave::Blind {
            let left = self.player.wire.send_and_leave(&self.request(flight));
            flight.sent = left.is_ok();
        }
        self.player.until("a call", || match self.begin(flight)? {
            Some(_) if flight.leave == Leave::WithId && flight.id.is_some() => {
                flight.leave = Leave::Never;
                Ok(Tried::Again)
            }
            Some(reading) => self.end(flight, reading),
            None => Ok(Tried::Again),
        })
    }

    /// Sends a call, or asks for it, and reads its id.
    fn begin(&self, flight: &mut Flight) -> Result<Option<Reading>, Failed> {
        let tally = self.player.tally;
        let mut reading = match self.player.wire.open(&self.request(flight)) {
            Ok(reading) => reading,
            Err(error) => {
                flight.sent |= error.kind() != ErrorKind::ConnectionRefused;
                return Ok(None);
            }
        };
        // Counted where there was somebody to ask.
        match (&flight.id, flight.sent) {
            (Some(_), _) => tally.resumed.one(),
            (None, true) => {
                tally.resent.one();
                tally.resent_with_key.add(flight.key.is_some().into());
            }
            (None, false) => {}
        }
        flight.sent = true;
        match reading.id() {
            Ok(None) => Ok(Some(reading)),
            Ok(Some(id)) => match flight.id.replace(id.clone()) {
                Some(before) if before != id => {
                    tally.twice.one();
                    tally.tell(format!("{}: run {before} became {id}", self.id));
                    Err(Failed)
                }
                _ => Ok(Some(reading)),
            },
            Err(_) => Ok(None),
        }
    }

    /// Reads what came of a call.
    fn end(&self, flight: &mut Flight, reading: Reading) -> Result<Tried<Value>, Failed> {
        let tally = self.player.tally;
        match reading.rest() {
            Ok(Heard::Result(payload)) => Ok(Tried::Done(
                serde_json::from_str(&payload).unwrap_or_default(),
            )),
            Ok(Heard::Status(503, _)) => {
                // Nothing was done.
                flight.sent = flight.id.is_some();
                tally.told_to_wait.one();
                Ok(Tried::Again)
            }
            Ok(Heard::Status(status, words)) => {
                Err(self.lost(&format!("a call says {status} {words}")))
            }
            Ok(Heard::Error(words)) => {
                tally.lost_calls.one();
                tally.tell(format!("{}: a call came to {words:?}", self.id));
                Err(Failed)
            }
            Err(_) => Ok(Tried::Again),
        }
    }

    /// A call that folds something in has a result.
    fn acknowledged(&mut self, fold: &Fold, outcome: &Value) -> Result<(), Failed> {
        self.player.tally.calls.one();
        self.chain = self.chain.fold(fold.value);
        self.past.push(self.chain.clone());
        self.check(&self.chain, text(outcome))
    }

    fn check(&self, chain: &Chain, told: &str) -> Result<(), Failed> {
        let tally = self.player.tally;
        let Err(wrong) = chain.judge(told) else {
            return Ok(());
        };
        match wrong {
            Wrong::Lost => tally.lost_calls.one(),
            Wrong::Twice => tally.twice.one(),
            Wrong::Other => tally.out_of_turn.one(),
        }
        let expected = chain.told();
        tally.tell(format!("{}: {told:?} instead of {expected:?}", self.id));
        Err(Failed)
    }
}

fn input(fold: &Fold) -> Value {
    json!({"value": fold.value, "ms": fold.ms})
}

fn text(outcome: &Value) -> &str {
    outcome["output"]["blocks"][0]["text"]
        .as_str()
        .unwrap_or_default()
}
