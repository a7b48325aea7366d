//! Configuration files: changes over a tree.

use std::collections::BTreeMap;

use orwd_sdk::Rng;

use super::draw::{WORDS, file, lines, number, some};
use crate::bench::{Bench, Check};

/// A key that gets another name and unit, in one section only.
pub(super) fn rename(rng: &mut Rng) -> Bench {
    let (mut files, mut checks) = (Vec::new(), Vec::new());
    for (place, word) in some(rng, &WORDS, 4).iter().enumerate() {
        let folder = if place % 2 == 0 {
            "services"
        } else {
            "services/inner"
        };
        let name = format!("{folder}/{word}.ini");
        let (client, server, retries) = (number(rng, 1, 60), number(rng, 1, 60), number(rng, 1, 9));
        let text = |key: &str, value: i64| {
            lines([
                "[server]".to_owned(),
                format!("timeout = {server}"),
                format!("# timeout of {word}"),
                String::new(),
                "[client]".to_owned(),
                format!("retries = {retries}"),
                format!("{key} = {value}"),
            ])
        };
        files.push(file(name.clone(), text("timeout", client)));
        checks.push(Check::Text(name, text("timeout_ms", client * 1000)));
    }
    Bench {
        prompt: "In every `.ini` file below `services`, in the section `[client]`, rename the key \
                 `timeout` to `timeout_ms` and multiply its value by 1000. Change nothing else: the \
                 key of the same name in `[server]` stays."
            .to_owned(),
        files,
        checks,
    }
}

/// Variables of several files, of which the later ones win.
pub(super) fn merge(rng: &mut Rng) -> Bench {
    let names: Vec<String> = some(rng, &WORDS, 9)
        .iter()
        .map(|word| word.to_uppercase())
        .collect();
    let mut merged: BTreeMap<String, (String, &str)> = BTreeMap::new();
    let mut files = Vec::new();
    for layer in ["base.env", "stage.env", "local.env"] {
        let mut text = vec![format!("# {layer}")];
        for name in &names {
            if layer == "base.env" || rng.chance(0.4) {
                let value = format!("{}-{}", name.to_lowercase(), number(rng, 100, 999));
                text.push(format!("{name}={value}"));
                merged.insert(name.clone(), (value, layer));
            }
        }
        text.push(String::new());
        files.push(file(layer, lines(text)));
    }
    let all = merged
        .iter()
        .map(|(name, (value, _))| format!("{name}={value}"));
    let all = lines(all);
    let kept = merged.iter().filter(|(_, (_, layer))| *layer == "base.env");
    let kept: Vec<String> = kept.map(|(name, _)| name.clone()).collect();
    Bench {
        prompt: "Merge `base.env`, `stage.env` and `local.env` into `merged.env`: one line \
                 `NAME=VALUE` for each name, sorted by name, without comments and empty lines. \
                 Where several files set a name, the value of the last in this order counts. Write \
                 the names whose value is that of `base.env`, and that no other file sets, to \
                 `untouched.txt`, one a line, in any order."
            .to_owned(),
        files,
        checks: vec![
            Check::Text("merged.env".into(), all),
            Check::Lines("untouched.txt".into(), kept),
        ],
    }
}

/// Services that want the same port.
pub(super) fn ports(rng: &mut Rng) -> Bench {
    let services = some(rng, &WORDS, 9);
    let taken: Vec<i64> = (0..4)
        .map(|place| 8000 + place * 10 + number(rng, 0, 9))
        .collect();
    let mut used: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    let mut files = Vec::new();
    for (place, service) in services.iter().enumerate() {
        // The first two share a port, whatever is drawn for the others.
        let port = match place {
            0 | 1 => taken.first().copied().unwrap_or_default(),
            _ => {
                taken
                    .get(rng.index(taken.len()))
                    .copied()
                    .unwrap_or_default()
                    + place as i64 % 2
            }
        };
        used.entry(port).or_default().push(service);
        files.push(file(
            format!("conf.d/{service}.conf"),
            lines([
                format!("name: {service}"),
                format!("port: {port}"),
                format!("# port: {}", number(rng, 1000, 9999)),
            ]),
        ));
    }
    let conflicts = used.iter().filter(|(_, services)| services.len() > 1);
    let conflicts = conflicts.map(|(port, services)| {
        let mut services = services.clone();
        services.sort_unstable();
        format!("{port}: {}", services.join(" "))
    });
    let highest = used.keys().max().copied().unwrap_or_default();
    Bench {
        prompt: "Each file in `conf.d` sets a `port:`. Lines that begin with `#` do not count. Write \
                 the ports that more than one service has to `conflicts.txt`, as lines \
                 `PORT: NAME NAME…` with the names in order, sorted by port. Write the highest port \
                 in use to `highest.txt`."
            .to_owned(),
        files,
        checks: vec![
            Check::Text("conflicts.txt".into(), lines(conflicts)),
            Check::Text("highest.txt".into(), highest.to_string()),
        ],
    }
}
