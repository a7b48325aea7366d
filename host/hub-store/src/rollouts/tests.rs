//! Stories of logged rollouts, through the database.

use serde_json::{Value, json};

use super::*;
use crate::accounts::{Bootstrap, BootstrapUser, Caller, NamespaceKind, Role, apply_bootstrap};
use crate::environments::{NewEnvironment, create};
use crate::{Database, HubStoreError, usage};

const QUOTA: i64 = 64 << 20;

fn with_database<F: Future<Output = ()>>(story: impl FnOnce(Database) -> F) {
    let folder = tempfile::TempDir::new().unwrap();
    let database = Database::open(&folder.path().join("hub.sqlite")).unwrap();
    let users = ["alice", "bob"].map(|name| BootstrapUser {
        name: name.to_owned(),
        password: None,
        admin: false,
        keys: Vec::new(),
    });
    let accounts = Bootstrap {
        users: users.into(),
        organisations: Vec::new(),
    };
    database
        .run_blocking(move |t| {
            apply_bootstrap(t, &accounts)?;
            let environment = NewEnvironment {
                owner: "alice".to_owned(),
                name: "env".to_owned(),
                description: String::new(),
                is_private: false,
            };
            create(t, &caller("alice"), &environment)
        })
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(story(database));
}

fn caller(name: &str) -> Caller {
    Caller {
        name: name.into(),
        id: name.into(),
        kind: NamespaceKind::User,
        memberships: Vec::<(String, Role)>::new().into(),
    }
}

async fn log(database: &Database, name: &str, events: Value) -> Result<(), HubStoreError> {
    let (caller, events): (_, Vec<RolloutEvent>) =
        (caller(name), serde_json::from_value(events).unwrap());
    database
        .run(move |t| ingest(t, &caller, &events, QUOTA))
        .await
}

/// Logs a rollout of the first task, with a response and its reward.
async fn log_reward(database: &Database, name: &str, id: usize, reward: f64) {
    let (id, text) = (format!("r{id}"), "x".repeat(id));
    let events = json!([
        { "eventType": "rollout", "eventId": id, "runName": "run", "environment": "alice/env",
          "run_info": { "model_name": "m", "model_params": 7 } },
        { "eventType": "rollout_update", "eventId": id, "rollout_info": { "task_index": 0 } },
        { "eventType": "message", "eventId": "m", "rolloutEventId": id, "index": 0,
          "type": "assistant_message", "content": text, "reward": reward },
    ]);
    log(database, name, events).await.unwrap();
}

async fn difficulty(database: &Database, query: DifficultyQuery) -> Value {
    let found = database.report(move |t| {
        let environment = crate::environments::find(t, "alice", "env", None)?;
        task_difficulty(t, &environment.id, &query)
    });
    serde_json::to_value(found.await.unwrap()).unwrap()
}

async fn used(database: &Database, name: &'static str) -> i64 {
    let used = database.read(move |t| usage::of_owner(t, name)).await;
    used.unwrap()
}

#[test]
fn the_difficulty_has_percentiles_of_the_nearest_rank_and_of_the_wanted_models() {
    with_database(|database| async move {
        for id in (1..=100).rev() {
            log_reward(&database, "alice", id, if id <= 25 { 1.0 } else { 0.0 }).await;
        }
        let tasks = difficulty(&database, DifficultyQuery::default()).await;
        assert_eq!(
            tasks,
            json!([{
                "task_index": 0, "avg_reward": 0.25, "min_reward": 0.0, "max_reward": 1.0,
                "num_rollouts": 100, "split": null, "variant": null,
                "response_chars": { "mean": 50.5, "p1": 1.0, "p10": 10.0, "p25": 25.0, "p50": 50.0,
                    "p75": 75.0, "p90": 90.0, "p99": 99.0 },
            }])
        );
        let of_models = |min: f64, max: f64| DifficultyQuery {
            model_name: Some("m".to_owned()),
            min_model_params: Some(min),
            max_model_params: Some(max),
            ..DifficultyQuery::default()
        };
        for (query, tasks) in [
            (of_models(7.0, 7.0), 1),
            (of_models(8.0, 9.0), 0),
            (of_models(1.0, 6.0), 0),
            (
                DifficultyQuery {
                    training_stage: Some("rl".to_owned()),
                    ..DifficultyQuery::default()
                },
                0,
            ),
        ] {
            let found = difficulty(&database, query.clone()).await;
            assert_eq!(found.as_array().unwrap().len(), tasks, "{query:?}");
        }
    });
}

