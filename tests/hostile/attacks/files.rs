//! Attacks on storage: more data than fits, in every form, and paths that may
//! escape the sandbox. A refusal does not end the session: the guest gets an
//! error.

use orwd_tests::background::run_concurrently;
use orwd_tests::ors::{OrsClient, TaskSelector};
use serde_json::json;

use crate::harness::{ATTACKER_SESSIONS, AttackHarness, act_answers, open, quick_or_soak};

const DISK: u64 = 1 << 20;
const FILES: u64 = 200;
const OPEN: u64 = 40;

const FLAGS: [&str; 8] = [
    "--disk",
    "1MiB",
    "--files",
    "200",
    "--open-files",
    "40",
    "--call-wall",
    "20s",
];

/// An attack on storage.
struct DiskAttack {
    /// The attack's name in the fixture `disk`.
    how: &'static str,
    count: u64,
    /// The minimum and maximum of what the attack must reach.
    reached: (u64, u64),
    /// A part of the guest's report.
    report: &'static str,
    stops: &'static str,
}

const fn attack(
    how: &'static str,
    count: u64,
    reached: (u64, u64),
    report: &'static str,
    stops: &'static str,
) -> DiskAttack {
    DiskAttack {
        how,
        count,
        reached,
        report,
        stops,
    }
}

const DISK_ATTACKS: [DiskAttack; 21] = [
    attack("fill", 0, (DISK - 64, DISK), "error: ", "disk, to the byte"),
    attack("append", 0, (DISK - (17 << 10), DISK), "error: ", "disk"),
    attack("many_files", 0, (FILES - 1, FILES), "No space", "files"),
    attack(
        "overwrite",
        50,
        (50 * 24 * (16 << 10), u64::MAX),
        "done",
        "nothing: the file does not grow",
    ),
    attack(
        "sparse",
        1 << 62,
        (0, 0),
        "error: ",
        "disk: sparse ranges count",
    ),
    attack(
        "sparse",
        DISK + 1,
        (0, 0),
        "error: ",
        "disk: sparse ranges count",
    ),
    attack(
        "sparse",
        DISK / 2,
        (DISK / 2, DISK / 2),
        "done",
        "nothing: it fits",
    ),
    attack(
        "write_at_offset",
        1 << 62,
        (0, 0),
        "error: ",
        "disk: sparse ranges count",
    ),
    attack(
        "write_at_offset",
        DISK * 2,
        (0, 0),
        "error: ",
        "disk: sparse ranges count",
    ),
    attack(
        "nested_directories",
        0,
        (10, FILES),
        "error: ",
        "the limit of directory depth",
    ),
    attack("long_name", 255, (255, 255), "done", "nothing: it fits"),
    attack("long_name", 256, (0, 0), "error: ", "the limit of a name"),
    attack(
        "long_name",
        1 << 20,
        (0, 0),
        "error: ",
        "the limit of a name",
    ),
    attack(
        "open_many",
        0,
        (OPEN / 2, OPEN),
        "Quota exceeded",
        "open-files",
    ),
    attack("list_many", 0, (OPEN / 4, OPEN), "error: ", "open-files"),
    attack(
        "unlinked",
        0,
        (OPEN / 2 * (16 << 10), DISK),
        "error: ",
        "open-files and disk: open files count",
    ),
    attack(
        "churn",
        2000,
        (2000, 2000),
        "done",
        "nothing: removed files do not count",
    ),
    attack(
        "hard_links",
        0,
        (FILES - 1, FILES),
        "No space",
        "files: each name counts",
    ),
    attack(
        "link_churn",
        2000,
        (2000, 2000),
        "done",
        "nothing: removed names do not count",
    ),
    attack(
        "rename_churn",
        2000,
        (2000, 2000),
        "done",
        "nothing: former names do not count",
    ),
    attack(
        "replaced",
        0,
        (OPEN / 2, OPEN),
        "error: ",
        "open-files: files without a name count",
    ),
];

#[test]
fn files() {
    let mut harness = AttackHarness::new("files", &["disk"], &[], &FLAGS);
    for attack in &DISK_ATTACKS {
        let name = match attack.count {
            0 => attack.how.to_owned(),
            count => format!("{} ({count})", attack.how),
        };
        harness.case(&name, attack.stops, |ors| {
            let message = act_answers(
                ors,
                "disk",
                json!({"how": attack.how, "count": attack.count}),
            );
            let (reached, words) = message.split_once(' ').expect("a number");
            let reached: u64 = reached.parse().expect("a number");
            let (least, most) = attack.reached;
            assert!((least..=most).contains(&reached), "{message}");
            assert!(words.contains(attack.report), "{message}");
            message
        });
    }
    let rounds = quick_or_soak(5, 200);
    harness.case(
        &format!("filled and emptied, {rounds} times"),
        "disk",
        |ors| {
            let session = open(ors, "disk");
            let fill = || session.call("act", json!({"how": "fill"})).text();
            let first = fill();
            for _ in 0..rounds {
                assert_eq!(fill(), first);
            }
            first
        },
    );
    let count = ATTACKER_SESSIONS / 2;
    harness.case(
        &format!("{count} sessions that fill their disks at once"),
        "disk, each its own",
        |ors| {
            let message = run_concurrently((0..count).map(|number| {
                let ors = ors.clone();
                move || {
                    let session = open(&ors, "disk");
                    let how = ["fill", "many_files", "append", "unlinked"][number % 4];
                    for _ in 0..4 {
                        session.call("act", json!({"how": how})).text();
                    }
                    assert_eq!(session.call("fine", json!({})).text(), "fine");
                    session.call("act", json!({"how": "fill"})).text()
                }
            }));
            message.into_iter().next().expect("at least one")
        },
    );
    harness.case("paths that may escape the sandbox", "the sandbox", |ors| {
        let message = act_answers(ors, "disk", json!({"how": "escape_paths"}));
        assert!(message.ends_with("could be read: []"), "{message}");
        message
    });
    harness.case(
        "listing another session's files",
        "each has its own",
        other_sessions_files,
    );
    harness.end();
}

fn other_sessions_files(ors: &OrsClient) -> String {
    let one = ors.open("disk", TaskSelector::Spec(json!({})));
    let two = ors.open("disk", TaskSelector::Spec(json!({})));
    one.call("act", json!({"how": "sparse", "count": 100}))
        .text();
    let look = json!({"how": "list"});
    assert_eq!(one.call("act", look.clone()).text(), "0 sparse");
    let message = two.call("act", look).text();
    assert_eq!(message, "0 ");
    "no files".to_owned()
}
