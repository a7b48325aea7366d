//! Sealing of secrets and of record content.

use zeroize::Zeroizing;

use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    CreatedRecord, Durability, EpisodeId, GuestOutcome, Journal, JournalError, JournalStore,
    Record, SealKey, SealedSecrets,
};
use orwd_model::{Digest, Secret, Secrets};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn secrets() -> Secrets {
    let secret =
        |name: &str, value: &str| Secret::new(name.to_owned(), Zeroizing::new(value.to_owned()));
    Secrets::new(vec![secret("TOKEN", "hunter2"), secret("EMPTY", "")])
}

fn component() -> Digest {
    Digest::of(b"component")
}

/// Unseals secrets with the key of the journal.
fn unseal(
    key: Option<&str>,
    sealed: &SealedSecrets,
    episode: EpisodeId,
) -> Result<Secrets, JournalError> {
    let key = key.map(|key| SealKey::parse(key).unwrap());
    sealed.open(key.as_ref(), episode, component())
}

fn pairs(secrets: Secrets) -> Vec<(String, String)> {
    let all = secrets.iter();
    all.map(|secret| (secret.name.clone(), secret.expose().to_owned()))
        .collect()
}

fn journal(key: Option<&str>) -> Journal {
    let key = key.map(|key| SealKey::parse(key).unwrap());
    Journal::with_store(MemoryStore::new(), Durability::Process, key).unwrap()
}

