//! Tables: sums, duplicates, repairs, joins.

use std::collections::BTreeMap;

use orwd_sdk::Rng;

use super::draw::{NAMES, WORDS, file, lines, number, one, some};
use crate::bench::{Bench, Check};

/// Sums by region, of which some rows are void.
pub(super) fn totals(rng: &mut Rng) -> Bench {
    let regions = some(rng, &["north", "south", "east", "west", "centre"], 4);
    let mut rows = vec!["order,region,state,amount".to_owned()];
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    let (mut void, mut largest) = (0, (0, 0));
    for order in 0..number(rng, 60, 90) {
        let (region, amount) = (one(rng, &regions), number(rng, 10, 5000));
        let state = one(rng, &["paid", "paid", "paid", "void"]);
        rows.push(format!("{},{region},{state},{amount}", 1000 + order));
        if state == "void" {
            void += 1;
        } else {
            *sums.entry(region).or_default() += amount;
            if amount > largest.1 {
                largest = (1000 + order, amount);
            }
        }
    }
    let sums = sums.iter().map(|(region, sum)| format!("{region},{sum}"));
    Bench {
        prompt: "`orders.csv` has one order a line. Write three files:\n\
                 - `totals.csv`: the sum of the amounts of paid orders for each region, one line \
                 `REGION,SUM` each, sorted by region, without a header\n\
                 - `void.txt`: the number of void orders\n\
                 - `largest.txt`: the order number of the largest paid amount (the first, if there \
                 are several)"
            .to_owned(),
        files: vec![file("orders.csv", lines(rows))],
        checks: vec![
            Check::Text("totals.csv".into(), lines(sums)),
            Check::Text("void.txt".into(), void.to_string()),
            Check::Text("largest.txt".into(), largest.0.to_string()),
        ],
    }
}

/// Rows with the same address, of which the newest stays.
pub(super) fn duplicates(rng: &mut Rng) -> Bench {
    let mut rows = Vec::new();
    let mut newest: BTreeMap<String, (i64, String)> = BTreeMap::new();
    let mut days: Vec<i64> = (1..=28).collect();
    rng.shuffle(&mut days);
    for day in days {
        let name = one(rng, &NAMES);
        let mail = format!("{}@example.org", name.to_lowercase());
        let city = one(rng, &WORDS);
        let shown = match rng.chance(0.4) {
            true => mail.to_uppercase(),
            false => mail.clone(),
        };
        rows.push(format!("2024-03-{day:02};{shown};{city}"));
        let row = format!("2024-03-{day:02};{mail};{city}");
        let known = newest.entry(mail).or_insert((0, String::new()));
        if day > known.0 {
            *known = (day, row);
        }
    }
    let removed = rows.len() - newest.len();
    let kept = newest.into_values().map(|(_, row)| row);
    Bench {
        prompt: "`signups.csv` has lines `DATE;ADDRESS;CITY`. The same address occurs several \
                 times, in different case. Write `clean.csv` with one line for each address: the \
                 one with the latest date, its address in lower case, sorted by address. Write the \
                 number of lines that are left out to `removed.txt`."
            .to_owned(),
        files: vec![file("signups.csv", lines(rows))],
        checks: vec![
            Check::Text("clean.csv".into(), lines(kept)),
            Check::Text("removed.txt".into(), removed.to_string()),
        ],
    }
}

