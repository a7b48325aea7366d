//! Random episodes of every environment, done again by other processes.
//!
//! A seeded player asks a server for tasks and tools, opens sessions and makes
//! whatever calls the schemas allow, and some that they do not. Then the server
//! is killed, its journal done again by `orwd replay`, and sessions that were
//! left alive are gone on with. Every step has to come to the same, and what
//! fails names the session, whose name is all that it takes to play it again.
//!
//! `ORWD_REPLAY_EPISODES` says how many episodes of each environment are
//! played, `ORWD_REPLAY_SEED` with what seed, and `ORWD_REPLAY_ONLY` of which
//! environment alone.

mod again;
mod cast;
mod data;
mod player;
mod resuming;
mod script;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use orwd_tests::artifacts::{binary, component, components, other_binary, target_dir, workspace};
use orwd_tests::command::Orwd;
use orwd_tests::http::{Client, Request};
use orwd_tests::later::all_at_once;
use orwd_tests::ors::Task;
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server};
use serde_json::json;

use crate::again::replay;
use crate::cast::{CAST, EXCEPTIONS, FLAGS, Role};
use crate::player::{Player, Seen};
use crate::script::{Scene, Script};

/// Players at once.
const PLAYERS: usize = 6;

/// A server on a directory of its own, which can be started again.
struct House {
    scratch: Scratch,
    binary: PathBuf,
    address: String,
    roles: Vec<&'static Role>,
    /// It is held against another one.
    patient: bool,
}

impl House {
    fn new(binary: &Path, roles: Vec<&'static Role>) -> House {
        components();
        let scratch = Scratch::new();
        scratch.write("seal.key", "5a".repeat(32));
        House {
            scratch,
            binary: binary.to_owned(),
            address: "127.0.0.1:0".to_owned(),
            roles,
            patient: false,
        }
    }

    fn patient(mut self) -> House {
        self.patient = true;
        self
    }

    fn start(&mut self) -> Server {
        let mut paths = self.roles.iter().map(|role| role.path(&self.scratch));
        let first = paths.next().expect("somebody plays");
        let mut serve = paths.fold(Serve::path(first), Serve::and).by(&self.binary);
        for (flag, value) in FLAGS {
            let value = if self.patient {
                cast::patient(flag, value)
            } else {
                value
            };
            serve = serve.set(flag, value);
        }
        serve = serve
            .set("--state", self.state())
            .set("--seal-key", self.scratch.at("seal.key"));
        let server = serve.start_at(&self.address);
        self.address = server.address().to_owned();
        server
    }

    fn state(&self) -> String {
        self.scratch.at("state")
    }

    fn scenes(&self, server: &Server) -> Vec<Scene> {
        let ors = server.ors();
        self.roles
            .iter()
            .map(|role| Scene::of(&ors, role))
            .collect()
    }

    /// As many scripts of each environment.
    fn scripts(&self, server: &Server, each: u64, alone: bool) -> Vec<Script> {
        let scenes = self.scenes(server);
        let seed = number("ORWD_REPLAY_SEED", 1);
        let numbers = (0..each).flat_map(|number| {
            let pairs = self.roles.iter().zip(&scenes);
            pairs.map(move |(role, scene)| scene.script(role, seed, number, alone))
        });
        numbers.collect()
    }
}

/// A number that may be given by a variable.
fn number(variable: &str, usual: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => usual,
    }
}

/// Everybody, or who is named.
fn everybody() -> Vec<&'static Role> {
    let only = std::env::var("ORWD_REPLAY_ONLY").ok();
    let fits = |role: &&Role| only.as_deref().is_none_or(|only| only == role.name);
    let roles: Vec<&Role> = CAST.iter().filter(fits).collect();
    assert!(!roles.is_empty(), "nobody of that name plays");
    roles
}

/// Does this for each, on several threads; results in no order.
fn side_by_side<T: Send + 'static, U: Send + 'static>(
    work: Vec<T>,
    each: impl Fn(T) -> U + Send + Sync + 'static,
) -> Vec<U> {
    let work = Arc::new(Mutex::new(work));
    let each = Arc::new(each);
    let worker = || {
        let (work, each) = (work.clone(), each.clone());
        move || {
            let mut done = Vec::new();
            loop {
                let next = work.lock().expect("nobody panicked").pop();
                match next {
                    Some(one) => done.push(each(one)),
                    None => return done,
                }
            }
        }
    };
    let workers: Vec<_> = (0..PLAYERS).map(|_| worker()).collect();
    all_at_once(workers).into_iter().flatten().collect()
}

