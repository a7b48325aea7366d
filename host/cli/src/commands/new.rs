//! `orwd new`: creates the folder of an environment that builds, passes its
//! tests and can be served.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use orwd_catalog::{build, manifest};

use crate::bootstrap::source_tree;
use crate::commands::new::templates::{Language, Template};
use crate::console::{CommandError, CommandStatus, terminal};

mod templates;

/// Create an environment in Rust or Python to start from
///
/// The folder contains source code, manifest, a scripted episode, and unit tests in
/// Rust.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd new my-env              a counter
  orwd new my-quiz --template dataset
  orwd new my-desk --template shell
  orwd new my-game --template python
  orwd new my-exam --template judge

Then: cd my-env && cargo test && orwd serve .")]
pub(crate) struct New {
    /// Folder to create; its last part is the environment's name
    #[arg(value_name = "NAME")]
    path: PathBuf,

    /// Template to start from
    #[arg(long, value_enum, default_value_t = Template::Counter)]
    template: Template,

    /// Folder of the orwd-sdk crate to build against [default: the one in this
    /// program's source tree, or else the published crate]
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

/// Names that an environment can have but a Rust package cannot: keywords, and
/// crates that the package uses.
const RESERVED: &[&str] = &[
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
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let name = name(&self.path, self.template)?;
        let sdk = match &self.sdk {
            Some(path) => Sdk::Folder(checked_sdk(path)?),
            None => find_sdk().map_or(Sdk::Published, Sdk::Folder),
        };
        check_unused(&self.path)?;
        write(&self.path, self.template, &name, &sdk).map_err(|(file, error)| {
            CommandError::new(format!("cannot write {}: {error}", file.display()))
        })?;
        note_created(&self.path);
        let folder = self.path.display();
        let first = match self.template.language() {
            Language::Rust => "cargo test        run its tests",
            Language::Python => "orwd build        build it into the folder dist",
        };
        terminal::print(&format!(
            "created the environment {name} in {folder}\n\n\
             \x20 cd {folder}\n\
             \x20 {first}\n\
             \x20 orwd serve .      serve it on http://127.0.0.1:8080\n\
             \x20 orwd play .       play it in the terminal\n"
        ))?;
        Ok(CommandStatus::Success)
    }
}

/// Returns the environment's name, which is also valid for a package of Rust.
fn name(path: &Path, template: Template) -> Result<String, CommandError> {
    let written = path.file_name().unwrap_or_default().to_string_lossy();
    let name = manifest::check_name(&written).map_err(CommandError::usage)?;
    let name = name.as_str().to_owned();
    if template.language() == Language::Python {
        return Ok(name);
    }
    let letter_first = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !letter_first || RESERVED.contains(&name.replace('_', "-").as_str()) {
        return Err(CommandError::usage(format!(
            "{name:?} cannot be the name of a Rust package; choose another, such as {:?}",
            format!("my-{name}")
        )));
    }
    Ok(name)
}

/// Refuses a path that exists, unless it is an empty folder.
fn check_unused(path: &Path) -> Result<(), CommandError> {
    let exists = |what: &str| {
        Err(CommandError::new(format!(
            "{} already exists{what}; choose another name",
            path.display()
        )))
    };
    match fs::read_dir(path).map(|entries| entries.count()) {
        Ok(0) => Ok(()),
        Ok(_) => exists(" and is not empty"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) => exists(""),
    }
}

/// Source of the SDK for the generated package.
#[derive(Debug, PartialEq, Eq)]
enum Sdk {
    Folder(PathBuf),
    Published,
}

impl fmt::Display for Sdk {
    /// Writes the value of the dependency in `Cargo.toml`.
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

impl Sdk {
    /// Returns the value of the dependency with the feature `shell`.
    fn with_shell(&self) -> String {
        let written = match self {
            Sdk::Folder(_) => self.to_string(),
            Sdk::Published => format!("{{ version = {self} }}"),
        };
        written.trim_end_matches(" }").to_owned() + ", features = [\"shell\"] }"
    }
}

fn checked_sdk(path: &Path) -> Result<PathBuf, CommandError> {
    let invalid = |reason: &str| {
        CommandError::usage(format!(
            "--sdk {}: {reason}; expected the folder guest-sdk/rust of orwd's source tree",
            path.display()
        ))
    };
    let folder = path
        .canonicalize()
        .map_err(|error| invalid(&error.to_string()))?;
    if is_sdk(&folder) {
        Ok(folder)
    } else {
        Err(invalid("not the orwd-sdk crate"))
    }
}

fn is_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml"))
        .is_ok_and(|manifest| manifest.contains("name = \"orwd-sdk\""))
}

