//! A client that recovers from a killed host like real clients do: it resumes a
//! run by its id, resends requests without an id, and retries after a 503. It
//! computes the expected chain and checks every result against it.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use orwd_tests::http::HttpRequest;
use orwd_tests::ors::{SESSION_HEADER, fresh_id};
use serde_json::{Value, json};

use crate::expected_chain::{ChainMismatch, ExpectedChain};
use crate::run_client::{RunClient, RunReader, RunResult};
use crate::script::{ClientScript, ClientStep, FoldCall, HangUp};
use crate::tally::CrashTally;

/// The limit for retries: far longer than a host is ever down.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The pause before a retry.
const PAUSE: Duration = Duration::from_millis(25);

/// Plays scripts.
pub(crate) struct CrashClient<'a> {
    pub(crate) wire: RunClient,
    pub(crate) tally: &'a CrashTally,
    /// Whether it makes the pauses of a script.
    pub(crate) thinks: bool,
    /// Set after the last kill.
    pub(crate) over: &'a AtomicBool,
    /// The base URL of the model that calls ask, if any.
    pub(crate) judge: Option<&'a str>,
}

/// An episode that cannot continue; the tally has the reason.
struct EpisodeFailed;

/// One session that follows a script.
struct ClientEpisode<'p> {
    player: &'p CrashClient<'p>,
    id: String,
    /// The prefix of its idempotency keys, if its calls have any.
    keys: Option<String>,
    /// The number of calls, across recreations.
    made: u64,
    chain: ExpectedChain,
    /// The chain after each call since the last creation.
    past: Vec<ExpectedChain>,
}

/// A call without a result yet.
struct PendingCall {
    body: Value,
    key: Option<String>,
    id: Option<String>,
    /// Whether a host may have received it.
    sent: bool,
    hang_up: HangUp,
}

/// The outcome of one attempt.
enum Attempt<T> {
    Done(T),
    /// The host is down, or responded 503.
    Retry,
}

impl CrashClient<'_> {
    /// Plays a script to its end and returns the final reward; none if the session
    /// failed.
    pub(crate) fn play(&self, script: &ClientScript) -> Option<f64> {
        let keys = script.keyed.then(|| format!("{:016x}", script.seed));
        let mut episode = ClientEpisode::new(self, fresh_id(), keys, ExpectedChain::default());
        episode.run(script).ok()
    }

    /// Repeats an attempt until it is done or fails.
    fn retry<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<Attempt<T>, EpisodeFailed>,
    ) -> Result<T, EpisodeFailed> {
        let begin = Instant::now();
        loop {
            if let Attempt::Done(done) = attempt()? {
                return Ok(done);
            }
            if begin.elapsed() > TIMEOUT {
                self.tally.lost_sessions.one();
                self.tally
                    .describe(format!("{what}: no answer in {TIMEOUT:?}"));
                return Err(EpisodeFailed);
            }
            thread::sleep(PAUSE);
        }
    }

    fn lost(&self, story: String) -> EpisodeFailed {
        self.tally.lost_sessions.one();
        self.tally.describe(story);
        EpisodeFailed
    }
}

