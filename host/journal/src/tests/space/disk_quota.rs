//! Disk quotas of owners.

use std::time::Duration;

use tempfile::TempDir;

use crate::testing as sample;
use crate::{
    DiskLimits, DiskQuota, DiskRefusal, Durability, EpisodeId, Journal, Record, SqliteStore,
};

const MIB: u64 = 1 << 20;

fn quota(dir: &TempDir, per_owner: Option<u64>, reserve: u64) -> (Journal, DiskQuota) {
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let journal = Journal::with_store(store, Durability::Process, None).unwrap();
    let limits = DiskLimits {
        per_owner,
        reserve: Some(reserve),
    };
    (journal.clone(), DiskQuota::new(journal, limits))
}

/// Writes an episode of about this many bytes.
async fn episode(
    journal: &Journal,
    owner: &str,
    session: &str,
    bytes: u64,
    ends: bool,
) -> EpisodeId {
    let id = EpisodeId::new();
    let (mut writer, created) = journal.begin(id, sample::created(Some(owner), session));
    created.await.unwrap();
    let mut record = sample::call(1);
    if let Record::Request(request) = &mut record {
        request.sealed = Some(vec![7; bytes as usize]);
    }
    writer.append(&record).await.unwrap();
    if ends {
        writer.append(&sample::ended()).await.unwrap();
    }
    id
}

#[tokio::test]
async fn an_owner_loses_its_oldest_ended_episodes_and_is_then_refused() {
    let dir = TempDir::new().unwrap();
    let (journal, quota) = quota(&dir, Some(4 * MIB), 0);
    let mut ended = Vec::new();
    for n in 0..3 {
        ended.push(episode(&journal, "mallory", &format!("ended-{n}"), MIB, true).await);
    }
    let others = episode(&journal, "alice", "ended", MIB, true).await;
    assert_eq!(quota.check(Some("mallory")).await, Ok(()));
    let live = episode(&journal, "mallory", "live-1", MIB, false).await;
    episode(&journal, "mallory", "live-2", MIB, false).await;
    // Two of five are enough for the quota and a margin.
    assert_eq!(quota.check(Some("mallory")).await, Ok(()));
    let mut left = Vec::new();
    for id in &ended {
        left.push(journal.episode(*id).await.unwrap().is_some());
    }
    assert_eq!(left, [false, false, true]);
    for n in 3..6 {
        episode(&journal, "mallory", &format!("live-{n}"), MIB, false).await;
    }
    let refused = quota.check(Some("mallory")).await.unwrap_err();
    assert!(matches!(refused, DiskRefusal::Quota { .. }), "{refused}");
    assert!(refused.is_owners_fault());
    assert!(
        refused.to_string().contains("disk quota exceeded"),
        "{refused}"
    );
    assert!(
        journal.episode(live).await.unwrap().is_some(),
        "live ones stay"
    );
    assert!(journal.episode(others).await.unwrap().is_some());
    assert_eq!(quota.check(Some("alice")).await, Ok(()));
    // Ending a session makes space.
    let end = crate::EndedRecord {
        at: orwd_model::Timestamp::from_nanos(5),
        reason: crate::EndReason::Deleted,
    };
    journal.end(live, end).await.unwrap();
    journal.end(live, end).await.unwrap();
    for n in 3..5 {
        let session = orwd_model::SessionId::new(&format!("live-{n}")).unwrap();
        let index = journal.find(Some("mallory"), &session).await.unwrap();
        journal.end(index.unwrap().id, end).await.unwrap();
    }
    assert_eq!(quota.check(Some("mallory")).await, Ok(()));
    assert!(journal.episode(live).await.unwrap().is_none());
}

#[tokio::test]
async fn requests_reserve_what_they_may_write() {
    let dir = TempDir::new().unwrap();
    let (_journal, quota) = quota(&dir, Some(4 * MIB), 0);
    // A single one may be larger than the quota, as limits are rarely reached.
    let first = quota.admit(Some("alice"), 8 * MIB).await.unwrap();
    let second = quota.admit(Some("alice"), MIB);
    let waits = tokio::time::timeout(Duration::from_millis(20), second).await;
    assert!(waits.is_err(), "the first may fill the quota");
    drop(quota.admit(Some("bob"), 2 * MIB).await.unwrap());
    let waiting = tokio::spawn({
        let quota = quota.clone();
        async move { quota.admit(Some("alice"), MIB).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    drop(first);
    waiting.await.unwrap().unwrap();
    // What is known exactly is refused at once.
    let refused = quota
        .admit_exactly(Some("alice"), 5 * MIB)
        .await
        .unwrap_err();
    assert!(matches!(refused, DiskRefusal::Quota { .. }), "{refused}");
    drop(quota.admit_exactly(Some("alice"), 3 * MIB).await.unwrap());
}

#[tokio::test]
async fn what_one_owner_reserves_leaves_others_their_share() {
    let dir = TempDir::new().unwrap();
    let (journal, quota) = quota(&dir, None, 0);
    let space = journal.space().await.unwrap();
    let all = quota.admit(Some("mallory"), space.available).await.unwrap();
    let first = quota.admit(Some("alice"), MIB).await.unwrap();
    let second = quota.admit(Some("alice"), MIB);
    let second = tokio::time::timeout(Duration::from_secs(5), second).await;
    drop(second.expect("it is within her share").unwrap());
    // Other programs may free some of the space meanwhile.
    let more = quota.admit(Some("mallory"), space.available);
    let more = tokio::time::timeout(Duration::from_millis(20), more).await;
    assert!(more.is_err(), "the owner that holds the space waits");
    drop((first, all));
}

#[tokio::test]
async fn the_reserve_is_for_owners_that_take_little() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
    let space = crate::JournalStore::space(&store).unwrap();
    drop(store);
    // The space is between the reserve and half of it.
    let (journal, quota) = quota(&dir, None, space.available + space.available / 2);
    episode(&journal, "mallory", "live", 3 * MIB, false).await;
    let ended = episode(&journal, "mallory", "ended", MIB, true).await;
    let refused = quota.check(Some("mallory")).await.unwrap_err();
    assert!(matches!(refused, DiskRefusal::Share { .. }), "{refused}");
    assert!(
        journal.episode(ended).await.unwrap().is_none(),
        "its own go first"
    );
    assert_eq!(quota.check(Some("alice")).await, Ok(()));
    journal.close().await;
    drop((journal, quota));
}

#[tokio::test]
async fn a_full_disk_is_not_the_fault_of_an_owner_that_takes_little() {
    let dir = TempDir::new().unwrap();
    let (_journal, quota) = quota(&dir, None, u64::MAX);
    let refused = quota.check(Some("alice")).await.unwrap_err();
    assert_eq!(refused, DiskRefusal::NoSpace);
    assert!(!refused.is_owners_fault());
    let disabled = DiskQuota::new(Journal::disabled(), DiskLimits::default());
    assert_eq!(disabled.check(None).await, Ok(()));
}