#[test]
fn rewards_of_a_stranger_do_not_count() {
    with_database(|database| async move {
        log_reward(&database, "alice", 1, 0.5).await;
        log_reward(&database, "bob", 2, 1e6).await;
        let tasks = difficulty(&database, DifficultyQuery::default()).await;
        assert_eq!(
            (&tasks[0]["num_rollouts"], &tasks[0]["max_reward"]),
            (&json!(1), &json!(0.5))
        );
    });
}

#[test]
fn a_description_that_is_too_large_is_refused_by_its_name() {
    with_database(|database| async move {
        let large = "x".repeat(64 << 10);
        for field in ["run_info", "metadata", "task_spec"] {
            let mut event = json!({ "eventType": "rollout", "eventId": "r", "runName": field });
            event[field] = json!({ "a": large });
            let refused = log(&database, "alice", json!([event])).await.unwrap_err();
            assert!(matches!(&refused, HubStoreError::TooLarge(text) if text.contains(field)));
        }
        let start = json!({ "eventType": "rollout", "eventId": "r", "runName": "run" });
        log(&database, "alice", json!([start])).await.unwrap();
        // Each fits, and together they do not.
        for (part, is_kept) in [("a", true), ("b", false)] {
            let update = json!({ "eventType": "rollout_update", "eventId": "r",
                "rollout_info": { part: &large[..40 << 10] } });
            let kept = log(&database, "alice", json!([update])).await;
            assert_eq!(kept.is_ok(), is_kept, "{kept:?}");
        }
    });
}

#[test]
fn what_is_logged_is_charged_and_a_full_quota_keeps_nothing_of_a_batch() {
    with_database(|database| async move {
        log_reward(&database, "alice", 1, 0.5).await;
        let before = used(&database, "alice").await;
        log_reward(&database, "alice", 1, 0.5).await;
        assert_eq!(
            used(&database, "alice").await,
            before,
            "the same events again"
        );
        let message = |id: usize| {
            json!({ "eventType": "message", "eventId": format!("m{id}"), "rolloutEventId": "r1",
                "index": id, "type": "user_message", "content": "y".repeat(12 << 20) })
        };
        let batch = |ids: std::ops::Range<usize>| Value::from_iter(ids.map(message));
        log(&database, "alice", batch(1..5)).await.unwrap();
        let before = used(&database, "alice").await;
        assert!(before > 48 << 20, "{before}");
        let refused = log(&database, "alice", batch(5..7)).await.unwrap_err();
        let text = refused.to_string();
        assert!(
            text.starts_with("disk quota exceeded: alice would use"),
            "{text}"
        );
        assert_eq!(used(&database, "alice").await, before);
        log_reward(&database, "bob", 1, 0.5).await;

        let page = |offset: i64| {
            database.read(move |t| {
                let found = rollout(t, &caller("alice"), "r1")?;
                messages_of(t, &caller("alice"), &found, offset)
            })
        };
        let first = page(0).await.unwrap();
        assert_eq!(
            (first.messages.len(), first.next),
            (2, Some(2)),
            "8 MiB and the row that ends them"
        );
        let last = page(4).await.unwrap();
        assert_eq!((last.messages.len(), last.next), (1, None));
    });
}

#[test]
fn a_page_of_large_rollouts_ends_after_the_rows_that_clients_ask_for() {
    with_database(|database| async move {
        let large = "x".repeat(60 << 10);
        let start = |id: usize| {
            json!({ "eventType": "rollout", "eventId": format!("r{id}"), "runName": "run",
                "metadata": { "a": large }, "task_spec": { "a": large } })
        };
        for part in 0..3 {
            let events = Value::from_iter((part * 80..(part + 1) * 80).map(start));
            log(&database, "alice", events).await.unwrap();
        }
        let page = |limit: i64| {
            database.read(move |t| {
                let (rows, _) = runs(t, &caller("alice"), None, 10, 0)?;
                rollouts_of(t, &caller("alice"), &rows[0].id, limit, 0)
            })
        };
        let (rows, total) = page(100).await.unwrap();
        assert_eq!((rows.len(), total), (100, 240));
        assert_eq!(page(1000).await.unwrap().0.len(), 100);
    });
}