/// One in so many sessions that are left alive is forked.
const FORKED: usize = 4;

/// What came of playing.
struct Played {
    episodes: usize,
    /// The sessions that were left alive, by their scripts.
    alive: Vec<Script>,
    /// Sessions that share the past of another, with the name of that one.
    forks: BTreeMap<String, String>,
}

/// Plays these scripts. Some sessions are forked in the end, and the children
/// do once more what the parent did.
fn play(server: &Server, scripts: Vec<Script>) -> Played {
    let client = server.ors().client().clone();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let mut scripts = scripts;
    scripts.reverse();
    let left = side_by_side(scripts, move |script| {
        let player = Player::begin(&client, script)?;
        let number = count.fetch_add(1, Ordering::Relaxed);
        let script = player.script().clone();
        player.finish(&client);
        if script.ends {
            return None;
        }
        let forked = number.is_multiple_of(FORKED);
        let child = forked.then(|| fork(&client, &script)).flatten();
        if let Some(child) = &child {
            Player::on(child.clone()).finish(&client);
        }
        Some((script, child))
    });
    let mut played = Played {
        episodes: begun.load(Ordering::Relaxed),
        alive: Vec::new(),
        forks: BTreeMap::new(),
    };
    for (script, child) in left.into_iter().flatten() {
        if let Some(child) = child {
            played.episodes += 1;
            let parent = script.session.clone();
            played.forks.insert(child.session.clone(), parent);
            played.alive.push(child);
        }
        played.alive.push(script);
    }
    played
}

/// A child of a session; none if it is past that.
fn fork(client: &Client, script: &Script) -> Option<Script> {
    let path = format!("/orwd/sessions/{}/fork", script.session);
    let answer = client.ask(&Request::post(&path).json(&json!({"count": 1})));
    let forked = (answer.status() == 200).then(|| answer.json())?;
    let session = forked["sessions"][0].as_str().expect("an id").to_owned();
    Some(Script {
        session,
        ..script.clone()
    })
}

#[test]
fn every_environment_is_played_or_excepted() {
    for parent in ["examples", "tests/fixtures"] {
        for entry in workspace().join(parent).read_dir().expect("a folder") {
            let entry = entry.expect("an entry");
            if !entry.path().is_dir() {
                continue;
            }
            let folder = format!("{parent}/{}", entry.file_name().to_str().expect("UTF-8"));
            let plays = CAST.iter().any(|role| role.folder == folder);
            let excepted = EXCEPTIONS.iter().any(|(other, _)| *other == folder);
            assert!(
                plays != excepted,
                "{folder} is played by nobody, or excepted and played"
            );
        }
    }
    for folder in CAST
        .iter()
        .map(|role| role.folder)
        .chain(EXCEPTIONS.iter().map(|(f, _)| *f))
    {
        assert!(workspace().join(folder).is_dir(), "there is no {folder}");
    }
}