impl<'p> ClientEpisode<'p> {
    fn new(
        player: &'p CrashClient<'p>,
        id: String,
        keys: Option<String>,
        chain: ExpectedChain,
    ) -> ClientEpisode<'p> {
        ClientEpisode {
            player,
            id,
            keys,
            made: 0,
            chain,
            past: Vec::new(),
        }
    }

    fn run(&mut self, script: &ClientScript) -> Result<f64, EpisodeFailed> {
        self.create(script)?;
        for step in &script.steps {
            self.step(script, step)?;
        }
        let reward = self.finish()?;
        self.delete()?;
        Ok(reward)
    }

    fn step(&mut self, script: &ClientScript, step: &ClientStep) -> Result<(), EpisodeFailed> {
        match step {
            ClientStep::Call(fold, hang_up) => self.fold(fold, *hang_up),
            ClientStep::Pair(folds) => self.pair(folds),
            ClientStep::Prompt => self.prompt(),
            ClientStep::Ping => self.ping(200),
            ClientStep::Think(ms) => {
                if self.player.thinks {
                    thread::sleep(Duration::from_millis(*ms));
                }
                Ok(())
            }
            ClientStep::Fork { back, children } => self.fork(*back, children),
            ClientStep::Recreate => {
                self.delete()?;
                (self.chain, self.past) = (ExpectedChain::default(), Vec::new());
                self.create(script)
            }
            ClientStep::Idle => {
                while !self.player.over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(500));
                    self.ping(200)?;
                }
                Ok(())
            }
        }
    }

    fn create(&self, script: &ClientScript) -> Result<(), EpisodeFailed> {
        let tally = self.player.tally;
        tally.sessions.one();
        let body = json!({"env_name": "chain", "task_spec": {"setup_ms": script.setup_ms}});
        let request = self
            .plain("/create")
            .header("X-ORWD-Seed", script.seed.to_string())
            .json(&body);
        let mut sent = false;
        self.player.retry("a creation", || {
            let answer = self.player.wire.fetch(&request);
            if sent && answer.is_ok() {
                tally.created_again.one();
            }
            match answer {
                Ok(answer) if answer.status() == 200 => Ok(Attempt::Done(())),
                Ok(answer) if answer.status() == 503 => {
                    tally.told_to_wait.one();
                    Ok(Attempt::Retry)
                }
                Ok(answer) => Err(self.lost(&format!("/create returned {answer:?}"))),
                Err(error) => {
                    sent |= error.kind() != ErrorKind::ConnectionRefused;
                    Ok(Attempt::Retry)
                }
            }
        })
    }

    /// Deletes the session and checks that it is gone.
    fn delete(&self) -> Result<(), EpisodeFailed> {
        self.fetch(&self.plain("/delete"), "/delete", 200)?;
        self.ping(404)
    }

    fn ping(&self, expected: u16) -> Result<(), EpisodeFailed> {
        self.fetch(&self.plain("/ping"), "/ping", expected)
            .map(drop)
    }

    fn prompt(&self) -> Result<(), EpisodeFailed> {
        let request = HttpRequest::get("/chain/prompt").header(SESSION_HEADER, &self.id);
        let blocks = self.fetch(&request, "the prompt", 200)?;
        self.check(&self.chain, blocks[0]["text"].as_str().unwrap_or_default())
    }

    fn fold(&mut self, fold: &FoldCall, hang_up: HangUp) -> Result<(), EpisodeFailed> {
        let mut pending_call = self.pending_call("fold", self.input(fold), hang_up);
        let outcome = self.complete(&mut pending_call)?;
        self.acknowledged(fold, &outcome)
    }

    /// Makes two concurrent calls. Calls without a result are retried in the order
    /// in which they were sent.
    fn pair(&mut self, folds: &[FoldCall; 2]) -> Result<(), EpisodeFailed> {
        let mut first = self.pending_call("fold", self.input(&folds[0]), HangUp::Never);
        let mut second = self.pending_call("fold", self.input(&folds[1]), HangUp::Never);
        let outcomes = self.player.retry("two calls", || {
            let Some(one) = self.begin(&mut first)? else {
                return Ok(Attempt::Retry);
            };
            let Some(two) = self.begin(&mut second)? else {
                return Ok(Attempt::Retry);
            };
            let (Attempt::Done(one), Attempt::Done(two)) =
                (self.end(&mut first, one)?, self.end(&mut second, two)?)
            else {
                return Ok(Attempt::Retry);
            };
            Ok(Attempt::Done([one, two]))
        })?;
        self.acknowledged(&folds[0], &outcomes[0])?;
        self.acknowledged(&folds[1], &outcomes[1])
    }

    fn finish(&mut self) -> Result<f64, EpisodeFailed> {
        let mut pending_call = self.pending_call("finish", json!({}), HangUp::Never);
        let outcome = self.complete(&mut pending_call)?;
        self.player.tally.calls.one();
        self.check(&self.chain, text(&outcome))?;
        let reward = outcome["output"]["reward"].as_f64();
        if reward != Some(self.chain.reward()) {
            self.player.tally.other_rewards.one();
            self.player
                .tally
                .describe(format!("{}: a reward of {reward:?}", self.id));
            return Err(EpisodeFailed);
        }
        Ok(self.chain.reward())
    }

    fn fork(&self, back: usize, folds: &[FoldCall]) -> Result<(), EpisodeFailed> {
        let at = self.past.len().saturating_sub(back);
        let chain = match at.checked_sub(1) {
            Some(last) => self.past[last].clone(),
            None => ExpectedChain::default(),
        };
        let path = format!("/orwd/sessions/{}/fork", self.id);
        let request = HttpRequest::post(&path).json(&json!({"at": at, "count": folds.len()}));
        let forked = self.fetch(&request, "a fork", 200)?;
        let children = forked["sessions"].as_array().map(Vec::as_slice);
        let children = children.unwrap_or_default();
        if children.len() != folds.len() {
            return Err(self.lost(&format!("a fork returned {forked}")));
        }
        for (child, fold) in children.iter().zip(folds) {
            let child = child.as_str().unwrap_or_default().to_owned();
            let keys = self.keys.as_ref().map(|_| child.clone());
            self.player.tally.sessions.one();
            self.player.tally.forked.one();
            let mut child = ClientEpisode::new(self.player, child, keys, chain.clone());
            child.prompt()?;
            child.fold(fold, HangUp::Never)?;
            child.delete()?;
        }
        Ok(())
    }

    // Requests.

    fn plain(&self, path: &str) -> HttpRequest {
        HttpRequest::post(path).header(SESSION_HEADER, &self.id)
    }

    /// Repeats a request until there is a response, which must have this status.
    fn fetch(
        &self,
        request: &HttpRequest,
        what: &str,
        expected: u16,
    ) -> Result<Value, EpisodeFailed> {
        self.player.retry(what, || {
            let Ok(answer) = self.player.wire.fetch(request) else {
                return Ok(Attempt::Retry);
            };
            match answer.status() {
                status if status == expected => {
                    let json = serde_json::from_slice(&answer.body);
                    Ok(Attempt::Done(json.unwrap_or_default()))
                }
                503 => {
                    self.player.tally.told_to_wait.one();
                    Ok(Attempt::Retry)
                }
                200 => {
                    self.player.tally.came_back.one();
                    let story = format!("{}: {what} is answered after /delete", self.id);
                    self.player.tally.describe(story);
                    Err(EpisodeFailed)
                }
                _ => Err(self.lost(&format!("{what} returned {answer:?}"))),
            }
        })
    }

    fn lost(&self, story: &str) -> EpisodeFailed {
        self.player.lost(format!("{}: {story}", self.id))
    }

    // Calls.

    fn input(&self, fold: &FoldCall) -> Value {
        let mut input = json!({"value": fold.value, "ms": fold.ms});
        if let Some(url) = self.player.judge {
            let model = if fold.ms > 0 { "slow" } else { "quick" };
            let text = format!("{} {}", self.id, self.made + 1);
            input["judge"] = json!({"url": url, "text": text, "model": model});
        }
        input
    }

    fn pending_call(&mut self, tool: &str, input: Value, hang_up: HangUp) -> PendingCall {
        self.made += 1;
        PendingCall {
            body: json!({"name": tool, "input": input}),
            key: self
                .keys
                .as_ref()
                .map(|keys| format!("{keys}-{}", self.made)),
            id: None,
            sent: false,
            hang_up,
        }
    }

    fn request(&self, pending_call: &PendingCall) -> HttpRequest {
        let mut body = pending_call.body.clone();
        if let Some(id) = &pending_call.id {
            body["task_id"] = json!(id);
        }
        let request = self.plain("/chain/call").json(&body);
        match &pending_call.key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        }
    }

    /// Repeats a call until it has a result.
    fn complete(&self, pending_call: &mut PendingCall) -> Result<Value, EpisodeFailed> {
        if pending_call.hang_up == HangUp::AfterSending {
            let left = self.player.wire.send_and_leave(&self.request(pending_call));
            pending_call.sent = left.is_ok();
        }
        self.player
            .retry("a call", || match self.begin(pending_call)? {
                Some(_) if pending_call.hang_up == HangUp::WithId && pending_call.id.is_some() => {
                    pending_call.hang_up = HangUp::Never;
                    Ok(Attempt::Retry)
                }
                Some(reading) => self.end(pending_call, reading),
                None => Ok(Attempt::Retry),
            })
    }

    /// Sends or resumes a call, and reads its id.
    fn begin(&self, pending_call: &mut PendingCall) -> Result<Option<RunReader>, EpisodeFailed> {
        let tally = self.player.tally;
        let mut reading = match self.player.wire.open(&self.request(pending_call)) {
            Ok(reading) => reading,
            Err(error) => {
                pending_call.sent |= error.kind() != ErrorKind::ConnectionRefused;
                return Ok(None);
            }
        };
        // Counted only if the host was reached.
        match (&pending_call.id, pending_call.sent) {
            (Some(_), _) => tally.resumed.one(),
            (None, true) => {
                tally.resent.one();
                tally.resent_with_key.add(pending_call.key.is_some().into());
            }
            (None, false) => {}
        }
        pending_call.sent = true;
        match reading.id() {
            Ok(None) => Ok(Some(reading)),
            Ok(Some(id)) => match pending_call.id.replace(id.clone()) {
                Some(before) if before != id => {
                    tally.twice.one();
                    tally.describe(format!("{}: run {before} became {id}", self.id));
                    Err(EpisodeFailed)
                }
                _ => Ok(Some(reading)),
            },
            Err(_) => Ok(None),
        }
    }

    /// Reads the result of a call.
    fn end(
        &self,
        pending_call: &mut PendingCall,
        reading: RunReader,
    ) -> Result<Attempt<Value>, EpisodeFailed> {
        let tally = self.player.tally;
        match reading.rest() {
            Ok(RunResult::Result(payload)) => Ok(Attempt::Done(
                serde_json::from_str(&payload).unwrap_or_default(),
            )),
            Ok(RunResult::Status(503, _)) => {
                // The host did nothing.
                pending_call.sent = pending_call.id.is_some();
                tally.told_to_wait.one();
                Ok(Attempt::Retry)
            }
            Ok(RunResult::Status(status, words)) => {
                Err(self.lost(&format!("a call returned {status} {words}")))
            }
            Ok(RunResult::Error(words)) => {
                tally.lost_calls.one();
                tally.describe(format!("{}: a call ended with {words:?}", self.id));
                Err(EpisodeFailed)
            }
            Err(_) => Ok(Attempt::Retry),
        }
    }

    /// Records the result of a fold.
    fn acknowledged(&mut self, fold: &FoldCall, outcome: &Value) -> Result<(), EpisodeFailed> {
        self.player.tally.calls.one();
        self.chain = self.chain.fold(fold.value);
        self.past.push(self.chain.clone());
        self.check(&self.chain, text(outcome))
    }

    fn check(&self, chain: &ExpectedChain, message: &str) -> Result<(), EpisodeFailed> {
        let tally = self.player.tally;
        let Err(wrong) = chain.check(message) else {
            return Ok(());
        };
        match wrong {
            ChainMismatch::Lost => tally.lost_calls.one(),
            ChainMismatch::Twice => tally.twice.one(),
            ChainMismatch::Other => tally.out_of_turn.one(),
        }
        let expected = chain.report();
        tally.describe(format!("{}: {message:?} instead of {expected:?}", self.id));
        Err(EpisodeFailed)
    }
}

fn text(outcome: &Value) -> &str {
    outcome["output"]["blocks"][0]["text"]
        .as_str()
        .unwrap_or_default()
}
