//! Trees of files: sorting, comparing, checking.

use orwd_sdk::Rng;

use super::draw::{WORDS, file, lines, number, one, some};
use crate::bench::{Bench, Check};

/// Files to sort into folders by year and type.
pub(super) fn sort(rng: &mut Rng) -> Bench {
    let (mut files, mut checks) = (Vec::new(), Vec::new());
    let mut moved = Vec::new();
    for word in some(rng, &WORDS, 9) {
        let (year, month) = (number(rng, 2021, 2025), number(rng, 1, 13));
        let kind = one(rng, &["txt", "csv", "log"]);
        let name = format!("{word}_{year}-{month:02}.{kind}");
        let content = format!("{word} {}\n", number(rng, 0, 1_000_000));
        files.push(file(format!("inbox/{name}"), content.clone()));
        let target = format!("archive/{year}/{kind}/{word}.{kind}");
        checks.push(Check::Text(target.clone(), content));
        moved.push(target);
    }
    moved.sort();
    checks.push(Check::Text("moved.txt".into(), lines(moved)));
    checks.push(Check::Absent("inbox".into()));
    Bench {
        prompt: "Move the files of `inbox`, which are named `NAME_YEAR-MONTH.TYPE`, to \
                 `archive/YEAR/TYPE/NAME.TYPE`. Remove `inbox`. Write the new paths to `moved.txt`, \
                 one a line, sorted."
            .to_owned(),
        files,
        checks,
    }
}

/// Two trees to compare.
pub(super) fn compare(rng: &mut Rng) -> Bench {
    let mut files = Vec::new();
    let (mut changed, mut added, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for (place, word) in some(rng, &WORDS, 14).iter().enumerate() {
        let name = match place % 3 {
            0 => format!("{word}.txt"),
            _ => format!("{}/{word}.txt", one(rng, &["a", "b/c"])),
        };
        let content = format!("{word}\n{}\n", number(rng, 0, 1000));
        let (old, new) = (format!("old/{name}"), format!("new/{name}"));
        // The first three are one of each.
        match if place < 3 {
            place as i64
        } else {
            number(rng, 0, 8)
        } {
            0 => {
                files.push(file(old, content.clone()));
                files.push(file(new, format!("{content}more\n")));
                changed.push(name);
            }
            1 => {
                files.push(file(new, content));
                added.push(name);
            }
            2 => {
                files.push(file(old, content));
                removed.push(name);
            }
            _ => {
                files.push(file(old, content.clone()));
                files.push(file(new, content));
            }
        }
    }
    let listed = |name: &str, paths: Vec<String>| Check::Lines(name.to_owned(), paths);
    Bench {
        prompt: "Compare the trees `old` and `new`. Write three files with paths relative to the \
                 trees, one a line, in any order: `changed.txt` with the files in both that differ, \
                 `added.txt` with those only in `new`, and `removed.txt` with those only in `old`."
            .to_owned(),
        files,
        checks: vec![
            listed("changed.txt", changed),
            listed("added.txt", added),
            listed("removed.txt", removed),
        ],
    }
}

/// Documents with links that lead nowhere.
pub(super) fn links(rng: &mut Rng) -> Bench {
    let pages = some(rng, &WORDS, 6);
    let missing = some(rng, &["ghost", "void", "blank", "lost"], 2);
    let (mut files, mut broken, mut total) = (Vec::new(), Vec::new(), 0);
    for (place, page) in pages.iter().enumerate() {
        let mut text = vec![format!("# {page}")];
        for _ in 0..number(rng, 2, 5) {
            let other = one(rng, &pages);
            text.push(format!("See [{other}]({other}.md) and more."));
            total += 1;
        }
        if place == 0 || rng.chance(0.4) {
            let gone = one(rng, &missing);
            text.push(format!("Also [this]({gone}.md)."));
            broken.push(format!("{page}.md {gone}.md"));
            total += 1;
        }
        text.push("An [outer link](https://example.org/x.md) does not count.".to_owned());
        files.push(file(format!("docs/{page}.md"), lines(text)));
    }
    Bench {
        prompt: "The pages in `docs` have links `[TEXT](FILE.md)` to each other. Write a line \
                 `PAGE TARGET` to `broken.txt` for each link to a file that is not in `docs`, such as \
                 `a.md b.md`, in any order. Links that begin with `https:` do not count. Write the \
                 number of all links that count to `total.txt`."
            .to_owned(),
        files,
        checks: vec![
            Check::Lines("broken.txt".into(), broken),
            Check::Text("total.txt".into(), total.to_string()),
        ],
    }
}

/// A list of files and sizes that is not quite right.
pub(super) fn manifest(rng: &mut Rng) -> Bench {
    let (mut files, mut listed) = (Vec::new(), Vec::new());
    let (mut wrong, mut missing, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (place, word) in some(rng, &WORDS, 12).iter().enumerate() {
        let name = format!("{}/{word}.dat", one(rng, &["x", "y"]));
        let content = "z".repeat(number(rng, 1, 400) as usize);
        let size = content.len() as i64;
        match if place < 2 {
            place as i64
        } else {
            number(rng, 0, 6)
        } {
            0 => {
                listed.push(format!("{name} {}", size + number(rng, 1, 50)));
                wrong.push(name.clone());
            }
            1 => {
                listed.push(format!("{name} {size}"));
                missing.push(name);
                continue;
            }
            _ => listed.push(format!("{name} {size}")),
        }
        bytes += size;
        files.push(file(format!("store/{name}"), content));
    }
    files.push(file("manifest.txt", lines(listed)));
    Bench {
        prompt:
            "`manifest.txt` has lines `PATH BYTES` for the files below `store`. Write the paths \
                 whose file has another size to `wrong.txt`, and those without a file to \
                 `missing.txt`, one a line, in any order. Write the number of bytes of all files \
                 below `store` to `bytes.txt`."
                .to_owned(),
        files,
        checks: vec![
            Check::Lines("wrong.txt".into(), wrong),
            Check::Lines("missing.txt".into(), missing),
            Check::Text("bytes.txt".into(), bytes.to_string()),
        ],
    }
}