/// Plays with one binary, has it done again by others, goes on, and has that
/// done again.
fn play_and_replay(by: &Path, again: &[&Path], each: u64) {
    let begun = Instant::now();
    let mut house = House::new(by, everybody());
    let mut server = house.start();
    let scripts = house.scripts(&server, each, false);
    let Played {
        episodes,
        alive,
        forks,
    } = play(&server, scripts);
    let played = begun.elapsed();
    server.kill();

    let mut table = String::new();
    let (state, key) = (house.state(), PathBuf::from(house.scratch.at("seal.key")));
    let check = |table: &mut String, when: &str| {
        for binary in again {
            let begun = Instant::now();
            let tallies = replay(binary, &state, &key, &[]);
            let tallies = tallies.unwrap_or_else(|why| {
                let forked = forks.iter().find(|(child, _)| why.contains(*child));
                let forked = forked.map(|(_, parent)| format!(", a fork of {parent}"));
                let forked = forked.unwrap_or_default();
                panic!("{when}, by {}: {why}{forked}", binary.display());
            });
            let (mut found, mut equal, mut left) = (0, 0, 0);
            for (environment, tally) in &tallies {
                (found, equal, left) = (
                    found + tally.episodes,
                    equal + tally.equal,
                    left + tally.left.values().sum::<u64>(),
                );
                let _ = writeln!(table, "{}", line(environment, tally));
            }
            assert_eq!(
                found, episodes as u64,
                "{when}: sessions that were created are missing"
            );
            let _ = writeln!(
                table,
                "{when}, by {}: {found} episodes, {equal} steps equal, {left} last steps left out, {:.1?}",
                binary.display(),
                begun.elapsed()
            );
        }
    };
    check(&mut table, "killed");

    // Each goes on where it was, or says what its guest did to itself.
    let server = house.start();
    let client = server.ors().client().clone();
    let (going_on, forked) = (alive.len(), forks.len());
    side_by_side(alive, move |script| {
        for seen in resumed(&client, &script) {
            assert!(!seen.is_lost(), "{}: {}", script.session, seen.shown());
        }
    });
    drop(server);
    check(&mut table, "gone on with");
    let _ = writeln!(
        table,
        "{episodes} episodes by {} played in {played:.1?}, {forked} of them forks, {going_on} gone \
         on with; in all {:.1?}",
        by.display(),
        begun.elapsed()
    );
    keep(&table);
}

fn line(environment: &str, tally: &again::Tally) -> String {
    let again::Tally {
        episodes,
        equal,
        left,
    } = tally;
    let left = left.iter().map(|(fault, count)| format!("{count} {fault}"));
    let left: Vec<String> = left.collect();
    let left = left.join(", ");
    format!("{environment:<20} {episodes:>6} episodes {equal:>8} steps equal  {left}")
}

/// Two more things asked of a session.
fn resumed(client: &Client, script: &Script) -> Vec<Seen> {
    let more = Script {
        acts: vec![script::Act::Prompt, script.acts[0].clone()],
        ..script.clone()
    };
    Player::on(more).go_on(client, 2)
}

/// Shows a table, and keeps it below the target folder.
fn keep(table: &str) {
    println!("{table}");
    let folder = target_dir().join("orwd-replay");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let name = format!("{}.txt", uuid::Uuid::new_v4());
    std::fs::write(folder.join(name), table).expect("a file can be written");
}

#[test]
fn random_episodes_come_out_the_same_again() {
    let each = number("ORWD_REPLAY_EPISODES", 200);
    let other = other_binary();
    let again: Vec<&Path> = std::iter::once(binary()).chain(other).collect();
    play_and_replay(binary(), &again, each);
    // The other way round: what a build of the other profile wrote.
    if let Some(other) = other {
        play_and_replay(other, &[binary()], (each / 4).max(1));
    }
}

#[test]
fn a_killed_server_answers_as_an_undisturbed_one() {
    const KILLS: usize = 3;
    let each = number("ORWD_REPLAY_EPISODES", 200).div_ceil(10);
    let (mut calm, mut stormy) = (
        House::new(binary(), everybody()).patient(),
        House::new(binary(), everybody()).patient(),
    );
    let server = calm.start();
    let scripts = calm.scripts(&server, each, true);
    let client = server.ors().client().clone();
    let expected: BTreeMap<String, Vec<Seen>> = side_by_side(scripts.clone(), move |script| {
        let name = script.session.clone();
        let player = Player::begin(&client, script)?;
        Some((name, player.finish(&client)))
    })
    .into_iter()
    .flatten()
    .collect();
    drop(server);

    let mut server = stormy.start();
    let client = server.ors().client().clone();
    let mut playing: Vec<(Player, Vec<Seen>)> = side_by_side(scripts, move |script| {
        Player::begin(&client, script).map(|player| (player, Vec::new()))
    })
    .into_iter()
    .flatten()
    .collect();
    for kill in 0..=KILLS {
        let client = server.ors().client().clone();
        playing = side_by_side(playing, move |(mut player, mut seen)| {
            let count = player.left().div_ceil(KILLS + 1 - kill);
            seen.extend(player.go_on(&client, count));
            (player, seen)
        });
        if kill < KILLS {
            server.kill();
            server = stormy.start();
        }
    }
    let client = server.ors().client().clone();
    let mut compared = 0;
    assert_eq!(playing.len(), expected.len(), "the same were created");
    for (player, mut seen) in playing {
        let name = player.script().session.clone();
        seen.extend(player.finish(&client));
        let expected = &expected[&name];
        assert_eq!(seen.len(), expected.len(), "{name}");
        for (at, (seen, expected)) in seen.iter().zip(expected).enumerate() {
            assert_eq!(seen, expected, "{name}, answer {at}");
            compared += 1;
        }
    }
    keep(&format!(
        "{} episodes through {KILLS} kills, {compared} answers like those of an undisturbed server",
        expected.len()
    ));
}

