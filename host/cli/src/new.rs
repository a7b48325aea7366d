//! `orwd new`: makes the folder of an environment that builds, passes its own
//! tests and can be served at once.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{Ending, Failure, terminal};
use orwd_catalog::manifest;

/// Make an environment in Rust to start from
///
/// The folder holds source, manifest, unit tests and a scripted episode.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd new my-env              an environment that counts
  orwd new my-quiz --template dataset

Then: cd my-env && cargo test && orwd serve .")]
pub(super) struct New {
    /// The folder to make; its last part is the environment's name
    #[arg(value_name = "NAME")]
    path: PathBuf,

    /// What to start from
    #[arg(long, value_enum, default_value_t = Template::Counter)]
    template: Template,

    /// Folder of the orwd-sdk crate to build against [default: the one beside
    /// this program's sources, or else the published one]
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

/// What an environment can start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    /// The smallest whole environment: bring a counter to a target
    Counter,
    /// Questions and answers from JSON lines in a data directory
    Dataset,
}

/// A file of a template: where it goes, and what is in it.
type File = (&'static str, &'static str);

const COUNTER: &[File] = &[
    (
        "Cargo.toml",
        include_str!("../templates/counter/Cargo.toml.template"),
    ),
    ("orwd.toml", include_str!("../templates/counter/orwd.toml")),
    (
        "src/lib.rs",
        include_str!("../templates/counter/src/lib.rs"),
    ),
    (
        "transcript.jsonl",
        include_str!("../templates/counter/transcript.jsonl"),
    ),
    ("README.md", include_str!("../templates/counter/README.md")),
    (".gitignore", include_str!("../templates/counter/gitignore")),
];

const DATASET: &[File] = &[
    (
        "Cargo.toml",
        include_str!("../templates/dataset/Cargo.toml.template"),
    ),
    ("orwd.toml", include_str!("../templates/dataset/orwd.toml")),
    (
        "src/lib.rs",
        include_str!("../templates/dataset/src/lib.rs"),
    ),
    (
        "data/train.jsonl",
        include_str!("../templates/dataset/data/train.jsonl"),
    ),
    (
        "data/test.jsonl",
        include_str!("../templates/dataset/data/test.jsonl"),
    ),
    (
        "transcript.jsonl",
        include_str!("../templates/dataset/transcript.jsonl"),
    ),
    ("README.md", include_str!("../templates/dataset/README.md")),
    (".gitignore", include_str!("../templates/dataset/gitignore")),
];

/// Names that are environments' but cannot be a Rust package's: words of the
/// language, and crates that the package itself uses.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "for",
    "gen",
    "impl",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "orwd-sdk",
    "orwd-sdk-macros",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "schemars",
    "self",
    "serde",
    "serde-json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

impl New {
    pub(super) fn run(self) -> Result<Ending, Failure> {
        let name = name(&self.path)?;
        let sdk = match &self.sdk {
            Some(path) => Sdk::Folder(checked_sdk(path)?),
            None => find_sdk().map_or(Sdk::Published, Sdk::Folder),
        };
        refuse_what_is_there(&self.path)?;
        write(&self.path, self.template, &name, &sdk).map_err(|(file, error)| {
            Failure::new(format!("{} cannot be written: {error}", file.display()))
        })?;
        let folder = self.path.display();
        terminal::print(&format!(
            "made the environment {name} in {folder}\n\n\
             \x20 cd {folder}\n\
             \x20 cargo test        run its tests\n\
             \x20 orwd serve .      serve it on http://127.0.0.1:8080\n\
             \x20 orwd play .       play it here\n"
        ))?;
        Ok(Ending::Fine)
    }
}

/// The environment's name, fit for a package as well.
fn name(path: &Path) -> Result<String, Failure> {
    let written = path.file_name().unwrap_or_default().to_string_lossy();
    let name = manifest::check_name(&written).map_err(Failure::usage)?;
    let name = name.as_str().to_owned();
    let letter_first = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !letter_first || TAKEN.contains(&name.replace('_', "-").as_str()) {
        return Err(Failure::usage(format!(
            "{name:?} cannot be the name of a Rust package; choose another, such as {:?}",
            format!("my-{name}")
        )));
    }
    Ok(name)
}

fn refuse_what_is_there(path: &Path) -> Result<(), Failure> {
    let there = |what: &str| {
        Err(Failure::new(format!(
            "{} is there already{what}; choose another name",
            path.display()
        )))
    };
    match fs::read_dir(path).map(|entries| entries.count()) {
        Ok(0) => Ok(()),
        Ok(_) => there(" and not empty"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) => there(""),
    }
}

/// Where the generated package takes the SDK from.
#[derive(Debug, PartialEq, Eq)]
enum Sdk {
    Folder(PathBuf),
    Published,
}

