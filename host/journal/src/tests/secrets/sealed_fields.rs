//! Nothing that a client or a guest said in an episode with secrets is in the
//! state directory or in an exported file, whatever field held it.

use zeroize::Zeroizing;

use crate::testing as sample;
use crate::{
    CreatedRecord, Durability, EpisodeArchive, EpisodeId, GuestOutcome, GuestRequest, Hash,
    Journal, OutcomeRecord, ReceiptSigner, Record, RequestRecord, RunIdentity, SealKey,
    SqliteStore,
};
use orwd_model::{
    Block, Candidate, Digest, Fault, FaultCode, HttpExchange, HttpRequest, HttpResponse, Json,
    Message, MessageBlock, Refusal, RefusalReason, Reward, Role, RunId, Score, Secret, Secrets,
    Timestamp, ToolOutput, ToolSpec,
};

/// A value that a client or a guest says, in every field that may hold one.
const CANARY: &str = "kanarienvogel-5f1c";

fn canary_json() -> Json {
    sample::json(&format!(r#"{{"{CANARY}":["{CANARY}"]}}"#))
}

fn canary_messages() -> Vec<Message> {
    let block = Block::Text {
        text: CANARY.to_owned(),
        detail: Some(canary_json()),
    };
    let message = |role, blocks| Message {
        role,
        blocks,
        detail: Some(canary_json()),
    };
    vec![
        message(Role::System, vec![MessageBlock::Plain(block.clone())]),
        message(
            Role::Assistant,
            vec![
                MessageBlock::Reasoning {
                    text: CANARY.to_owned(),
                    signature: Some(CANARY.to_owned()),
                    detail: Some(canary_json()),
                },
                MessageBlock::ToolCall {
                    id: CANARY.to_owned(),
                    name: CANARY.to_owned(),
                    input: canary_json(),
                    detail: Some(canary_json()),
                },
            ],
        ),
        message(
            Role::User,
            vec![MessageBlock::ToolResult {
                tool_call_id: CANARY.to_owned(),
                blocks: vec![block],
                is_error: true,
                detail: Some(canary_json()),
            }],
        ),
    ]
}

/// A request and an outcome of every kind that has content.
fn canary_steps() -> Vec<(GuestRequest, GuestOutcome)> {
    let call = || GuestRequest::Call {
        tool: "add".to_owned(),
        input: canary_json(),
    };
    let score = GuestRequest::Score {
        candidates: vec![Candidate {
            messages: canary_messages(),
            metadata: Some(canary_json()),
        }],
    };
    let block = || Block::Text {
        text: CANARY.to_owned(),
        detail: Some(canary_json()),
    };
    let image = Block::Image {
        data: CANARY.as_bytes().to_vec(),
        mime_type: CANARY.to_owned(),
        detail: None,
    };
    let refusal = Refusal {
        reason: RefusalReason::InputValidation,
        message: CANARY.to_owned(),
    };
    let fault = Fault {
        stderr_tail: Some(CANARY.to_owned()),
        ..Fault::new(FaultCode::LimitCpu, "the host's own words")
    };
    let reward = Reward::new(1.0).unwrap();
    vec![
        (GuestRequest::Setup, GuestOutcome::Done),
        (
            GuestRequest::Prompt,
            GuestOutcome::Blocks(vec![block(), image]),
        ),
        (
            GuestRequest::Messages,
            GuestOutcome::Messages(canary_messages()),
        ),
        (
            GuestRequest::TaskTools,
            GuestOutcome::Tools(vec![ToolSpec {
                name: CANARY.to_owned(),
                description: CANARY.to_owned(),
                input_schema: Some(canary_json()),
            }]),
        ),
        (
            call(),
            GuestOutcome::Output(ToolOutput {
                blocks: vec![block()],
                metadata: Some(canary_json()),
                reward: Some(reward),
                finished: false,
            }),
        ),
        (
            score,
            GuestOutcome::Scores(vec![Score {
                reward,
                metadata: Some(canary_json()),
            }]),
        ),
        (call(), GuestOutcome::Refused(refusal)),
        (call(), GuestOutcome::Failed(CANARY.to_owned())),
        (call(), GuestOutcome::Faulted(fault)),
        (GuestRequest::Teardown, GuestOutcome::Published { files: 1 }),
    ]
}

/// An HTTP request of a guest and its response.
fn canary_exchange() -> HttpExchange {
    let headers = vec![(CANARY.to_owned(), CANARY.to_owned())];
    HttpExchange {
        request: HttpRequest {
            method: CANARY.to_owned(),
            url: CANARY.to_owned(),
            headers: headers.clone(),
            body: CANARY.as_bytes().to_vec(),
        },
        result: Ok(HttpResponse {
            status: 200,
            headers,
            body: CANARY.as_bytes().to_vec(),
        }),
    }
}

#[tokio::test]
async fn no_field_of_any_record_shows_what_a_client_or_a_guest_said() {
    for key in [Some("5a".repeat(32)), None] {
        let dir = tempfile::TempDir::new().unwrap();
        let store = SqliteStore::open(dir.path(), Durability::Process).unwrap();
        let seal = key.as_ref().map(|key| SealKey::parse(key).unwrap());
        let journal = Journal::with_state(store, Durability::Process, seal).unwrap();
        let id = EpisodeId::new();
        let secret = Secret::new("TOKEN".to_owned(), Zeroizing::new(CANARY.to_owned()));
        let secrets = Secrets::new(vec![secret]);
        let created = CreatedRecord {
            secrets: journal
                .seal(&secrets, id, Digest::of(b"component"))
                .unwrap(),
            task: canary_json(),
            toolset: Some(CANARY.to_owned()),
            request: Hash::of(b"creation"),
            ..sample::created(None, "s")
        };
        let (mut writer, written) = journal.begin(id, created);
        written.await.unwrap();
        for (request, outcome) in canary_steps() {
            let of = writer.next();
            let run = request.is_run().then(|| RunIdentity {
                id: RunId::from_bytes([1; 16]),
                body: Hash::of(b"body"),
                idempotency_key: Some(CANARY.to_owned()),
            });
            let request = RequestRecord {
                at: Timestamp::from_nanos(1),
                request,
                run,
                sealed: None,
            };
            let outcome = OutcomeRecord::new(of, outcome, 1);
            writer.append_deferred(&Record::Request(Box::new(request)));
            writer.append_exchange(of, canary_exchange()).await.unwrap();
            writer
                .append(&Record::Outcome(Box::new(outcome)))
                .await
                .unwrap();
        }
        writer.append(&sample::ended()).await.unwrap();
        let receipt = journal.receipt(id).await.unwrap().to_json().unwrap();
        assert!(!receipt.contains(CANARY), "{receipt}");
        let visitor = SqliteStore::visit(dir.path()).unwrap();
        let archive = EpisodeArchive::export(&visitor, id).unwrap();
        let archive = archive.with_receipt(&ReceiptSigner::random());
        let exported = std::fs::File::create(dir.path().join("s.episode")).unwrap();
        archive.write(exported).unwrap();
        assert!(archive.receipts().is_empty(), "its rewards are sealed");
        // A hash of what they said would tell it to who tries.
        let mut tells = vec![CANARY.as_bytes().to_vec()];
        tells.extend(
            [b"body".as_slice(), b"creation"].map(|text| Hash::of(text).as_bytes().to_vec()),
        );
        let outcomes = canary_steps().into_iter().map(|(_, outcome)| outcome);
        let host_text = |outcome: &GuestOutcome| {
            let fault = matches!(outcome, GuestOutcome::Faulted(_));
            fault || matches!(outcome, GuestOutcome::Done | GuestOutcome::Published { .. })
        };
        let outcomes = outcomes.filter(|outcome| !host_text(outcome));
        tells.extend(outcomes.map(|outcome| outcome.hash().as_bytes().to_vec()));
        let mut searched = 0;
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for (number, tell) in tells.iter().enumerate() {
                let found = bytes
                    .windows(tell.len())
                    .position(|part| part == tell.as_slice());
                assert_eq!(found, None, "{number} in {} with {key:?}", path.display());
            }
            searched += 1;
        }
        assert!(searched > 5, "{searched} files");
        // With the key, nothing is lost.
        let history = journal.history(id).await.unwrap();
        let steps = history.steps();
        assert_eq!(steps.len(), canary_steps().len());
        if key.is_some() {
            assert_eq!(history.created().task, canary_json());
            assert_eq!(history.created().request, Hash::of(b"creation"));
            for (step, (request, outcome)) in steps.iter().zip(canary_steps()) {
                assert_eq!(step.record.request, request);
                if let Some(run) = &step.record.run {
                    assert_eq!(run.body, Hash::of(b"body"));
                    assert_eq!(run.idempotency_key.as_deref(), Some(CANARY));
                }
                let hash = step.outcome.as_ref().unwrap().record.hash;
                assert_eq!(hash, outcome.hash());
                let made = step.recorded_exchanges().expect("unsealed");
                assert_eq!(made, [canary_exchange()]);
            }
        }
        journal.close().await;
    }
}