/// A table with broken lines.
pub(super) fn repair(rng: &mut Rng) -> Bench {
    let (mut rows, mut good, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for id in 1..=number(rng, 30, 45) {
        let (name, count) = (one(rng, &WORDS), number(rng, 1, 900));
        let clean = format!("{id},{name},{count}");
        let row = match number(rng, 0, 10) {
            0 => format!("{id},{name}"),
            1 => format!("{id},{name},n/a"),
            2 => format!("{id};{name};{count}"),
            3 => format!(" {id} , {name} , {count} "),
            4 => format!("{id},{name},{count}\r"),
            _ => clean.clone(),
        };
        match row.split([',', ';']).count() == 3 && !row.ends_with("n/a") {
            true => good.push(clean),
            false => bad.push(row.clone()),
        }
        rows.push(row);
    }
    // So that each file has something to check.
    bad.push("0,end".to_owned());
    rows.push("0,end".to_owned());
    Bench {
        prompt: "`stock.csv` should have lines `ID,NAME,COUNT`, but some are damaged: with `;` in \
                 place of `,`, with spaces around fields, with a carriage return at the end; and \
                 some lack the count or have a count that is no number. Write the good lines, \
                 repaired, to `fixed.csv`, and those that cannot be repaired, unchanged, to \
                 `rejected.csv`, both in their order."
            .to_owned(),
        files: vec![file("stock.csv", lines(rows))],
        checks: vec![
            Check::Text("fixed.csv".into(), lines(good)),
            Check::Text("rejected.csv".into(), lines(bad)),
        ],
    }
}

/// Two tables with a common column.
pub(super) fn join(rng: &mut Rng) -> Bench {
    let teams = some(rng, &WORDS, 4);
    let mut people = Vec::new();
    for (place, name) in NAMES.iter().enumerate() {
        people.push((format!("p{:02}", place + 1), *name, one(rng, &teams)));
    }
    let mut hours: BTreeMap<&str, i64> = BTreeMap::new();
    let mut worked: Vec<bool> = vec![false; people.len()];
    let mut shifts = Vec::new();
    for _ in 0..40 {
        let place = rng.index(people.len() - 2);
        let length = number(rng, 2, 9);
        if let (Some((id, _, team)), Some(seen)) = (people.get(place), worked.get_mut(place)) {
            shifts.push(format!("{id}\t{length}"));
            *hours.entry(team).or_default() += length;
            *seen = true;
        }
    }
    let idle = people.iter().zip(&worked).filter(|(_, worked)| !**worked);
    let idle: Vec<String> = idle.map(|((_, name, _), _)| (*name).to_owned()).collect();
    let table = people
        .iter()
        .map(|(id, name, team)| format!("{id}\t{name}\t{team}"));
    let mut hours: Vec<(&str, i64)> = hours.into_iter().collect();
    hours.sort_by_key(|(team, hours)| (-hours, *team));
    let hours = hours.iter().map(|(team, hours)| format!("{team} {hours}"));
    Bench {
        prompt: "`people.tsv` has lines ID, NAME, TEAM, and `shifts.tsv` lines ID, HOURS, both \
                 separated by tabs. Write `hours.txt` with a line `TEAM HOURS` for each team that \
                 worked, most hours first, and by name for equal hours. Write the names of the \
                 people without a shift to `idle.txt`, one a line, in any order."
            .to_owned(),
        files: vec![
            file("people.tsv", lines(table)),
            file("shifts.tsv", lines(shifts)),
        ],
        checks: vec![
            Check::Text("hours.txt".into(), lines(hours)),
            Check::Lines("idle.txt".into(), idle),
        ],
    }
}

/// A table whose rows become columns.
pub(super) fn transpose(rng: &mut Rng) -> Bench {
    let (rows, columns) = (number(rng, 4, 9) as usize, number(rng, 3, 7) as usize);
    let table: Vec<Vec<String>> = (0..rows)
        .map(|_| {
            (0..columns)
                .map(|_| number(rng, -50, 100).to_string())
                .collect()
        })
        .collect();
    let turned = (0..columns).map(|column| {
        let cells = table.iter().filter_map(|row| row.get(column));
        let cells: Vec<&str> = cells.map(String::as_str).collect();
        cells.join("\t")
    });
    let sums = table.iter().map(|row| {
        let cells = row.iter().filter_map(|cell| cell.parse::<i64>().ok());
        cells.sum::<i64>().to_string()
    });
    Bench {
        prompt: "`table.tsv` is a table of numbers, separated by tabs. Write the transposed table \
                 to `turned.tsv`, and the sum of each row of `table.tsv`, one a line, to `sums.txt`."
            .to_owned(),
        files: vec![file("table.tsv", lines(table.iter().map(|row| row.join("\t"))))],
        checks: vec![
            Check::Text("turned.tsv".into(), lines(turned)),
            Check::Text("sums.txt".into(), lines(sums)),
        ],
    }
}
