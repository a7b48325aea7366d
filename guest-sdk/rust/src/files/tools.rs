//! The tools of files.

use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::edit::{Edit, apply_edits};
use super::read::{show, text_of};
use super::search::{self, Query, Show};
use crate::{Block, Context, Folder, Output, Result, bail, tools};

/// Entries of a folder that are listed.
const MAX_ENTRIES: usize = 1000;

/// Tools to read, write, edit and search the files below a folder:
/// `read_file`, `write_file`, `edit_file`, `multi_edit`, `list_dir`, `glob` and
/// `grep`.
///
/// An environment includes them as a toolset:
///
/// ```
/// use orwd_sdk::files::FileTools;
/// use orwd_sdk::prelude::*;
///
/// struct Desk {
///     files: FileTools,
/// }
///
/// #[environment]
/// impl Environment for Desk {
///     // …
/// #     type Task = Json;
/// #     fn splits() -> Vec<Split> { vec![Split::named("train")] }
/// #     fn tasks(_: &str) -> Result<Vec<Json>> { Ok(vec![]) }
///     fn open(_task: Json, _session: &SessionParams) -> Result<Self> {
///         Ok(Self { files: FileTools::at(data_dir().join("work")) })
///     }
/// #     fn prompt(&mut self) -> Result<Vec<Block>> { Ok(vec![]) }
/// }
///
/// #[tools(toolsets(files: FileTools))]
/// impl Desk {}
/// # assert_eq!(Harness::<Desk>::tools().len(), 7);
/// ```
///
/// Paths are relative to the folder, or absolute and inside it. An error, such as
/// a missing file, is an output that begins with `Error:`, so that the agent can
/// go on.
#[derive(Clone, Debug)]
pub struct FileTools {
    folder: Folder,
}

impl FileTools {
    /// Returns the tools for the files below a folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Folder::at(folder),
        }
    }

    /// Returns the path of a file that an agent named, which need not exist.
    pub fn path(&self, path: &str) -> Result<PathBuf> {
        let root = self.folder.path();
        match Path::new(path).strip_prefix(root) {
            Ok(inside) => self.folder.join(inside),
            Err(_) if path.starts_with('/') => {
                bail!("the path {path:?} is outside of {}", root.display())
            }
            Err(_) => self.folder.join(path),
        }
    }

    /// Returns the path to show for a path that an agent named.
    fn shown<'a>(&self, path: &'a str) -> &'a str {
        if path.is_empty() { "." } else { path }
    }

    fn edit(&self, path: &str, edits: &[Edit]) -> Result<String> {
        let file = self.path(path)?;
        let text = text_of(&file).with_context(|| path.to_owned())?;
        let edited = apply_edits(&text, edits).with_context(|| path.to_owned())?;
        fs::write(&file, edited).with_context(|| path.to_owned())?;
        Ok(format!("edited {path}"))
    }

    fn write(&self, path: &str, content: &str) -> Result<String> {
        let file = self.path(path)?;
        if file.is_dir() {
            bail!("{path}: is a folder");
        }
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).with_context(|| path.to_owned())?;
        }
        fs::write(&file, content).with_context(|| path.to_owned())?;
        Ok(format!("wrote {} bytes to {path}", content.len()))
    }

    fn list(&self, path: &str) -> Result<String> {
        let folder = self.path(path)?;
        let shown = self.shown(path);
        if !folder.is_dir() {
            bail!("{shown}: no such folder");
        }
        let mut lines = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let found = entry.metadata()?;
            lines.push(if found.is_dir() {
                format!("{name}/")
            } else if found.is_symlink() {
                format!("{name}@")
            } else {
                format!("{name}\t{} bytes", found.len())
            });
        }
        lines.sort();
        if lines.is_empty() {
            return Ok(format!("{shown} is empty"));
        }
        let more = lines.len().saturating_sub(MAX_ENTRIES);
        lines.truncate(MAX_ENTRIES);
        if more > 0 {
            lines.push(format!("[{more} more entries are left out]"));
        }
        Ok(lines.join("\n"))
    }

    fn search(&self, input: &Grep) -> Result<String> {
        let show = match input.output_mode {
            Mode::Content => Show::Lines(input.context),
            Mode::FilesWithMatches => Show::Files,
            Mode::Count => Show::Counts,
        };
        let path = self.path(&input.path)?;
        if !path.exists() {
            bail!("{}: no such file or folder", self.shown(&input.path));
        }
        let query = Query {
            pattern: &input.pattern,
            glob: input.glob.as_deref(),
            ignore_case: input.ignore_case,
            show,
        };
        search::by_content(&path, &query)
    }
}

