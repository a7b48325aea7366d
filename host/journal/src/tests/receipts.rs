//! Receipts: what they say, and how they are found out.

use crate::testing as sample;
use crate::{
    EpisodeId, History, Journal, MemoryStore, Portable, Receipt, ReceiptError, ReceiptKey, Record,
    Row, Signer, StateDir, Store,
};

fn history(records: &[Record]) -> History {
    let id = EpisodeId::from_bytes([3; 16]);
    let rows: Vec<Row> = sample::entries(id, records)
        .into_iter()
        .map(|entry| Row {
            seq: entry.seq,
            bytes: entry.bytes,
            link: entry.link,
        })
        .collect();
    History::read(id, &rows).unwrap()
}

fn story(rewards: &[Option<f64>]) -> Vec<Record> {
    let mut records = sample::episode(Some("alice"), "s", 0);
    for (n, reward) in rewards.iter().enumerate() {
        let n = n as u64;
        records.push(sample::call(n));
        records.push(sample::answer(2 * n + 1, *reward));
    }
    records
}

#[test]
fn a_receipt_says_what_was_recorded_and_holds() {
    let mut records = story(&[Some(0.1), None, Some(0.2)]);
    records.push(sample::ended());
    let (history, signer) = (history(&records), Signer::random());
    let receipt = Receipt::sign(&history, &signer);
    let body = &receipt.receipt;
    assert_eq!(body.calls.len(), 3);
    assert_eq!(body.total_reward, 0.1 + 0.2);
    assert_eq!(body.ended.as_deref(), Some("deleted"));
    assert_eq!(body.link, history.tip().to_string());
    let text = receipt.to_json().unwrap();
    assert!(
        !text.contains("alice"),
        "an owner's name is nobody's business"
    );
    let read = Receipt::parse(&text).unwrap();
    assert_eq!(read, receipt);
    assert_eq!(read.verify(None), Ok(signer.key()));
    assert_eq!(read.verify(Some(&signer.key())), Ok(signer.key()));
    assert_eq!(read.compare(&history), Ok(()));
    // A tool may write the same values in another way.
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let compact = Receipt::parse(&value.to_string()).unwrap();
    assert_eq!(compact.verify(None), Ok(signer.key()));
}

#[test]
fn an_episode_that_goes_on_has_an_account_so_far() {
    let so_far = history(&story(&[Some(1.0)]));
    let receipt = Receipt::sign(&so_far, &Signer::random());
    assert_eq!(receipt.receipt.ended, None);
    let later = history(&story(&[Some(1.0), Some(1.0)]));
    let told = receipt.compare(&later).unwrap_err().to_string();
    assert!(told.contains("its number of records is 3"), "{told}");
}

#[test]
fn every_change_of_a_value_breaks_the_signature() {
    let receipt = Receipt::sign(&history(&story(&[Some(0.5)])), &Signer::random());
    let text = receipt.to_json().unwrap();
    for (from, to) in [
        ("\"total_reward\": 0.5", "\"total_reward\": 1.5"),
        ("\"reward\": 0.5", "\"reward\": 0.6"),
        ("\"session\": \"s\"", "\"session\": \"t\""),
        ("\"ended\": null", "\"ended\": \"deleted\""),
        ("\"finished\": false", "\"finished\": true"),
    ] {
        let forged = text.replace(from, to);
        assert_ne!(forged, text, "{from}");
        let forged = Receipt::parse(&forged).unwrap();
        assert_eq!(forged.verify(None), Err(ReceiptError::Signature), "{from}");
    }
    let mut forged = receipt.clone();
    let other = Signer::random().key();
    forged.key = other.to_string();
    assert_eq!(forged.verify(None), Err(ReceiptError::Signature));
    let key = receipt.verify(Some(&other));
    assert!(matches!(key, Err(ReceiptError::Key { .. })), "{key:?}");
}

#[test]
fn a_host_that_signs_a_lie_is_found_out_by_the_journal() {
    let (history, signer) = (history(&story(&[Some(0.5)])), Signer::random());
    let liar = |rewards: &[Option<f64>]| Receipt::sign(&self::history(&story(rewards)), &signer);
    let lie = liar(&[Some(0.9)]);
    assert!(lie.verify(Some(&signer.key())).is_ok());
    let told = lie.compare(&history).unwrap_err().to_string();
    assert!(told.contains("total reward is 0.9"), "{told}");
}

#[test]
fn what_is_no_receipt() {
    let text = Receipt::sign(&history(&story(&[])), &Signer::random())
        .to_json()
        .unwrap();
    for (text, expected) in [
        ("", "this is no receipt"),
        ("{}", "this is no receipt"),
        ("[1]", "this is no receipt"),
        (
            &text.replace("\"version\": 1", "\"version\": 7"),
            "the receipt is of version 7",
        ),
        (
            &text.replace("\"version\"", "\"extra\": 1, \"version\""),
            "this is no receipt: unknown field `extra`",
        ),
    ] {
        let error = Receipt::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let mut bad = Receipt::parse(&text).unwrap();
    bad.signature = "é".to_owned();
    assert_eq!(bad.verify(None), Err(ReceiptError::Signature));
}

#[test]
fn a_host_keeps_its_key() {
    let dir = tempfile::TempDir::new().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let key = Signer::open(&state).unwrap().key();
    assert_eq!(Signer::open(&state).unwrap().key(), key);
    assert_eq!(ReceiptKey::parse(&key.to_string()), Some(key));
    let path = dir.path().join("receipts.key");
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    std::fs::write(&path, "nonsense").unwrap();
    let error = Signer::open(&state).unwrap_err().to_string();
    assert!(error.contains("holds no key"), "{error}");
}

#[tokio::test]
async fn the_journal_gives_receipts_that_its_file_bears_out() {
    let id = EpisodeId::new();
    let store = MemoryStore::new();
    let records = story(&[Some(1.0), Some(2.0)]);
    store.append(&sample::entries(id, &records)).unwrap();
    let mut file = Vec::new();
    Portable::export(&store, id)
        .unwrap()
        .write(&mut file)
        .unwrap();
    let journal = Journal::over(store, crate::Durability::Process, None).unwrap();
    let receipt = journal.receipt(id).await.unwrap();
    assert_eq!(receipt.verify(None), Ok(journal.receipt_key()));
    let portable = Portable::read(&file[..]).unwrap();
    let history = portable
        .history_of(receipt.receipt.records)
        .unwrap()
        .unwrap();
    assert_eq!(receipt.compare(&history), Ok(()));
}