impl fmt::Display for Sdk {
    /// As the value of the dependency in `Cargo.toml`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sdk::Folder(path) => {
                let path = toml::Value::String(path.to_string_lossy().into_owned());
                write!(f, "{{ path = {path} }}")
            }
            Sdk::Published => {
                let (major, minor) = (
                    env!("CARGO_PKG_VERSION_MAJOR"),
                    env!("CARGO_PKG_VERSION_MINOR"),
                );
                write!(f, "\"{major}.{minor}\"")
            }
        }
    }
}

fn checked_sdk(path: &Path) -> Result<PathBuf, Failure> {
    let wrong = |reason: &str| {
        Failure::usage(format!(
            "--sdk {}: {reason}; it is the folder guest-sdk/rust of orwd's sources",
            path.display()
        ))
    };
    let folder = path
        .canonicalize()
        .map_err(|error| wrong(&error.to_string()))?;
    if is_sdk(&folder) {
        Ok(folder)
    } else {
        Err(wrong("this is not the orwd-sdk crate"))
    }
}

fn is_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml"))
        .is_ok_and(|manifest| manifest.contains("name = \"orwd-sdk\""))
}

/// The SDK of the sources that this program was built from, if they are still
/// there: around the `target` folder that the program is in, or where they were
/// when it was built. Looked for nowhere else: what is found is compiled.
fn find_sdk() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let target = program
        .as_deref()
        .and_then(|program| program.ancestors().nth(2));
    let around = target
        .filter(|folder| folder.file_name().is_some_and(|name| name == "target"))
        .and_then(Path::parent);
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    [around, built_from]
        .into_iter()
        .flatten()
        .map(|root| root.join("guest-sdk/rust"))
        .find(|folder| is_sdk(folder))
}

fn write(
    folder: &Path,
    template: Template,
    name: &str,
    sdk: &Sdk,
) -> Result<(), (PathBuf, std::io::Error)> {
    let files = match template {
        Template::Counter => COUNTER,
        Template::Dataset => DATASET,
    };
    for (path, content) in files {
        let content = content
            .replace("{{name}}", name)
            .replace("{{package}}", name)
            .replace("{{sdk}}", &sdk.to_string());
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, content))
            .map_err(|error| (path.clone(), error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orwd_catalog::manifest::Manifest;

    #[test]
    fn names() {
        for (path, expected) in [
            ("my-env", "my-env"),
            ("some/where/My_Env2", "my_env2"),
            (
                "ab",
                "invalid environment name \"ab\": expected 3 to 64 letters, digits, '-' or '_'",
            ),
            (
                "my env",
                "invalid environment name \"my env\": expected 3 to 64 letters, digits, '-' or '_'",
            ),
            (
                "match",
                "\"match\" cannot be the name of a Rust package; choose another, such as \"my-match\"",
            ),
            (
                "orwd_sdk",
                "\"orwd_sdk\" cannot be the name of a Rust package; choose another, such as \"my-orwd_sdk\"",
            ),
            (
                "2048",
                "\"2048\" cannot be the name of a Rust package; choose another, such as \"my-2048\"",
            ),
            (
                "health",
                "\"health\" is a route of the protocol and cannot be the name of an environment",
            ),
        ] {
            let got = name(Path::new(path)).unwrap_or_else(|failure| failure.to_string());
            assert_eq!(got, expected, "{path}");
        }
    }

    #[test]
    fn every_template_is_whole() {
        for template in [Template::Counter, Template::Dataset] {
            let folder = tempfile::tempdir().unwrap();
            let sdk = Sdk::Folder(PathBuf::from("/a \"b\"/sdk"));
            write(folder.path(), template, "my-env", &sdk).unwrap();
            let manifest = Manifest::read(folder.path()).unwrap();
            assert_eq!(manifest.name.as_str(), "my-env");
            let read = |file| fs::read_to_string(folder.path().join(file)).unwrap();
            let cargo: toml::Table = read("Cargo.toml").parse().unwrap();
            assert_eq!(cargo["package"]["name"].as_str(), Some("my-env"));
            assert_eq!(
                cargo["dependencies"]["orwd-sdk"]["path"].as_str(),
                Some("/a \"b\"/sdk")
            );
            for file in ["README.md", "src/lib.rs", "transcript.jsonl", ".gitignore"] {
                assert!(!read(file).contains("{{"), "{file}");
            }
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("full")).unwrap();
        fs::write(folder.path().join("full/file"), "").unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for (name, expected) in [
            ("new", None),
            (
                "full",
                Some("F/full is there already and not empty; choose another name"),
            ),
            ("file", Some("F/file is there already; choose another name")),
        ] {
            let got = refuse_what_is_there(&folder.path().join(name)).err();
            let root = &*folder.path().to_string_lossy();
            let got = got.map(|failure| failure.to_string().replace(root, "F"));
            assert_eq!(got.as_deref(), expected);
        }
    }
}
