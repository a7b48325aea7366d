//! The templates of `orwd new`, and their files.

use clap::ValueEnum;

/// Template of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// The smallest complete environment: bring a counter to a target
    Counter,
    /// Questions and answers from JSON lines in a data directory
    Dataset,
    /// Files to work on with bash and file tools
    Shell,
    /// Questions whose answers a language model grades
    Judge,
    /// The counter in Python, which needs no Rust
    Python,
    /// Questions whose answers a language model grades, in Python
    PythonJudge,
}

/// What an environment is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    Python,
}

/// A file of a template: its path and its content.
pub(super) type TemplateFile = (&'static str, &'static str);

/// Lists the files of a template by their paths in an environment and below the
/// template's folder.
macro_rules! files {
    ($folder:literal: $($path:literal = $file:literal,)*) => {
        &[$((
            $path,
            include_str!(concat!("../../../templates/", $folder, "/", $file)),
        ),)*]
    };
}

impl Template {
    /// Returns its language.
    pub(super) fn language(self) -> Language {
        match self {
            Template::Counter | Template::Dataset | Template::Shell | Template::Judge => {
                Language::Rust
            }
            Template::Python | Template::PythonJudge => Language::Python,
        }
    }

    /// Returns its files.
    pub(super) fn files(self) -> &'static [TemplateFile] {
        match self {
            Template::Counter => files!("counter":
                "Cargo.toml" = "Cargo.toml.template",
                "orwd.toml" = "orwd.toml",
                "src/lib.rs" = "src/lib.rs",
                "transcript.jsonl" = "transcript.jsonl",
                "README.md" = "README.md",
                ".gitignore" = "gitignore",
            ),
            Template::Dataset => files!("dataset":
                "Cargo.toml" = "Cargo.toml.template",
                "orwd.toml" = "orwd.toml",
                "src/lib.rs" = "src/lib.rs",
                "data/train.jsonl" = "data/train.jsonl",
                "data/test.jsonl" = "data/test.jsonl",
                "transcript.jsonl" = "transcript.jsonl",
                "README.md" = "README.md",
                ".gitignore" = "gitignore",
            ),
            Template::Shell => files!("shell":
                "Cargo.toml" = "Cargo.toml.template",
                "build.rs" = "build.rs",
                "orwd.toml" = "orwd.toml",
                "src/lib.rs" = "src/lib.rs",
                "data/about.txt" = "data/about.txt",
                "transcript.jsonl" = "transcript.jsonl",
                "README.md" = "README.md",
                ".gitignore" = "gitignore",
            ),
            Template::Judge => files!("judge":
                "Cargo.toml" = "Cargo.toml.template",
                "orwd.toml" = "orwd.toml",
                "src/lib.rs" = "src/lib.rs",
                "transcript.jsonl" = "transcript.jsonl",
                "README.md" = "README.md",
                ".gitignore" = "gitignore",
            ),
            Template::Python => files!("python":
                "env.py" = "env.py",
                "orwd.toml" = "orwd.toml",
                "requirements.txt" = "requirements.txt",
                "transcript.jsonl" = "transcript.jsonl",
                "README.md" = "README.md",
                ".gitignore" = "gitignore",
            ),
            Template::PythonJudge => files!("python-judge":
                "env.py" = "env.py",
                "orwd.toml" = "orwd.toml",
                "requirements.txt" = "requirements.txt",
                "transcript.jsonl" = "transcript.jsonl",
                "README.md" = "README.md",
                ".gitignore" = "gitignore",
            ),
        }
    }
}