/// Finds the SDK in the source tree of this program.
fn find_sdk() -> Option<PathBuf> {
    source_tree::find("guest-sdk/rust", is_sdk)
}

/// Notes that the user has created a folder, so that `serve` and `play` build it.
fn note_created(folder: &Path) {
    let noted = match orwd_config::created_folders() {
        Some(file) => build::note_created(&file, folder).map_err(|error| error.to_string()),
        None => Err("XDG_CONFIG_HOME and HOME are unset".to_owned()),
    };
    if let Err(reason) = noted {
        terminal::note(&format!(
            "cannot note that you created it ({reason}); pass --build to `serve` and `play`"
        ));
    }
}

fn write(
    folder: &Path,
    template: Template,
    name: &str,
    sdk: &Sdk,
) -> Result<(), (PathBuf, std::io::Error)> {
    for (path, content) in template.files() {
        let content = content
            .replace("{{name}}", name)
            .replace("{{package}}", name)
            .replace("{{sdk}}", &sdk.to_string())
            .replace("{{sdk-shell}}", &sdk.with_shell());
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
    use clap::ValueEnum;
    use orwd_catalog::AuthorFolder;
    use orwd_catalog::manifest::Manifest;
    use tempfile::TempDir;

    use super::*;

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
            let got =
                name(Path::new(path), Template::Counter).unwrap_or_else(|error| error.to_string());
            assert_eq!(got, expected, "{path}");
        }
        // Python has no package of this name.
        assert_eq!(name(Path::new("match"), Template::Python).unwrap(), "match");
    }

    #[test]
    fn every_template_is_complete() {
        let templates = Template::value_variants().iter().copied();
        for template in templates.filter(|template| template.language() == Language::Rust) {
            let folder = TempDir::new().unwrap();
            let sdk = Sdk::Folder(PathBuf::from("/a \"b\"/sdk"));
            write(folder.path(), template, "my-env", &sdk).unwrap();
            let manifest = Manifest::read(&AuthorFolder::open(folder.path()).unwrap()).unwrap();
            assert_eq!(manifest.name.as_str(), "my-env");
            let read = |file| fs::read_to_string(folder.path().join(file)).unwrap();
            let cargo: toml::Table = read("Cargo.toml").parse().unwrap();
            assert_eq!(cargo["package"]["name"].as_str(), Some("my-env"));
            assert_eq!(
                cargo["dependencies"]["orwd-sdk"]["path"].as_str(),
                Some("/a \"b\"/sdk")
            );
            let features = cargo["dependencies"]["orwd-sdk"].get("features");
            let has_shell = features.is_some_and(|features| features[0].as_str() == Some("shell"));
            assert_eq!(has_shell, template == Template::Shell);
            for file in ["README.md", "src/lib.rs", "transcript.jsonl", ".gitignore"] {
                assert!(!read(file).contains("{{"), "{file}");
            }
        }
    }

    #[test]
    fn the_templates_in_python_are_complete() {
        for template in [Template::Python, Template::PythonJudge] {
            let folder = TempDir::new().unwrap();
            write(folder.path(), template, "match", &Sdk::Published).unwrap();
            let manifest = Manifest::read(&AuthorFolder::open(folder.path()).unwrap()).unwrap();
            assert_eq!(manifest.name.as_str(), "match");
            for (file, _) in template.files() {
                let text = fs::read_to_string(folder.path().join(file)).unwrap();
                assert!(!text.contains("{{"), "{file}");
            }
        }
    }

    #[test]
    fn overwrites_nothing() {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("full")).unwrap();
        fs::write(folder.path().join("full/file"), "").unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for (name, expected) in [
            ("new", None),
            (
                "full",
                Some("F/full already exists and is not empty; choose another name"),
            ),
            ("file", Some("F/file already exists; choose another name")),
        ] {
            let got = check_unused(&folder.path().join(name)).err();
            let root = &*folder.path().to_string_lossy();
            let got = got.map(|error| error.to_string().replace(root, "F"));
            assert_eq!(got.as_deref(), expected);
        }
    }
}