#[test]
fn a_replay_that_differs_fails() {
    let alpha = CAST.iter().filter(|role| role.name == "alpha").collect();
    let mut house = House::new(binary(), alpha);
    let mut server = house.start();
    let scripts = house.scripts(&server, 5, false);
    play(&server, scripts);
    server.kill();
    let key = PathBuf::from(house.scratch.at("seal.key"));
    let replay = |more: &[&str]| replay(binary(), &house.state(), &key, more);
    replay(&[]).expect("on its own component all is equal");
    let other = component("chat").to_str().expect("UTF-8");
    let why = replay(&["--against", other]).expect_err("chat is not alpha");
    assert!(why.contains("different"), "{why}");
}

#[test]
fn a_real_clock_is_refused_and_left_out_of_all() {
    let scratch = Scratch::new();
    let component = json!(component("chance").to_str().expect("UTF-8"));
    let manifest = format!("name = \"odd\"\nclock = \"real\"\n[build]\ncomponent = {component}\n");
    scratch.write("odd/orwd.toml", manifest);
    let server = Serve::path(scratch.at("odd"))
        .set("--state", scratch.at("state"))
        .start();
    let session = server.ors().open("odd", Task::Spec(json!({})));
    session.call("clocks", json!({}));
    let (state, cache) = (scratch.at("state"), target_dir().join("orwd-cache"));
    let cache = cache.to_str().expect("UTF-8");
    let replay =
        |which: &str| Orwd::new(["replay", which, "--state", &state, "--cache", cache]).run();
    let refused = replay(session.id());
    assert_eq!(refused.code, Some(1), "{refused}");
    refused.refuses(&["real clock"]);
    let all = replay("--all");
    assert!(
        all.succeeds().contains("0 different, 1 left out, 0 failed"),
        "{all}"
    );
}

#[test]
fn sealed_secrets_take_the_key_and_no_other() {
    let leaky = CAST.iter().filter(|role| role.name == "leaky").collect();
    let mut house = House::new(binary(), leaky);
    let server = house.start();
    let id = "leaky.one";
    let secrets = orwd_tests::ors::secrets_header(&json!({"CANARY": {"value": "hush-hush-hush"}}));
    let create = Request::post("/create")
        .header(orwd_tests::ors::SESSION_HEADER, id)
        .header("X-Secrets", secrets)
        .json(&json!({"env_name": "leaky", "task_spec": {}}));
    assert_eq!(server.ors().ask(&create).status(), 200);
    let session = server.ors().session("leaky", id);
    assert_eq!(session.call("give", json!({})).text(), "hush-hush-hush");
    let (state, cache) = (house.state(), target_dir().join("orwd-cache"));
    let cache = cache.to_str().expect("UTF-8");
    let wrong = house.scratch.write("wrong.key", "b5".repeat(32));
    let replay = |key: Option<&str>| {
        let mut arguments = vec!["replay", id, "--state", &state, "--cache", cache];
        arguments.extend(key.into_iter().flat_map(|key| ["--seal-key", key]));
        Orwd::new(arguments).run()
    };
    let right = house.scratch.at("seal.key");
    assert!(
        replay(Some(&right))
            .succeeds()
            .contains("2 steps, 0 different")
    );
    replay(None).refuses(&["sealed", "--seal-key"]);
    replay(wrong.to_str()).refuses(&["another key"]);
    // The key may be in the environment, too, and is needed for nobody else.
    let by_variable = Orwd::new(["replay", id, "--state", &state, "--cache", cache])
        .env("ORWD_SEAL_KEY", "5a".repeat(32))
        .run();
    assert!(
        by_variable.succeeds().contains("0 different"),
        "{by_variable}"
    );
}
