//! Sample records for tests.

use std::time::Duration;

use crate::{
    AppendEntry, ChainLink, CreatedRecord, CreationContent, EndReason, EndedRecord, EpisodeId,
    GuestOutcome, GuestRequest, Hash, OutcomeRecord, Record, RequestRecord, RunIdentity,
    SealedSecrets,
};
use orwd_model::{
    Block, ClockMode, DataDigest, DataMode, Digest, EnvName, Json, Reward, RunId, Seed, SessionId,
    SessionLimits, Timestamp, ToolOutput,
};

pub(crate) fn json(text: &str) -> Json {
    Json::object(text.to_owned()).unwrap()
}

pub(crate) fn limits() -> SessionLimits {
    SessionLimits {
        memory: 256 << 20,
        tables: 1 << 20,
        handles: 1024,
        call_cpu: Duration::from_secs(30),
        call_wall: Duration::from_secs(60),
        setup_cpu: Duration::from_secs(60),
        setup_wall: Duration::from_secs(120),
        teardown_cpu: Duration::from_secs(10),
        teardown_wall: Duration::from_secs(20),
        result: 8 << 20,
        host_call: 16 << 20,
        json_depth: 128,
        log: 64 << 10,
        log_total: 1 << 20,
        disk: 64 << 20,
        files: 4096,
        open_files: 256,
        journal: 256 << 20,
        http_requests: 10_000,
        http_call: 16 << 20,
    }
}

pub(crate) fn created(owner: Option<&str>, session: &str) -> CreatedRecord {
    CreatedRecord {
        owner: owner.map(str::to_owned),
        session: SessionId::new(session).unwrap(),
        environment: EnvName::new("counter").unwrap(),
        component: Digest::of(b"component"),
        data: Some(DataDigest::from_bytes(*Digest::of(b"data").as_bytes())),
        observed: None,
        mode: DataMode::Session,
        task: json(r#"{"target":3}"#),
        seed: Seed::new(0x0707_0707_0707_0707),
        start: Timestamp::from_nanos(1_700_000_000_000_000_000),
        clock: ClockMode::Virtual,
        limits: limits(),
        host_version: "0.1.0".to_owned(),
        engine: "engine 48".to_owned(),
        secrets: SealedSecrets::None,
        request: Hash::of(b"request"),
        toolset: None,
        parent: None,
        content: CreationContent::Plain,
        sealed_for: None,
    }
}

pub(crate) fn call(n: u64) -> Record {
    Record::Request(Box::new(RequestRecord {
        at: Timestamp::from_nanos(n),
        request: GuestRequest::Call {
            tool: "add".to_owned(),
            input: json(&format!(r#"{{"amount":{n}}}"#)),
        },
        run: Some(RunIdentity {
            id: RunId::from_bytes([n as u8; 16]),
            body: Hash::of(&n.to_be_bytes()),
            idempotency_key: n.is_multiple_of(2).then(|| format!("key-{n}")),
        }),
        sealed: None,
    }))
}

pub(crate) fn outcome(of: u64, reward: Option<f64>) -> Record {
    let outcome = GuestOutcome::Output(ToolOutput {
        blocks: vec![Block::Text {
            text: format!("the answer to {of}"),
            detail: None,
        }],
        metadata: Some(json(r#"{"a":1}"#)),
        reward: reward.map(|reward| Reward::new(reward).unwrap()),
        finished: false,
    });
    Record::Outcome(Box::new(OutcomeRecord::new(of, outcome, 3)))
}

pub(crate) fn ended() -> Record {
    Record::Ended(EndedRecord {
        at: Timestamp::from_nanos(99),
        reason: EndReason::Deleted,
    })
}

/// The records of a live episode with this many calls.
pub(crate) fn episode(owner: Option<&str>, session: &str, calls: u64) -> Vec<Record> {
    let mut records = vec![Record::Created(Box::new(created(owner, session)))];
    for n in 0..calls {
        records.push(call(n));
        records.push(outcome(2 * n + 1, Some(0.5)));
    }
    records
}

/// The entries that append these records.
pub(crate) fn entries(episode: EpisodeId, records: &[Record]) -> Vec<AppendEntry> {
    let mut link = ChainLink::initial(episode);
    let numbered = records.iter().enumerate();
    numbered
        .map(|(seq, record)| {
            let entry = AppendEntry::new(episode, seq as u64, link, record);
            link = entry.link;
            entry
        })
        .collect()
}
