//! The two tests of the suite: random episodes, replayed and resumed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use orwd_tests::artifacts::{binary, other_binary, target_dir, workspace_dir};
use orwd_tests::background::run_concurrently;
use orwd_tests::http::{HttpClient, HttpRequest};
use orwd_tests::process::ServerProcess;
use serde_json::json;

use crate::environments::{ENVIRONMENTS, EXCEPTIONS};
use crate::player::{EpisodePlayer, ObservedResponse};
use crate::replay_command::{ReplayTally, replay};
use crate::replay_server::{ReplayServer, episodes, selected_environments};
use crate::script::{EpisodeAction, EpisodeScript};

/// The number of concurrent players.
const PLAYERS: usize = 6;

/// Runs the work items on several threads; returns the results in any order.
fn run_in_parallel<T: Send + 'static, U: Send + 'static>(
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
                let next = work.lock().expect("no worker panicked").pop();
                match next {
                    Some(one) => done.push(each(one)),
                    None => return done,
                }
            }
        }
    };
    let workers: Vec<_> = (0..PLAYERS).map(|_| worker()).collect();
    run_concurrently(workers).into_iter().flatten().collect()
}

/// Every nth session that stays open is forked.
const FORKED: usize = 4;

/// The outcome of playing.
pub(crate) struct PlayedEpisodes {
    episodes: usize,
    /// The scripts of the sessions that are still open.
    alive: Vec<EpisodeScript>,
    /// Forked sessions, each with its parent.
    forks: BTreeMap<String, String>,
}

/// Plays these scripts. Some sessions are forked at the end, and their children
/// repeat the script.
pub(crate) fn play(server: &ServerProcess, scripts: Vec<EpisodeScript>) -> PlayedEpisodes {
    let client = server.ors().client().clone();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let mut scripts = scripts;
    scripts.reverse();
    let left = run_in_parallel(scripts, move |script| {
        let player = EpisodePlayer::begin(&client, script)?;
        let number = count.fetch_add(1, Ordering::Relaxed);
        let script = player.script().clone();
        player.finish(&client);
        if script.ends {
            return None;
        }
        let forked = number.is_multiple_of(FORKED);
        let child = forked.then(|| fork(&client, &script)).flatten();
        if let Some(child) = &child {
            EpisodePlayer::on(child.clone()).finish(&client);
        }
        Some((script, child))
    });
    let mut played = PlayedEpisodes {
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

/// Forks a session; none if it has ended.
fn fork(client: &HttpClient, script: &EpisodeScript) -> Option<EpisodeScript> {
    let path = format!("/orwd/sessions/{}/fork", script.session);
    let answer = client.fetch(&HttpRequest::post(&path).json(&json!({"count": 1})));
    let forked = (answer.status() == 200).then(|| answer.json())?;
    let session = forked["sessions"][0].as_str().expect("an id").to_owned();
    Some(EpisodeScript {
        session,
        ..script.clone()
    })
}

#[test]
fn every_environment_is_played_or_excepted() {
    for parent in ["examples", "tests/fixtures"] {
        for entry in workspace_dir().join(parent).read_dir().expect("a folder") {
            let entry = entry.expect("an entry");
            if !entry.path().is_dir() {
                continue;
            }
            let folder = format!("{parent}/{}", entry.file_name().to_str().expect("UTF-8"));
            let plays = ENVIRONMENTS.iter().any(|profile| profile.folder == folder);
            let excepted = EXCEPTIONS.iter().any(|(other, _)| *other == folder);
            assert!(
                plays != excepted,
                "{folder} is neither played nor excepted, or both"
            );
        }
    }
    for folder in ENVIRONMENTS
        .iter()
        .map(|profile| profile.folder)
        .chain(EXCEPTIONS.iter().map(|(f, _)| *f))
    {
        assert!(
            workspace_dir().join(folder).is_dir(),
            "there is no {folder}"
        );
    }
}

/// Plays with one binary, replays with others, continues, and replays again.
fn play_and_replay(by: &Path, again: &[&Path], each: u64) {
    let begun = Instant::now();
    let mut host = ReplayServer::new(by, selected_environments());
    let mut server = host.start();
    let scripts = host.scripts(&server, each, false);
    let PlayedEpisodes {
        episodes,
        alive,
        forks,
    } = play(&server, scripts);
    let played = begun.elapsed();
    server.kill();

    let mut table = String::new();
    let (state, key) = (host.state(), PathBuf::from(host.scratch.at("seal.key")));
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
                "{when}, by {}: {found} episodes, {equal} steps equal, {left} last steps not replayed, {:.1?}",
                binary.display(),
                begun.elapsed()
            );
        }
    };
    check(&mut table, "killed");

    // Each continues, or reports the fault of its guest.
    let server = host.start();
    let client = server.ors().client().clone();
    let (going_on, forked) = (alive.len(), forks.len());
    run_in_parallel(alive, move |script| {
        for seen in continue_session(&client, &script) {
            assert!(!seen.is_lost(), "{}: {}", script.session, seen.shown());
        }
    });
    drop(server);
    check(&mut table, "continued");
    let _ = writeln!(
        table,
        "{episodes} episodes by {} played in {played:.1?}, {forked} of them forks, {going_on} \
         continued; in total {:.1?}",
        by.display(),
        begun.elapsed()
    );
    write_table(&table);
}