fn sealed(journal: &Journal, episode: EpisodeId) -> Vec<u8> {
    match journal.seal(&secrets(), episode, component()).unwrap() {
        SealedSecrets::Sealed(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sealed_secrets_can_be_unsealed_with_the_key_only() {
    let (journal, id) = (journal(Some(KEY)), EpisodeId::new());
    let bytes = sealed(&journal, id);
    let shows = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(!shows(b"hunter2") && !shows(b"TOKEN"));
    assert_ne!(sealed(&journal, id), bytes, "a nonce was used twice");
    let bytes = SealedSecrets::Sealed(bytes);
    let opened = unseal(Some(KEY), &bytes, id).unwrap();
    assert_eq!(pairs(opened), pairs(secrets()));
    let key = SealKey::parse(KEY).unwrap();
    let stranger = bytes.open(Some(&key), id, Digest::of(b"stranger"));
    assert!(stranger.is_err(), "another component got the secrets");
    let none = journal.seal(&Secrets::default(), id, component()).unwrap();
    assert_eq!(none, SealedSecrets::None);
    assert!(unseal(Some(KEY), &none, id).unwrap().is_empty());
}

#[test]
fn hidden_secrets_stay_hidden_with_the_hosts_that_they_may_go_to() {
    let (journal, id) = (journal(Some(KEY)), EpisodeId::new());
    let mut given = Secret::new("TOKEN".to_owned(), Zeroizing::new("hunter2".to_owned()));
    given.allowed_domains = Some(vec!["a.com".to_owned()]);
    let other = Secret::new("OTHER".to_owned(), Zeroizing::new("hunter3".to_owned()));
    let mut all = Secrets::new(vec![given, other]);
    all.hide_as("here".to_owned());
    let sealed = journal.seal(&all, id, component()).unwrap();
    let opened = unseal(Some(KEY), &sealed, id).unwrap();
    assert_eq!(opened.hidden_as(), Some("here"));
    let domains: Vec<_> = opened
        .iter()
        .map(|secret| secret.allowed_domains.clone())
        .collect();
    assert_eq!(domains, [Some(vec!["a.com".to_owned()]), None]);
    assert_eq!(pairs(opened), pairs(all));
    let SealedSecrets::Sealed(mut bytes) = sealed else {
        panic!("not sealed");
    };
    // The version decides whether the guest sees the values, so it is fixed by
    // what is sealed.
    bytes[0] = 2;
    let opened = unseal(Some(KEY), &SealedSecrets::Sealed(bytes), id);
    assert!(opened.is_err(), "hidden secrets were opened as plain ones");
}

#[test]
fn without_a_key_secrets_are_withheld() {
    let (journal, id) = (journal(None), EpisodeId::new());
    let withheld = journal.seal(&secrets(), id, component()).unwrap();
    assert_eq!(withheld, SealedSecrets::Withheld);
    let error = unseal(None, &withheld, id).unwrap_err().to_string();
    assert!(error.contains("there was no key"), "{error}");
}

/// An episode with secrets and one call, with this seal key, and its store.
async fn with_secrets(key: Option<&str>) -> (Journal, MemoryStore, EpisodeId) {
    let store = MemoryStore::new();
    let key = key.map(|key| SealKey::parse(key).unwrap());
    let journal = Journal::with_store(store.clone(), Durability::Process, key).unwrap();
    let id = EpisodeId::new();
    let created = CreatedRecord {
        secrets: journal.seal(&secrets(), id, component()).unwrap(),
        task: sample::json(r#"{"token":"hunter2"}"#),
        toolset: Some("hunter2".to_owned()),
        ..sample::created(None, "s")
    };
    let (mut writer, created) = journal.begin(id, created);
    created.await.unwrap();
    writer.append(&sample::call(41)).await.unwrap();
    writer.append(&sample::outcome(1, Some(0.5))).await.unwrap();
    // As a resumed session does.
    let mut writer = journal.resume(&journal.history(id).await.unwrap());
    writer.append(&sample::call(42)).await.unwrap();
    (journal, store, id)
}

#[tokio::test]
async fn the_content_of_an_episode_with_secrets_is_sealed_or_withheld() {
    for key in [Some(KEY), None] {
        let (journal, store, id) = with_secrets(key).await;
        let created = store.read(id, 0).unwrap().remove(0);
        let text = String::from_utf8_lossy(&created.bytes).into_owned();
        assert!(
            !text.contains("hunter2") && !text.contains("token"),
            "{text}"
        );
        for row in store.read(id, 1).unwrap() {
            let text = String::from_utf8_lossy(&row.bytes).into_owned();
            for content in ["amount", "the answer", "key-42"] {
                assert!(!text.contains(content), "{text}");
            }
            assert!(text.contains("add") || text.contains("answered"), "{text}");
        }
        let history = journal.history(id).await.unwrap();
        let task = history.created().task.as_str();
        assert_eq!(task.contains("hunter2"), key.is_some(), "{task}");
        assert_eq!(history.created().toolset.is_some(), key.is_some());
        let receipt = journal.receipt(id).await.unwrap();
        assert_eq!(receipt.receipt.task == "withheld", key.is_none());
        let steps = history.steps();
        let outcome = |n: usize| steps[n].outcome.as_ref().unwrap().record.outcome.clone();
        if key.is_some() {
            let Record::Request(asked) = sample::call(42) else {
                panic!("not asked");
            };
            assert_eq!(steps[1].record, *asked);
            assert!(matches!(outcome(0), Some(GuestOutcome::Output(_))));
            // Another key unseals nothing, and the episode can still be ended.
            let other = SealKey::parse(OTHER).ok();
            let other = Journal::with_store(store.clone(), Durability::Process, other).unwrap();
            let closed = other.history(id).await.unwrap();
            assert_eq!(
                closed.steps()[0].outcome.as_ref().unwrap().record.outcome,
                None
            );
            other
                .resume(&closed)
                .append(&sample::ended())
                .await
                .unwrap();
        } else {
            assert_eq!(outcome(0), None);
            assert_eq!(steps[0].record.sealed, None);
        }
    }
}

#[tokio::test]
async fn sealed_content_is_bound_to_its_slot() {
    let (_, store, id) = with_secrets(Some(KEY)).await;
    let rows = store.read(id, 0).unwrap();
    let key = SealKey::parse(KEY).unwrap();
    let sealed = |seq: usize| match crate::record::decode(&rows[seq].bytes).unwrap() {
        Record::Request(asked) => asked.sealed.unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(key.unseal_content(&sealed(1), id, 1).is_ok());
    assert!(key.unseal_content(&sealed(1), id, 3).is_err());
    assert!(key.unseal_content(&sealed(3), EpisodeId::new(), 3).is_err());
}

/// Forks an episode with secrets at its last outcome, in a line of forks. Returns
/// the child after one more call.
async fn forked(journal: &Journal, parent: EpisodeId, upto: u64, session: &str) -> EpisodeId {
    let history = journal.history(parent).await.unwrap();
    let id = EpisodeId::new();
    let created = CreatedRecord {
        secrets: journal.seal(&secrets(), id, component()).unwrap(),
        sealed_for: Some(history.created().sealed_for(parent)),
        ..sample::created(None, session)
    };
    let children = vec![(id, created, None)];
    let written = journal.fork(parent, upto, children).await.unwrap();
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    let mut writer = journal.resume(&journal.history(id).await.unwrap());
    let of = writer.next();
    writer.append(&sample::call(of)).await.unwrap();
    writer
        .append(&sample::outcome(of, Some(0.25)))
        .await
        .unwrap();
    id
}

#[tokio::test]
async fn forks_share_what_is_sealed_and_can_be_read_without_their_parent() {
    let (journal, store, parent) = with_secrets(Some(KEY)).await;
    let child = forked(&journal, parent, 2, "child").await;
    let grandchild = forked(&journal, child, 4, "grandchild").await;
    let (theirs, own) = (
        store.read(child, 0).unwrap(),
        store.read(parent, 0).unwrap(),
    );
    for seq in [1, 2] {
        assert_eq!(theirs[seq].bytes, own[seq].bytes, "sealed again");
    }
    let text = String::from_utf8_lossy(&theirs[0].bytes).into_owned();
    assert!(!text.contains("amount"), "{text}");
    journal.purge(parent).await.unwrap();
    let history = journal.history(grandchild).await.unwrap();
    let calls = history
        .steps()
        .iter()
        .map(|step| step.record.request.clone());
    let expected = [41, 3, 5].map(|amount| match sample::call(amount) {
        Record::Request(request) => request.request,
        other => panic!("{other:?}"),
    });
    assert_eq!(calls.collect::<Vec<_>>(), expected);
    assert!(history.steps().iter().all(|step| {
        let outcome = step.outcome.as_ref().unwrap();
        matches!(outcome.record.outcome, Some(GuestOutcome::Output(_)))
    }));
    assert_eq!(journal.history(child).await.unwrap().steps().len(), 2);
    // The task of a child is sealed for itself.
    assert_eq!(
        history.created().task,
        sample::created(None, "grandchild").task
    );
}

#[test]
fn an_error_says_why_secrets_cannot_be_unsealed() {
    let id = EpisodeId::new();
    let bytes = sealed(&journal(Some(KEY)), id);
    let open = |key: Option<&str>, bytes: &[u8], id| {
        let sealed = SealedSecrets::Sealed(bytes.to_vec());
        unseal(key, &sealed, id).unwrap_err().to_string()
    };
    assert!(open(Some(OTHER), &bytes, id).contains("another key"));
    assert!(open(None, &bytes, id).contains("no key to open them"));
    let elsewhere = open(Some(KEY), &bytes, EpisodeId::new());
    assert!(elsewhere.contains("damaged"), "{elsewhere}");
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        open(Some(KEY), &flipped, id);
        open(Some(KEY), &bytes[..at], id);
    }
}

#[test]
fn parses_and_reads_keys() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, format!(" {KEY}\n")).unwrap();
    let key = SealKey::read(&path).unwrap();
    assert_eq!(format!("{key:?}"), "SealKey(…)");
    for text in [
        "",
        "00",
        &KEY[1..],
        &format!("{KEY}0"),
        &KEY.replace('0', "+"),
        &"é".repeat(32),
    ] {
        let error = SealKey::parse(text).unwrap_err().to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }
    let missing = SealKey::read(&dir.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");
}

#[test]
fn what_an_earlier_version_sealed_is_unsealed() {
    let (id, key) = (EpisodeId::new(), SealKey::parse(KEY).unwrap());
    let Record::Request(asked) = sample::call(41) else {
        panic!("not asked");
    };
    let mut content = Vec::new();
    crate::record::encode_value(&asked.request, &mut content);
    let mut sealed = *asked.clone();
    sealed.sealed = Some(key.seal_content(&content, id, 1).unwrap());
    crate::sealing::unseal_request(&mut sealed, &key, id, 1).unwrap();
    assert_eq!(sealed, *asked);
}

#[test]
fn another_seal_key_than_before_is_refused_until_it_is_meant() {
    let dir = tempfile::TempDir::new().unwrap();
    let state = crate::StateDir::open(dir.path()).unwrap();
    let key = |text: &str| SealKey::parse(text).unwrap();
    SealKey::check_none_known(&state).unwrap();
    key(KEY).check_known(&state).unwrap();
    key(KEY).check_known(&state).unwrap();
    let refused = SealKey::check_none_known(&state).unwrap_err().to_string();
    assert!(refused.contains("--seal-key FILE"), "{refused}");
    let refused = key(OTHER).check_known(&state).unwrap_err().to_string();
    assert!(refused.contains("another than the one"), "{refused}");
    let noted = dir.path().join("seal.fingerprint");
    let text = std::fs::read_to_string(&noted).unwrap();
    assert!(!KEY.contains(text.trim()), "the key itself is nowhere");
    std::fs::remove_file(&noted).unwrap();
    SealKey::check_none_known(&state).unwrap();
    key(OTHER).check_known(&state).unwrap();
}
