//! The encoding of records, and invalid bytes.

use proptest::prelude::*;

use crate::record::{decode, encode};
use crate::testing as sample;
use crate::{
    CreationContent, EndReason, EndedRecord, EpisodeHistory, EpisodeId, ExchangeRecord, ForkOrigin,
    GuestOutcome, GuestRequest, Hash, JournalError, OutcomeRecord, Record, RequestRecord,
    RunIdentity, SealedSecrets, StoredRecord,
};
use orwd_model::{
    Block, Candidate, ClockMode, DataMode, Fault, FaultCode, HttpError, HttpErrorCode,
    HttpExchange, HttpRequest, HttpResponse, Message, MessageBlock, OnConflict, PublishRules,
    Refusal, RefusalReason, Reward, Role, RunId, RunOutcome, Score, Timestamp, ToolOutput,
    ToolSpec, TrapKind,
};

fn text(text: &str) -> Block {
    Block::Text {
        text: text.to_owned(),
        detail: Some(sample::json(r#"{"n":12345678901234567890123}"#)),
    }
}

fn message(role: Role, blocks: Vec<MessageBlock>) -> Message {
    Message {
        role,
        blocks,
        detail: None,
    }
}

fn conversation() -> Vec<Message> {
    let image = Block::Image {
        data: vec![0, 255, 128],
        mime_type: "image/png".to_owned(),
        detail: None,
    };
    vec![
        message(
            Role::System,
            vec![MessageBlock::Plain(text("be\u{0} good"))],
        ),
        message(
            Role::Assistant,
            vec![
                MessageBlock::Reasoning {
                    text: "hm".to_owned(),
                    signature: Some("sig".to_owned()),
                    detail: None,
                },
                MessageBlock::ToolCall {
                    id: "1".to_owned(),
                    name: "add".to_owned(),
                    input: sample::json(r#"{"amount":1}"#),
                    detail: Some(sample::json("{}")),
                },
            ],
        ),
        message(
            Role::User,
            vec![MessageBlock::ToolResult {
                tool_call_id: "1".to_owned(),
                blocks: vec![image, text("é")],
                is_error: true,
                detail: None,
            }],
        ),
    ]
}

fn outcomes() -> Vec<GuestOutcome> {
    let reward = |value| Reward::new(value).unwrap();
    let output = |reward, finished| {
        GuestOutcome::Output(ToolOutput {
            blocks: vec![text("x")],
            metadata: None,
            reward,
            finished,
        })
    };
    let mut all = vec![
        GuestOutcome::Done,
        GuestOutcome::Blocks(vec![text("prompt")]),
        GuestOutcome::Messages(conversation()),
        GuestOutcome::Tools(vec![ToolSpec {
            name: "t".to_owned(),
            description: String::new(),
            input_schema: Some(sample::json(r#"{"type":"object"}"#)),
        }]),
        output(None, false),
        output(Some(reward(0.1)), true),
        output(Some(reward(-0.0)), true),
        output(Some(reward(f64::MAX)), true),
        output(Some(reward(5e-324)), true),
        GuestOutcome::Scores(vec![Score {
            reward: reward(1.0),
            metadata: Some(sample::json("{}")),
        }]),
        GuestOutcome::Failed("no".to_owned()),
        GuestOutcome::Published { files: 3 },
    ];
    for code in FaultCode::ALL {
        all.push(GuestOutcome::Faulted(Fault::new(*code, "why")));
    }
    for kind in TrapKind::ALL {
        all.push(GuestOutcome::Faulted(Fault::trap(*kind, "why")));
    }
    for reason in [
        RefusalReason::NotFound,
        RefusalReason::NameCollision,
        RefusalReason::InputValidation,
        RefusalReason::EpisodeFinished,
    ] {
        let message = "why".to_owned();
        all.push(GuestOutcome::Refused(Refusal { reason, message }));
    }
    all
}

/// A record of every kind, with every optional field once present and once
/// absent.
fn records() -> Vec<Record> {
    let mut forked = sample::created(Some("alice"), "s");
    forked.data = None;
    forked.clock = ClockMode::Real;
    forked.secrets = SealedSecrets::Sealed(vec![1, 2, 3]);
    forked.toolset = Some("web".to_owned());
    forked.parent = Some(ForkOrigin {
        episode: EpisodeId::from_bytes([9; 16]),
        seq: 12,
    });
    forked.mode = DataMode::Shared(PublishRules {
        folders: vec!["results".to_owned()],
        on_conflict: OnConflict::Replace,
    });
    let mut withheld = sample::created(None, "s");
    withheld.secrets = SealedSecrets::Withheld;
    withheld.mode = DataMode::ReadOnly;
    let mut all = vec![
        Record::Created(Box::new(forked)),
        Record::Created(Box::new(withheld.clone())),
        sample::call(1),
        sample::call(2),
    ];
    let candidates = vec![Candidate {
        messages: conversation(),
        metadata: Some(sample::json("{}")),
    }];
    for request in [
        GuestRequest::Setup,
        GuestRequest::Prompt,
        GuestRequest::Messages,
        GuestRequest::TaskTools,
        GuestRequest::Score { candidates },
        GuestRequest::Teardown,
    ] {
        let run = None;
        all.push(Record::Request(Box::new(RequestRecord {
            at: Timestamp::from_nanos(1),
            request,
            run,
            sealed: None,
        })));
    }
    for outcome in outcomes() {
        let mut answered = OutcomeRecord::new(7, outcome, u64::MAX);
        all.push(Record::Outcome(Box::new(answered.clone())));
        answered.outcome = None;
        all.push(Record::Outcome(Box::new(answered)));
    }
    for reason in [
        EndReason::Deleted,
        EndReason::Expired,
        EndReason::Faulted(FaultCode::LimitCpu),
        EndReason::SetupFailed,
        EndReason::Diverged,
        EndReason::Stopped,
    ] {
        let at = Timestamp::from_nanos(u64::MAX);
        all.push(Record::Ended(EndedRecord { at, reason }));
    }
    for content in [
        CreationContent::Sealed(vec![1, 2, 3]),
        CreationContent::Withheld,
    ] {
        withheld.content = content;
        all.push(Record::Created(Box::new(withheld.clone())));
    }
    let mut observed = sample::created(None, "s");
    observed.observed = Some(Hash::of(b"seen"));
    all.push(Record::Created(Box::new(observed)));
    let mut answered = OutcomeRecord::new(7, GuestOutcome::Done, 1);
    answered.observed = Some(Hash::of(b"seen"));
    all.push(Record::Outcome(Box::new(answered)));
    all.extend(exchanges());
    let mut limited = sample::created(None, "s");
    (limited.limits.http_requests, limited.limits.http_call) = (5, 1 << 20);
    all.push(Record::Created(Box::new(limited)));
    all
}

#[test]
fn every_kind_of_record_reads_back() {
    for record in records() {
        let bytes = encode(&record);
        assert_eq!(decode(&bytes).unwrap(), record);
        // Each value has one encoding, so that hashes identify values.
        assert_eq!(encode(&decode(&bytes).unwrap()), bytes);
    }
}

#[test]
fn hashes_of_outcomes_differ_and_survive_the_conversion_of_runs() {
    let all = outcomes();
    let mut hashes: Vec<Hash> = all.iter().map(GuestOutcome::hash).collect();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), all.len());
    for outcome in all {
        let hash = outcome.hash();
        if let Some(run) = outcome.into_run() {
            assert_eq!(GuestOutcome::from(run).hash(), hash);
        }
    }
    let failed = RunOutcome::Failed("no".to_owned());
    assert_eq!(
        GuestOutcome::from(failed),
        GuestOutcome::Failed("no".to_owned())
    );
}

/// HTTP requests of a guest: with a response, with an error, and sealed.
fn exchanges() -> [Record; 3] {
    let request = HttpRequest {
        method: "POST".to_owned(),
        url: "https://a.com/v1".to_owned(),
        headers: vec![("x-a".to_owned(), "b".to_owned())],
        body: b"hi".to_vec(),
    };
    let response = HttpResponse {
        status: 200,
        headers: vec![("x-b".to_owned(), "c".to_owned())],
        body: b"ok".to_vec(),
    };
    let made = |result| HttpExchange {
        request: request.clone(),
        result,
    };
    let error = HttpError::new(HttpErrorCode::InDoubt, "why");
    [
        (Some(made(Ok(response))), None),
        (Some(made(Err(error))), None),
        (None, Some(vec![1, 2, 3])),
    ]
    .map(|(exchange, sealed)| {
        Record::Exchange(Box::new(ExchangeRecord {
            of: 3,
            exchange,
            sealed,
        }))
    })
}

#[test]
fn an_http_request_belongs_to_the_open_request_before_it() {
    let episode = EpisodeId::new();
    let read = |records: &[Record]| {
        let stored: Vec<StoredRecord> = sample::entries(episode, records)
            .into_iter()
            .map(|entry| StoredRecord {
                seq: entry.seq,
                link: entry.link,
                bytes: entry.bytes,
            })
            .collect();
        EpisodeHistory::read(episode, &stored)
    };
    let [made, ..] = exchanges();
    let mut records = sample::episode(None, "s", 1);
    records.push(sample::call(1));
    records.push(made.clone());
    let history = read(&records).unwrap();
    let [first, second] = history.steps() else {
        panic!("two steps");
    };
    assert!(first.exchanges.is_empty());
    assert_eq!(second.recorded_exchanges().unwrap().len(), 1);
    // After the outcome, it belongs to nothing.
    records.truncate(3);
    records.push(made);
    let error = read(&records).unwrap_err().to_string();
    assert!(error.contains("belongs to no request"), "{error}");
}

#[test]
fn standard_error_of_a_guest_is_not_recorded() {
    let fault = Fault::trap(TrapKind::Unreachable, "why");
    let with_stderr = Fault {
        stderr_tail: Some("hunter2".to_owned()),
        ..fault.clone()
    };
    let [without, with] = [fault, with_stderr].map(|fault| {
        let answered = OutcomeRecord::new(1, GuestOutcome::Faulted(fault), 0);
        encode(&Record::Outcome(Box::new(answered)))
    });
    assert_eq!(with, without);
}

/// A change of these bytes needs a new version of the format.
#[test]
fn the_format_is_unchanged() {
    let asked = Record::Request(Box::new(RequestRecord {
        at: Timestamp::from_nanos(5),
        request: GuestRequest::Call {
            tool: "add".to_owned(),
            input: sample::json(r#"{"a":1}"#),
        },
        run: Some(RunIdentity {
            id: RunId::from_bytes([1; 16]),
            body: Hash::from_bytes([2; 32]),
            idempotency_key: None,
        }),
        sealed: None,
    }));
    let mut expected =
        b"\x01\xa1easked\xa3bat\x05cask\xa1dcall\xa2dtoolcaddeinputg{\"a\":1}".to_vec();
    expected.extend_from_slice(b"crun\xa2dtask\x50");
    expected.extend_from_slice(&[1; 16]);
    expected.extend_from_slice(b"dbody\x58\x20");
    expected.extend_from_slice(&[2; 32]);
    assert_eq!(encode(&asked), expected);
    let created = encode(&Record::Created(Box::new(sample::created(None, "s"))));
    let known = "146fef65c99118013be01fe10a6ca1cc4ea21c5fb368864786958fd94dbb5f94";
    assert_eq!(Hash::of(&created).to_string(), known);
}

/// The bytes of a record of every kind. They were written before the records
/// had a serde form of their own.
#[test]
fn every_kind_of_record_has_its_golden_bytes() {
    let golden = include_str!("golden/records.hex");
    let records = records();
    assert_eq!(golden.lines().count(), records.len());
    let lines = golden.lines().zip(&records).enumerate();
    // All of them, since a new fault code has two lines.
    let different: Vec<String> = lines
        .filter_map(|(n, (golden, record))| {
            let bytes = orwd_model::hex::encode(&encode(record));
            (bytes != golden).then(|| format!("line {}: {record:?}\n{bytes}\n", n + 1))
        })
        .collect();
    assert!(
        different.is_empty(),
        "lines of golden/records.hex that are not the bytes of their records:\n{}",
        different.concat()
    );
}

#[test]
fn an_invalid_record_is_refused_by_name() {
    let valid = encode(&sample::ended());
    let mut longer = valid.clone();
    longer.push(0);
    let later = [&[9], &valid[1..]].concat();
    let deep = [&[1u8][..], &[0x81; 5000]].concat();
    let huge = b"\x01\xa1dended\x9b\xff\xff\xff\xff\xff\xff\xff\xff";
    for (bytes, expected) in [
        (&b""[..], "it is empty"),
        (
            &later,
            "it is of format version 9, and this orwd reads version 1",
        ),
        (&valid[..6], "it cannot be read: it breaks off"),
        (&longer, "it cannot be read: 1 bytes follow it"),
        (&deep, "it cannot be read"),
        (huge, "it cannot be read"),
        (
            b"\x01\xa1edream\x01",
            "it cannot be read: unknown variant `dream`, expected one of `created`, `asked`, \
             `answered`, `exchange`, `ended`",
        ),
        (
            b"\x01\xa1eended\xa3bat\x01freasongdeletedcwhy\x01",
            "it cannot be read: unknown field `why`, expected `at` or `reason`",
        ),
        (
            b"\x01\xa1eended\xa2bat\x01freason\xa1gfaultedfcosmic",
            "it cannot be read: unknown variant `cosmic`, expected one of `limit_cpu`",
        ),
    ] {
        let error = decode(bytes).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error:?} is not {expected:?}");
    }
}

#[test]
fn a_record_in_the_wrong_place_is_named() {
    let id = EpisodeId::new();
    let story = |records: &[Record]| -> String {
        let entries = sample::entries(id, records);
        let rows: Vec<StoredRecord> = entries
            .into_iter()
            .map(|entry| StoredRecord {
                seq: entry.seq,
                bytes: entry.bytes,
                link: entry.link,
            })
            .collect();
        match EpisodeHistory::read(id, &rows) {
            Ok(history) => format!("{} steps", history.steps().len()),
            Err(JournalError::Damaged { episode, seq, what }) => {
                assert_eq!(episode, Some(id));
                format!("{}: {what}", seq.unwrap())
            }
            Err(error) => error.to_string(),
        }
    };
    let begin = || Record::Created(Box::new(sample::created(None, "s")));
    let (call, answer, end) = (sample::call, sample::outcome, sample::ended);
    for (records, expected) in [
        (vec![], format!("there is no episode {id} in the journal")),
        (
            vec![call(1)],
            "0: it does not say how the episode began".to_owned(),
        ),
        (
            vec![begin(), begin()],
            "1: the episode began before".to_owned(),
        ),
        (
            vec![begin(), answer(0, None)],
            "1: it answers nothing that was asked".to_owned(),
        ),
        (
            vec![begin(), call(1), answer(9, None)],
            "2: it answers nothing that was asked".to_owned(),
        ),
        (
            vec![begin(), call(1), answer(1, None), answer(1, None)],
            "3: it answers what was answered before".to_owned(),
        ),
        (
            vec![begin(), end(), call(1)],
            "2: it follows the end of the episode".to_owned(),
        ),
        (vec![begin(), call(1), end()], "1 steps".to_owned()),
        (
            vec![begin(), call(1), answer(1, None), call(2)],
            "2 steps".to_owned(),
        ),
    ] {
        assert_eq!(story(&records), expected);
    }
}

proptest! {
    #[test]
    fn random_bytes_are_refused_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let _ = decode(&bytes);
        let _ = decode(&[&[1], &bytes[..]].concat());
    }

    #[test]
    fn a_changed_record_is_refused_or_another_record(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let all = records();
        let mut bytes = encode(which.get(&all));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(record) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&record)).unwrap(), record);
        }
    }
}