/// Returns an output for an agent: an error is text that it can act on, since an
/// error of a tool ends the session of some clients.
fn shown<B: Into<Block>>(result: Result<Vec<B>>) -> Output {
    match result {
        Ok(blocks) => Output::blocks(blocks),
        Err(error) => {
            Output::text(format!("Error: {error}")).metadata(json!({"error": error.to_string()}))
        }
    }
}

fn said(result: Result<String>) -> Output {
    shown(result.map(|text| vec![text]))
}

/// Input of `read_file`.
#[derive(Deserialize, JsonSchema)]
struct ReadFile {
    /// The file.
    path: String,
    /// The number of the first line; the first line of a file is 1.
    #[schemars(range(min = 1))]
    offset: Option<u64>,
    /// The number of lines; by default 2000.
    #[schemars(range(min = 1))]
    limit: Option<u64>,
}

/// Input of `write_file`.
#[derive(Deserialize, JsonSchema)]
struct WriteFile {
    /// The file.
    path: String,
    /// The whole new content.
    content: String,
}

/// Input of `edit_file`.
#[derive(Deserialize, JsonSchema)]
struct EditFile {
    /// The file.
    path: String,
    /// The text to replace, exactly as it is in the file, with its indentation and
    /// without line numbers.
    old_string: String,
    /// The text to put in its place.
    new_string: String,
    /// Replaces every occurrence. Otherwise the text must be unique in the file.
    #[serde(default)]
    replace_all: bool,
}

/// Input of `multi_edit`.
#[derive(Deserialize, JsonSchema)]
struct MultiEdit {
    /// The file.
    path: String,
    /// The replacements, in order. If one does not fit, the file stays as it was.
    edits: Vec<Edit>,
}

/// Input of `list_dir`.
#[derive(Deserialize, JsonSchema)]
struct ListDir {
    /// The folder; by default the working folder.
    #[serde(default)]
    path: String,
}

/// Input of `glob`.
#[derive(Deserialize, JsonSchema)]
struct GlobInput {
    /// A pattern such as `*.rs` or `src/**/*.py`.
    pattern: String,
    /// The folder to search; by default the working folder.
    #[serde(default)]
    path: String,
}

/// What `grep` shows.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Lines.
    #[default]
    Content,
    /// Names of files.
    FilesWithMatches,
    /// Numbers of lines.
    Count,
}

/// Input of `grep`.
#[derive(Deserialize, JsonSchema)]
struct Grep {
    /// A regular expression.
    pattern: String,
    /// The file or folder to search; by default the working folder.
    #[serde(default)]
    path: String,
    /// Searches only files whose path matches this pattern, such as `*.rs`.
    glob: Option<String>,
    /// Shows matching lines (`content`), names of files or counts of lines.
    #[serde(default)]
    output_mode: Mode,
    /// Ignores the case of letters.
    #[serde(default)]
    ignore_case: bool,
    /// The number of lines to show around each match.
    #[serde(default)]
    #[schemars(range(max = 20))]
    context: usize,
}

#[tools]
impl FileTools {
    /// Reads a text file and shows its lines with their numbers, or shows a picture.
    #[tool]
    fn read_file(&self, input: ReadFile) -> Output {
        let read = || {
            let path = self.path(&input.path)?;
            show(&path, input.offset, input.limit).with_context(|| input.path.clone())
        };
        shown(read())
    }

    /// Writes a file, and creates its folders. An existing file is replaced.
    #[tool]
    fn write_file(&mut self, input: WriteFile) -> Output {
        said(self.write(&input.path, &input.content))
    }

    /// Replaces exact text in a file.
    #[tool]
    fn edit_file(&mut self, input: EditFile) -> Output {
        let edit = Edit {
            old_string: input.old_string,
            new_string: input.new_string,
            replace_all: input.replace_all,
        };
        said(self.edit(&input.path, &[edit]))
    }

    /// Makes several replacements in one file: all of them, or none.
    #[tool]
    fn multi_edit(&mut self, input: MultiEdit) -> Output {
        said(self.edit(&input.path, &input.edits))
    }

    /// Lists a folder. Folders end in `/`, links in `@`.
    #[tool]
    fn list_dir(&self, input: ListDir) -> Output {
        said(self.list(&input.path))
    }

    /// Finds files by a pattern of their path.
    #[tool]
    fn glob(&self, input: GlobInput) -> Output {
        let find = || {
            let folder = self.path(&input.path)?;
            if !folder.is_dir() {
                bail!("{}: no such folder", self.shown(&input.path));
            }
            search::by_name(&folder, &input.pattern)
        };
        said(find())
    }

    /// Finds lines by a regular expression.
    #[tool]
    fn grep(&self, input: Grep) -> Output {
        said(self.search(&input))
    }
}
