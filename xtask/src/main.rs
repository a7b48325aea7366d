//! The checks of this repository, one file each; `cargo xtask help` lists them.
//!
//! All checks work offline on the tracked files and print `file:line: problem`.

mod circles;
mod doc_examples;
mod docs;
mod engine_build;
mod graph;
mod lanes;
mod unsafe_code;
mod vocabulary;
mod workspace;

use std::process::ExitCode;

use workspace::{Finding, Result, Workspace};

const HELP: &str = "\
Usage: cargo xtask COMMAND

Checks:
  circles [--report] [CRATE...]  files of one crate that import each other in a circle;
                                 --report prints them and exits with 0
  unsafe                         unsafe code of the host outside its one file
  vocabulary                     banned phrases, type names used twice, crowded folders
  docs                           pages, links, anchors, commands and snippets of the documentation
  graph [--write]                the graph of the crates, compared with the drawing in the documentation;
                                 --write updates the drawing
  examples                       examples in comments that no test runs
  engine                         whether one build of the engine serves the host, the tests and the fuzz targets

Lanes:
  check                          before a push: format, clippy, unit tests, and all checks above
  soak                           the long suites: crash, hostile, replay
  wheels                         builds every wheel for WASI and compares it, and plays environments with them
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(findings) => {
            for finding in &findings {
                println!("{finding}");
            }
            eprintln!("{} findings", findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs a command and returns what it found.
fn run(arguments: &[&str]) -> Result<Vec<Finding>> {
    let workspace = Workspace::open()?;
    match arguments {
        ["circles", "--report", crates @ ..] => {
            for finding in circles::check(&workspace, crates)? {
                println!("{finding}");
            }
            Ok(Vec::new())
        }
        ["circles", crates @ ..] => circles::check(&workspace, crates),
        ["unsafe"] => unsafe_code::check(&workspace),
        ["vocabulary"] => vocabulary::check(&workspace),
        ["docs"] => docs::check(&workspace),
        ["graph"] => {
            print!("{}", graph::draw(&graph::edges(&workspace)));
            graph::check(&workspace)
        }
        ["graph", "--write"] => graph::write(&workspace).map(|()| Vec::new()),
        ["examples"] => doc_examples::check(&workspace),
        ["engine"] => engine_build::check(&workspace),
        ["check"] => lanes::check(&workspace),
        ["soak"] => lanes::soak(&workspace).map(|()| Vec::new()),
        ["wheels"] => lanes::wheels(&workspace).map(|()| Vec::new()),
        ["help" | "--help" | "-h"] | [] => {
            print!("{HELP}");
            Ok(Vec::new())
        }
        _ => Err(format!(
            "unknown command {:?}; see cargo xtask help",
            arguments.join(" ")
        )
        .into()),
    }
}