fn line(environment: &str, tally: &ReplayTally) -> String {
    let ReplayTally {
        episodes,
        equal,
        left,
    } = tally;
    let left = left.iter().map(|(fault, count)| format!("{count} {fault}"));
    let left: Vec<String> = left.collect();
    let left = left.join(", ");
    format!("{environment:<20} {episodes:>6} episodes {equal:>8} steps equal  {left}")
}

/// Sends two more requests to a session.
fn continue_session(client: &HttpClient, script: &EpisodeScript) -> Vec<ObservedResponse> {
    let more = EpisodeScript {
        actions: vec![EpisodeAction::Prompt, script.actions[0].clone()],
        ..script.clone()
    };
    EpisodePlayer::on(more).go_on(client, 2)
}

/// Prints a table and writes it below the target directory.
fn write_table(table: &str) {
    println!("{table}");
    let folder = target_dir().join("orwd-replay");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let name = format!("{}.txt", uuid::Uuid::new_v4());
    std::fs::write(folder.join(name), table).expect("a file can be written");
}

#[test]
fn random_episodes_replay_equally() {
    let each = episodes();
    let other = other_binary();
    let again: Vec<&Path> = std::iter::once(binary()).chain(other).collect();
    play_and_replay(binary(), &again, each);
    // The reverse: a journal of the other build.
    if let Some(other) = other {
        play_and_replay(other, &[binary()], (each / 4).max(1));
    }
}

#[test]
fn a_killed_server_responds_like_an_undisturbed_one() {
    const KILLS: usize = 3;
    let each = episodes().div_ceil(6);
    let (mut undisturbed, mut killed) = (
        ReplayServer::new(binary(), selected_environments()).with_long_limits(),
        ReplayServer::new(binary(), selected_environments()).with_long_limits(),
    );
    let server = undisturbed.start();
    let scripts = undisturbed.scripts(&server, each, true);
    let client = server.ors().client().clone();
    let expected: BTreeMap<String, Vec<ObservedResponse>> =
        run_in_parallel(scripts.clone(), move |script| {
            let name = script.session.clone();
            let player = EpisodePlayer::begin(&client, script)?;
            Some((name, player.finish(&client)))
        })
        .into_iter()
        .flatten()
        .collect();
    drop(server);

    let mut server = killed.start();
    let client = server.ors().client().clone();
    let mut playing: Vec<(EpisodePlayer, Vec<ObservedResponse>)> =
        run_in_parallel(scripts, move |script| {
            EpisodePlayer::begin(&client, script).map(|player| (player, Vec::new()))
        })
        .into_iter()
        .flatten()
        .collect();
    for kill in 0..=KILLS {
        let client = server.ors().client().clone();
        playing = run_in_parallel(playing, move |(mut player, mut seen)| {
            let count = player.left().div_ceil(KILLS + 1 - kill);
            seen.extend(player.go_on(&client, count));
            (player, seen)
        });
        if kill < KILLS {
            server.kill();
            server = killed.start();
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
            assert_eq!(seen, expected, "{name}, response {at}");
            compared += 1;
        }
    }
    write_table(&format!(
        "{} episodes through {KILLS} kills, {compared} responses equal to those of an undisturbed server",
        expected.len()
    ));
}
