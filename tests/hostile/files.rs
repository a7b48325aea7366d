//! Attacks on the disk: more than fits, in every shape, and names that may lead
//! elsewhere. What is refused here ends nothing: the guest is told, and the
//! session goes on.

use orwd_tests::later::all_at_once;
use orwd_tests::ors::{Ors, Task};
use serde_json::json;

use crate::arena::{Arena, PLACES, open};
use crate::provoke::answers;
use crate::quick_or_soak;

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

/// What is tried, with which number, what must be reached at least and at
/// most, what the guest is told, and what stops it.
struct Wear {
    how: &'static str,
    count: u64,
    reached: (u64, u64),
    told: &'static str,
    stops: &'static str,
}

const fn wear(
    how: &'static str,
    count: u64,
    reached: (u64, u64),
    told: &'static str,
    stops: &'static str,
) -> Wear {
    Wear {
        how,
        count,
        reached,
        told,
        stops,
    }
}

const WEARS: [Wear; 17] = [
    wear("fill", 0, (DISK - 64, DISK), "error: ", "disk, to the byte"),
    wear("append", 0, (DISK - (17 << 10), DISK), "error: ", "disk"),
    wear("many_files", 0, (FILES - 1, FILES), "No space", "files"),
    wear(
        "overwrite",
        50,
        (50 * 24 * (16 << 10), u64::MAX),
        "done",
        "nothing: it does not grow",
    ),
    wear("sparse", 1 << 62, (0, 0), "error: ", "disk: holes count"),
    wear("sparse", DISK + 1, (0, 0), "error: ", "disk: holes count"),
    wear(
        "sparse",
        DISK / 2,
        (DISK / 2, DISK / 2),
        "done",
        "nothing: it fits",
    ),
    wear("beyond", 1 << 62, (0, 0), "error: ", "disk: holes count"),
    wear("beyond", DISK * 2, (0, 0), "error: ", "disk: holes count"),
    wear("deep", 0, (10, FILES), "error: ", "how deep folders may be"),
    wear("long_name", 255, (255, 255), "done", "nothing: it fits"),
    wear(
        "long_name",
        256,
        (0, 0),
        "error: ",
        "how long a name may be",
    ),
    wear(
        "long_name",
        1 << 20,
        (0, 0),
        "error: ",
        "how long a name may be",
    ),
    wear(
        "open_many",
        0,
        (OPEN / 2, OPEN),
        "Quota exceeded",
        "open-files",
    ),
    wear("list_many", 0, (OPEN / 4, OPEN), "error: ", "open-files"),
    wear(
        "unlinked",
        0,
        (OPEN / 2 * (16 << 10), DISK),
        "error: ",
        "open-files and disk: what is open counts",
    ),
    wear(
        "churn",
        2000,
        (2000, 2000),
        "done",
        "nothing: it is given back",
    ),
];

#[test]
fn files() {
    let mut arena = Arena::new("files", &["disk"], &[], &FLAGS);
    for wear in &WEARS {
        let attack = match wear.count {
            0 => wear.how.to_owned(),
            count => format!("{} ({count})", wear.how),
        };
        arena.case(&attack, wear.stops, |ors| {
            let told = answers(ors, "disk", json!({"how": wear.how, "count": wear.count}));
            let (reached, words) = told.split_once(' ').expect("a number");
            let reached: u64 = reached.parse().expect("a number");
            let (least, most) = wear.reached;
            assert!((least..=most).contains(&reached), "{told}");
            assert!(words.contains(wear.told), "{told}");
            told
        });
    }
    let rounds = quick_or_soak(5, 200);
    arena.case(
        &format!("full and emptied, {rounds} times"),
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
    let crowd = PLACES / 2;
    arena.case(
        &format!("{crowd} sessions that fill their disks at once"),
        "disk, each its own",
        |ors| {
            let told = all_at_once((0..crowd).map(|number| {
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
            told.into_iter().next().expect("one at least")
        },
    );
    arena.case(
        "names that may lead elsewhere",
        "there is no elsewhere",
        |ors| {
            let told = answers(ors, "disk", json!({"how": "elsewhere"}));
            assert!(told.ends_with("could be read: []"), "{told}");
            told
        },
    );
    arena.case(
        "looking for another session's files",
        "each has its own",
        another,
    );
    arena.end();
}

fn another(ors: &Ors) -> String {
    let one = ors.open("disk", Task::Spec(json!({})));
    let two = ors.open("disk", Task::Spec(json!({})));
    one.call("act", json!({"how": "sparse", "count": 100}))
        .text();
    let look = json!({"how": "look"});
    assert_eq!(one.call("act", look.clone()).text(), "0 sparse");
    let told = two.call("act", look).text();
    assert_eq!(told, "0 ");
    "nothing there".to_owned()
}
