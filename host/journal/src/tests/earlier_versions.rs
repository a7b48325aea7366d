//! Journals of earlier versions.

use std::fs;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::testing as sample;
use crate::{
    AppendEntry, AppendResult, Durability, EpisodeArchive, EpisodeFilter, EpisodeState,
    GuestOutcome, JournalStore, Record, SealKey, SealedSecrets, SqliteStore,
};

/// A journal of the first version of the tables: a server wrote it, with one open
/// session, one that has ended, and one with secrets.
fn first_version() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("format"), "orwd state 1\n").unwrap();
    let journal = include_bytes!("golden/journal-1.db");
    fs::write(dir.path().join("journal.db"), journal).unwrap();
    dir
}

fn version(dir: &TempDir) -> i32 {
    let connection = Connection::open(dir.path().join("journal.db")).unwrap();
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[test]
fn a_journal_of_the_first_version_is_read_and_continued() {
    let dir = first_version();
    assert_eq!(version(&dir), 1);
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let list = store.list(&EpisodeFilter::default()).unwrap();
    let sessions: Vec<&str> = list.iter().map(|one| one.header.session.as_str()).collect();
    assert_eq!(sessions, ["secret", "done", "open"]);
    assert!(list.iter().all(|one| one.header.import.is_none()));
    assert!(matches!(list[1].state, EpisodeState::Ended(_)));
    let history = |n: usize| {
        let archive = EpisodeArchive::export(&store, list[n].id).unwrap();
        assert_eq!(archive.history().imported(), 0);
        archive.history().clone()
    };
    let mut secret = history(0);
    assert!(matches!(secret.created().secrets, SealedSecrets::Sealed(_)));
    assert_eq!(
        secret.created().task.as_str(),
        r#"{"id":"t0","note":"plain"}"#
    );
    let key = SealKey::parse(&"07".repeat(32)).unwrap();
    let created = secret.created();
    let opened = created
        .secrets
        .open(Some(&key), secret.episode(), created.component);
    assert_eq!(opened.unwrap().iter().count(), 1);
    secret.unseal(&key).unwrap();
    let call = secret.steps().last().unwrap();
    let run = call.record.run.as_ref().unwrap();
    assert_eq!(run.idempotency_key.as_deref(), Some("k2"));
    let outcome = call.outcome.as_ref().unwrap().record.outcome.as_ref();
    assert!(matches!(outcome, Some(GuestOutcome::Output(_))));
    // The open session continues.
    let open = history(2);
    let Record::Request(request) = sample::call(1) else {
        panic!("no request");
    };
    let entry = AppendEntry::new(
        open.episode(),
        open.next(),
        open.tip(),
        &Record::Request(request),
    );
    assert_eq!(store.append(&[entry]).unwrap(), [AppendResult::Appended]);
    drop(store);
    assert_eq!(version(&dir), 3);
    let store = SqliteStore::open(dir.path(), Durability::Power).unwrap();
    assert_eq!(store.list(&EpisodeFilter::default()).unwrap().len(), 3);
}

#[test]
fn a_visitor_upgrades_a_journal_too() {
    let dir = first_version();
    let store = SqliteStore::visit(dir.path()).unwrap();
    assert_eq!(store.list(&EpisodeFilter::default()).unwrap().len(), 3);
    drop(store);
    assert_eq!(version(&dir), 3);
    SqliteStore::open(dir.path(), Durability::Process).unwrap();
}
