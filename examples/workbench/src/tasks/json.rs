//! JSON: summaries and changes, as with `jq`.

use std::collections::BTreeMap;

use orwd_sdk::Rng;
use serde_json::{Value, json};

use super::draw::{NAMES, WORDS, file, lines, number, one, some};
use crate::bench::{Bench, Check};

/// Orders by state.
pub(super) fn summary(rng: &mut Rng) -> Bench {
    let mut orders = Vec::new();
    let mut states: BTreeMap<&str, i64> = BTreeMap::new();
    let mut spent: BTreeMap<&str, i64> = BTreeMap::new();
    for id in 1..=number(rng, 25, 40) {
        let (customer, state) = (
            one(rng, &NAMES),
            one(rng, &["open", "sent", "done", "lost"]),
        );
        let (price, count) = (number(rng, 2, 60), number(rng, 1, 9));
        orders.push(json!({
            "id": id, "customer": customer, "state": state,
            "item": {"price": price, "count": count},
        }));
        *states.entry(state).or_default() += 1;
        *spent.entry(customer).or_default() += price * count;
    }
    let mut best: Vec<(&str, i64)> = spent.into_iter().collect();
    best.sort_by_key(|(customer, sum)| (-sum, *customer));
    let best = best
        .iter()
        .take(3)
        .map(|(customer, sum)| format!("{customer} {sum}"));
    let total: i64 = states.values().sum();
    Bench {
        prompt: "`orders.json` is a list of orders. Write `summary.json`: an object with `total`, \
                 the number of orders, and `states`, an object with the number of orders for each \
                 state. Write the three customers who spent most (price times count, over all \
                 orders) to `best.txt`, as lines `NAME SUM`, highest first, and by name for equal \
                 sums."
            .to_owned(),
        files: vec![file("orders.json", Value::from(orders).to_string())],
        checks: vec![
            Check::Json(
                "summary.json".into(),
                json!({"total": total, "states": states}),
            ),
            Check::Text("best.txt".into(), lines(best)),
        ],
    }
}

/// A tree of objects as a table.
pub(super) fn flatten(rng: &mut Rng) -> Bench {
    let (mut sites, mut rows) = (Vec::new(), Vec::new());
    let mut off = 0;
    for site in some(rng, &WORDS, 4) {
        let mut devices = Vec::new();
        for _ in 0..number(rng, 2, 6) {
            let (name, port) = (one(rng, &WORDS), number(rng, 1, 99));
            let on = rng.chance(0.6);
            devices.push(json!({"name": format!("{name}-{port}"), "on": on, "port": port}));
            rows.push((format!("{site}\t{name}-{port}\t{port}"), on));
            off += i64::from(!on);
        }
        sites.push(json!({"site": site, "devices": devices}));
    }
    let mut kept: Vec<String> = rows
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(row, _)| row)
        .collect();
    if kept.is_empty() {
        kept.push("none".to_owned());
        sites.push(json!({"site": "none", "devices": []}));
    }
    Bench {
        prompt: "`sites.json` is a list of sites with devices. Write `on.tsv` with a line SITE, \
                 DEVICE, PORT, separated by tabs, for each device that is on, in any order, and the \
                 number of devices that are off to `off.txt`."
            .to_owned(),
        files: vec![file("sites.json", json!({"sites": sites}).to_string())],
        checks: vec![
            Check::Lines("on.tsv".into(), kept),
            Check::Text("off.txt".into(), off.to_string()),
        ],
    }
}

/// Versions from a list into several files.
pub(super) fn versions(rng: &mut Rng) -> Bench {
    let libraries = some(rng, &WORDS, 7);
    let mut wanted: BTreeMap<&str, String> = BTreeMap::new();
    for library in libraries.iter().take(4) {
        let version = format!(
            "{}.{}.{}",
            number(rng, 2, 9),
            number(rng, 0, 20),
            number(rng, 0, 9)
        );
        wanted.insert(library, version);
    }
    let (mut files, mut checks) = (Vec::new(), Vec::new());
    let list = wanted
        .iter()
        .map(|(library, version)| format!("{library} {version}"));
    files.push(file("versions.txt", lines(list)));
    for app in ["shop", "desk", "feed"] {
        let mut before = serde_json::Map::new();
        let mut after = serde_json::Map::new();
        // Each application has at least one library to change.
        let mut chosen = some(rng, &libraries, 4);
        if let Some(first) = libraries.first()
            && !chosen.contains(first)
        {
            chosen.push(first);
        }
        for library in chosen {
            let old = format!("1.{}.0", number(rng, 0, 9));
            let new = wanted.get(library).cloned().unwrap_or_else(|| old.clone());
            before.insert(library.to_owned(), old.into());
            after.insert(library.to_owned(), new.into());
        }
        let package = |libraries| json!({"name": app, "private": true, "dependencies": libraries});
        files.push(file(
            format!("apps/{app}/package.json"),
            package(before).to_string(),
        ));
        checks.push(Check::Json(
            format!("apps/{app}/package.json"),
            package(after),
        ));
    }
    Bench {
        prompt:
            "`versions.txt` has lines `LIBRARY VERSION`. In each `apps/*/package.json`, set the \
                 version of every dependency that is in the list. Add no dependency, and change \
                 nothing else; the layout of the JSON does not matter."
                .to_owned(),
        files,
        checks,
    }
}
