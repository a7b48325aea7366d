//! Publishing files of a session.

use std::fs;

use super::*;
use crate::publish::PublishReport;
use orwd_model::{OnConflict, PublishRules};

fn publish(session: &Session, folders: &[&str], on_conflict: OnConflict) -> (usize, usize, usize) {
    let what = PublishRules {
        folders: folders.iter().map(|folder| (*folder).to_owned()).collect(),
        on_conflict,
    };
    let PublishReport {
        published,
        kept,
        failed,
    } = session.overlay.publish(&what);
    (published, kept, failed)
}

#[test]
fn only_the_folders_named_and_only_what_is_new() {
    let data = Data::with(&[
        ("in/train", b"t"),
        ("results/old", b"old"),
        ("results/touched", b"t"),
    ]);
    let session = data.session();
    session.create_dir("results/deep").unwrap();
    session.write("results/deep/x", &pattern(200_000)).unwrap();
    session.write("in/train", b"changed").unwrap();
    session.write("other", b"private").unwrap();
    session.unlink("results/old").unwrap();
    session.symlink("x", "results/deep/link").unwrap();
    session.link("results/touched", "kept-elsewhere").unwrap();
    session.write("results/.orwd-publish-mine", b"?").unwrap();
    let done = publish(
        &session,
        &["results", "results/deep", "none"],
        OnConflict::Keep,
    );
    assert_eq!(done, (1, 0, 0));
    let expected: Vec<(String, Option<Vec<u8>>)> = [
        ("in", None),
        ("in/train", Some(b"t".to_vec())),
        ("results", None),
        ("results/deep", None),
        ("results/deep/x", Some(pattern(200_000))),
        ("results/old", Some(b"old".to_vec())),
        ("results/touched", Some(b"t".to_vec())),
    ]
    .map(|(path, bytes)| (path.to_owned(), bytes))
    .to_vec();
    assert_eq!(data.snapshot(), expected);
    assert_eq!(session.used(), session.counted());
}

#[test]
fn an_existing_name_is_kept_or_replaced() {
    for (on_conflict, expected, done) in [
        (OnConflict::Keep, "old", (0, 1, 0)),
        (OnConflict::Replace, "new", (1, 0, 0)),
    ] {
        let data = Data::with(&[("results/x", b"old")]);
        let lower = data.lower();
        let session = Session::on(&lower, false, LARGE_LIMITS);
        let reader = Session::on(&lower, false, LARGE_LIMITS);
        let open = reader.open("results/x", READ).unwrap();
        session.write("results/x", b"new").unwrap();
        assert_eq!(publish(&session, &["results"], on_conflict), done);
        // Open handles keep the old file; new ones get the new file.
        assert_eq!(read_all(&open).unwrap(), b"old");
        assert_eq!(reader.text("results/x"), expected);
        assert_eq!(fs::read_dir(data.at("results")).unwrap().count(), 1);
    }
}

#[test]
fn of_two_sessions_the_first_or_the_last_wins() {
    for (on_conflict, expected) in [(OnConflict::Keep, "one"), (OnConflict::Replace, "two")] {
        let data = Data::with(&[]);
        let lower = data.lower();
        for text in ["one", "two"] {
            let session = Session::on(&lower, false, LARGE_LIMITS);
            // Whatever was published before, it is written as if new.
            if session.names(".").is_empty() {
                session.create_dir("results").unwrap();
            }
            session.write("results/x", text.as_bytes()).unwrap();
            publish(&session, &["results"], on_conflict);
        }
        assert_eq!(fs::read_to_string(data.at("results/x")).unwrap(), expected);
    }
}

#[test]
fn moved_files_are_published_too() {
    let data = Data::with(&[("in/a/x", b"x"), ("in/a/b/y", b"y"), ("in/z", b"z")]);
    let session = data.session();
    session.create_dir("results").unwrap();
    session.rename("in/a", "results/a").unwrap();
    session.link("in/z", "results/z").unwrap();
    assert_eq!(publish(&session, &["results"], OnConflict::Keep), (3, 0, 0));
    for (path, text) in [
        ("results/a/x", "x"),
        ("results/a/b/y", "y"),
        ("results/z", "z"),
    ] {
        assert_eq!(fs::read_to_string(data.at(path)).unwrap(), text);
    }
    // It is unmoved for other sessions.
    assert_eq!(data.session().text("in/a/x"), "x");
}

#[test]
fn no_symbolic_link_of_the_host_is_followed() {
    let data = Data::with(&[("real/x", b"x")]);
    fs::create_dir(data.outside().join("outside")).unwrap();
    let session = data.session();
    for folder in ["results", "results/below"] {
        session.create_dir(folder).unwrap();
    }
    session.write("results/x", b"mine").unwrap();
    session.write("results/below/y", b"mine").unwrap();
    // Meanwhile the host's directory changes under the session.
    data.link("../outside", "results");
    assert_eq!(
        publish(&session, &["results"], OnConflict::Replace),
        (0, 0, 2)
    );
    assert_eq!(
        fs::read_dir(data.outside().join("outside"))
            .unwrap()
            .count(),
        0
    );
    fs::remove_file(data.at("results")).unwrap();
    fs::create_dir(data.at("results")).unwrap();
    data.link("../../outside", "results/below");
    data.link("../real/x", "results/x");
    assert_eq!(
        publish(&session, &["results"], OnConflict::Replace),
        (1, 0, 1)
    );
    assert_eq!(fs::read_to_string(data.at("real/x")).unwrap(), "x");
    assert_eq!(fs::read_to_string(data.at("results/x")).unwrap(), "mine");
    assert!(!data.at("results/x").is_symlink());
    assert_eq!(
        fs::read_dir(data.outside().join("outside"))
            .unwrap()
            .count(),
        0
    );
}
