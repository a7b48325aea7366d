//! Log files: counts, extremes, patterns over time.

use std::collections::BTreeMap;

use orwd_sdk::Rng;

use super::draw::{WORDS, file, lines, number, one, some};
use crate::bench::{Bench, Check};

/// Errors by code over several files.
pub(super) fn errors(rng: &mut Rng) -> Bench {
    let codes: Vec<String> = (0..6)
        .map(|_| format!("E{}", number(rng, 100, 999)))
        .collect();
    let services = some(rng, &WORDS, 3);
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let mut files = Vec::new();
    for service in &services {
        let (mut log, mut errors) = (Vec::new(), 0_i64);
        for second in 0..number(rng, 50, 80) {
            let level = one(rng, &["INFO", "INFO", "WARN", "ERROR"]);
            let time = format!("2024-05-01T10:{:02}:{:02}", second / 60, second % 60);
            if level == "ERROR" {
                let code = codes
                    .get(rng.index(codes.len()))
                    .cloned()
                    .unwrap_or_default();
                log.push(format!(
                    "{time} ERROR [{service}] code={code} request failed"
                ));
                *counts.entry(code).or_default() += 1;
                errors += 1;
            } else {
                // Mentions that are no errors.
                let word = one(rng, &["served", "code=E000 ignored", "ERROR rate is low"]);
                log.push(format!("{time} {level} [{service}] {word}"));
            }
        }
        files.push((errors, file(format!("logs/{service}.log"), lines(log))));
    }
    let mut counts: Vec<(String, i64)> = counts.into_iter().collect();
    counts.sort_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
    let report = counts.iter().map(|(code, count)| format!("{count} {code}"));
    // The first in the order of names, if several have as many errors.
    let mut ranked: Vec<(i64, String)> = files
        .iter()
        .map(|(errors, (name, _))| (-errors, name.clone()))
        .collect();
    ranked.sort();
    let worst = ranked
        .first()
        .map(|(_, name)| name.clone())
        .unwrap_or_default();
    Bench {
        prompt: "The files in `logs` have lines `TIME LEVEL [SERVICE] TEXT`. Count the lines of \
                 level ERROR by their code (`code=…`) over all files. Write `report.txt` with lines \
                 `COUNT CODE`, highest count first, and by code for equal counts. Write the path of \
                 the file with most ERROR lines, such as `logs/x.log`, to `worst.txt` (the first by \
                 name, if there are several)."
            .to_owned(),
        files: files.into_iter().map(|(_, file)| file).collect(),
        checks: vec![
            Check::Text("report.txt".into(), lines(report)),
            Check::Text("worst.txt".into(), worst),
        ],
    }
}

/// The slowest paths of an access log.
pub(super) fn slowest(rng: &mut Rng) -> Bench {
    let paths: Vec<String> = some(rng, &WORDS, 8)
        .iter()
        .map(|word| format!("/{word}"))
        .collect();
    let mut log = Vec::new();
    let mut times: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for _ in 0..120 {
        let path = paths
            .get(rng.index(paths.len()))
            .cloned()
            .unwrap_or_default();
        let time = number(rng, 3, 2000);
        let query = match rng.chance(0.3) {
            true => format!("?page={}", number(rng, 1, 20)),
            false => String::new(),
        };
        log.push(format!("GET {path}{query} 200 {time}ms"));
        let known = times.entry(path).or_default();
        *known = (known.0.max(time), known.1 + 1);
    }
    let mut ranked: Vec<(String, (i64, i64))> = times.into_iter().collect();
    ranked.sort_by(|(one, (a, _)), (other, (b, _))| b.cmp(a).then_with(|| one.cmp(other)));
    let slow = ranked
        .iter()
        .take(5)
        .map(|(path, (time, _))| format!("{path} {time}"));
    let mut hits: Vec<String> = ranked
        .iter()
        .map(|(path, (_, count))| format!("{path} {count}"))
        .collect();
    hits.sort();
    Bench {
        prompt: "`access.log` has lines `GET PATH STATUS TIME`, and a path may have a query after \
                 `?`, which does not count. Write the five paths with the highest time of one \
                 request to `slow.txt`, as lines `PATH MILLISECONDS`, the slowest first, and by path \
                 for equal times. Write lines `PATH REQUESTS` for all paths to `hits.txt`, in any \
                 order."
            .to_owned(),
        files: vec![file("access.log", lines(log))],
        checks: vec![
            Check::Text("slow.txt".into(), lines(slow)),
            Check::Lines("hits.txt".into(), hits),
        ],
    }
}

/// An address that asks for many missing paths.
pub(super) fn scanner(rng: &mut Rng) -> Bench {
    let addresses: Vec<String> = (0..6)
        .map(|place| format!("10.0.{place}.{}", number(rng, 1, 255)))
        .collect();
    let scanner = addresses
        .get(rng.index(addresses.len()))
        .cloned()
        .unwrap_or_default();
    let mut log = Vec::new();
    let mut probed = Vec::new();
    for _ in 0..90 {
        let address = addresses
            .get(rng.index(addresses.len()))
            .cloned()
            .unwrap_or_default();
        let word = one(rng, &WORDS);
        log.push(match rng.chance(0.1) {
            true => format!("{address} \"GET /{word}.html\" 404 0"),
            false => format!(
                "{address} \"GET /{word}.html\" 200 {}",
                number(rng, 100, 9000)
            ),
        });
    }
    for word in some(rng, &WORDS, 20) {
        log.push(format!("{scanner} \"GET /admin/{word}.php\" 404 0"));
        probed.push(format!("/admin/{word}.php"));
    }
    rng.shuffle(&mut log);
    Bench {
        prompt: "In `access.log` one address scans the server: it has by far the most requests with \
                 status 404. Write the address to `address.txt`, and the different `.php` paths that \
                 it requested to `paths.txt`, one a line, in any order."
            .to_owned(),
        files: vec![file("access.log", lines(log))],
        checks: vec![
            Check::Text("address.txt".into(), scanner),
            Check::Lines("paths.txt".into(), probed),
        ],
    }
}

/// Measurements with gaps.
pub(super) fn gaps(rng: &mut Rng) -> Bench {
    let mut time = 1_714_521_600 + number(rng, 0, 86_400);
    let (mut log, mut gaps) = (Vec::new(), Vec::new());
    let (mut sum, mut count) = (0, 0);
    for place in 0..100 {
        let value = number(rng, -200, 400);
        log.push(format!("{time} {value}"));
        sum += value;
        count += 1;
        let step = match rng.chance(0.06) || place == 50 {
            true => number(rng, 301, 4000),
            false => number(rng, 20, 300),
        };
        if step > 300 && place < 99 {
            gaps.push(format!("{time} {} {step}", time + step));
        }
        time += step;
    }
    // Division that rounds towards zero, as the shell's.
    let mean = sum / count;
    Bench {
        prompt: "`sensor.log` has lines `SECONDS VALUE`, in order of time. Write a line \
                 `FROM TO LENGTH` to `gaps.txt` for each gap of more than 300 seconds between two \
                 lines, in order. Write the mean of the values, rounded towards zero to a whole \
                 number, to `mean.txt`."
            .to_owned(),
        files: vec![file("sensor.log", lines(log))],
        checks: vec![
            Check::Text("gaps.txt".into(), lines(gaps)),
            Check::Text("mean.txt".into(), mean.to_string()),
        ],
    }
}
