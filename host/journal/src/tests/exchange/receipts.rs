//! Receipts and their verification.

use crate::store::MemoryStore;
use crate::testing as sample;
use crate::{
    EpisodeArchive, EpisodeHistory, EpisodeId, Journal, JournalStore, Receipt, ReceiptBody,
    ReceiptError, ReceiptKey, ReceiptSigner, Record, StateDir, StoredRecord,
};

fn history(records: &[Record]) -> EpisodeHistory {
    let id = EpisodeId::from_bytes([3; 16]);
    let rows: Vec<StoredRecord> = sample::entries(id, records)
        .into_iter()
        .map(|entry| StoredRecord {
            seq: entry.seq,
            bytes: entry.bytes,
            link: entry.link,
        })
        .collect();
    EpisodeHistory::read(id, &rows).unwrap()
}

fn with_rewards(rewards: &[Option<f64>]) -> Vec<Record> {
    let mut records = sample::episode(Some("alice"), "s", 0);
    for (n, reward) in rewards.iter().enumerate() {
        let n = n as u64;
        records.push(sample::call(n));
        records.push(sample::outcome(2 * n + 1, *reward));
    }
    records
}

#[test]
fn a_receipt_has_the_recorded_values_and_verifies() {
    let mut records = with_rewards(&[Some(0.1), None, Some(0.2)]);
    records.push(sample::ended());
    let (history, signer) = (history(&records), ReceiptSigner::random());
    let receipt = Receipt::sign(&history, &signer);
    let body = &receipt.receipt;
    assert_eq!(body.calls.len(), 3);
    assert_eq!(body.total_reward, 0.1 + 0.2);
    assert_eq!(body.ended.as_deref(), Some("deleted"));
    assert_eq!(body.link, history.tip().to_string());
    let text = receipt.to_json().unwrap();
    assert!(
        !text.contains("alice"),
        "the owner's name must not be in a receipt"
    );
    let read = Receipt::parse(&text).unwrap();
    assert_eq!(read, receipt);
    assert_eq!(read.verify(None), Ok(signer.key()));
    assert_eq!(read.verify(Some(&signer.key())), Ok(signer.key()));
    assert_eq!(read.compare(&history), Ok(()));
    // A tool may reformat the JSON.
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let compact = Receipt::parse(&value.to_string()).unwrap();
    assert_eq!(compact.verify(None), Ok(signer.key()));
}

#[test]
fn a_receipt_has_its_golden_content() {
    let mut records = sample::episode(Some("alice"), "s", 2);
    records.push(sample::ended());
    let body = ReceiptBody::of(&history(&records));
    let text = serde_json::to_string_pretty(&body).unwrap();
    assert_eq!(text, include_str!("../golden/receipt.json").trim_end());
}

#[test]
fn a_live_episode_has_a_receipt_of_its_records_so_far() {
    let so_far = history(&with_rewards(&[Some(1.0)]));
    let receipt = Receipt::sign(&so_far, &ReceiptSigner::random());
    assert_eq!(receipt.receipt.ended, None);
    let later = history(&with_rewards(&[Some(1.0), Some(1.0)]));
    let told = receipt.compare(&later).unwrap_err().to_string();
    assert!(told.contains("its number of records is 3"), "{told}");
}

#[test]
fn a_changed_value_breaks_the_signature() {
    let receipt = Receipt::sign(
        &history(&with_rewards(&[Some(0.5)])),
        &ReceiptSigner::random(),
    );
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
    let other = ReceiptSigner::random().key();
    forged.key = other.to_string();
    assert_eq!(forged.verify(None), Err(ReceiptError::Signature));
    let key = receipt.verify(Some(&other));
    assert!(matches!(key, Err(ReceiptError::Key { .. })), "{key:?}");
}

#[test]
fn a_wrong_receipt_with_a_valid_signature_differs_from_the_journal() {
    let (history, signer) = (
        history(&with_rewards(&[Some(0.5)])),
        ReceiptSigner::random(),
    );
    let signed =
        |rewards: &[Option<f64>]| Receipt::sign(&self::history(&with_rewards(rewards)), &signer);
    let wrong = signed(&[Some(0.9)]);
    assert!(wrong.verify(Some(&signer.key())).is_ok());
    let told = wrong.compare(&history).unwrap_err().to_string();
    assert!(told.contains("total reward is 0.9"), "{told}");
}

#[test]
fn an_invalid_receipt_is_refused() {
    let text = Receipt::sign(&history(&with_rewards(&[])), &ReceiptSigner::random())
        .to_json()
        .unwrap();
    for (text, expected) in [
        ("", "this is not a receipt"),
        ("{}", "this is not a receipt"),
        ("[1]", "this is not a receipt"),
        (
            &text.replace("\"version\": 1", "\"version\": 7"),
            "the receipt is of version 7",
        ),
        (
            &text.replace("\"version\"", "\"extra\": 1, \"version\""),
            "this is not a receipt: unknown field `extra`",
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
fn a_host_has_one_key() {
    let dir = tempfile::TempDir::new().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let key = ReceiptSigner::open(&state).unwrap().key();
    assert_eq!(ReceiptSigner::open(&state).unwrap().key(), key);
    assert_eq!(ReceiptKey::parse(&key.to_string()), Some(key));
    let path = dir.path().join("receipts.key");
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    std::fs::write(&path, "nonsense").unwrap();
    let error = ReceiptSigner::open(&state).unwrap_err().to_string();
    assert!(error.contains("holds no signing key"), "{error}");
}

#[test]
fn a_key_file_with_a_changed_byte_is_refused_or_the_same_key() {
    let dir = tempfile::TempDir::new().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let key = ReceiptSigner::open(&state).unwrap().key();
    let path = dir.path().join("receipts.key");
    let bytes = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for at in 0..bytes.len() {
        for byte in [b'0', b'7', b'f', b' ', b'\n', b'x'] {
            let mut changed = bytes.clone();
            changed[at] = byte;
            std::fs::write(&path, &changed).unwrap();
            match ReceiptSigner::open(&state) {
                Ok(signer) => assert_eq!(signer.key(), key, "{byte} at {at}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn a_key_file_of_an_earlier_version_gets_its_public_key() {
    let dir = tempfile::TempDir::new().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let path = dir.path().join("receipts.key");
    std::fs::write(&path, "07".repeat(32) + "\n").unwrap();
    let key = ReceiptSigner::open(&state).unwrap().key();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("{} {key}\n", "07".repeat(32)));
    assert_eq!(ReceiptSigner::open(&state).unwrap().key(), key);
}

#[tokio::test]
async fn a_receipt_of_the_journal_matches_the_archive() {
    let id = EpisodeId::new();
    let store = MemoryStore::new();
    let records = with_rewards(&[Some(1.0), Some(2.0)]);
    store.append(&sample::entries(id, &records)).unwrap();
    let mut file = Vec::new();
    EpisodeArchive::export(&store, id)
        .unwrap()
        .write(&mut file)
        .unwrap();
    let signer = ReceiptSigner::random();
    let key = signer.key();
    let journal = Journal::with_signer(store, crate::Durability::Process, None, signer).unwrap();
    let receipt = journal.receipt(id).await.unwrap();
    assert_eq!(receipt.verify(None), Ok(key));
    let archive = EpisodeArchive::read(&file[..]).unwrap();
    let history = archive
        .history_prefix(receipt.receipt.records)
        .unwrap()
        .unwrap();
    assert_eq!(receipt.compare(&history), Ok(()));
}
