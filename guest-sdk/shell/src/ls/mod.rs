//! The command `ls`, in place of the evaluator's, whose long listing has no links,
//! owners and total, and which knows few orders.

mod options;
mod table;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bashkit::{
    Builtin, BuiltinContext as Context, ExecResult, FileType, Metadata, async_trait,
    normalize_path, vfs_join,
};

use options::{Layout, Mark, Options};
use table::{Entry, Kind};

/// Levels of folders that are listed.
const MAX_LEVELS: usize = 64;

/// The command. Files below these folders are the agent's.
pub(crate) struct Ls(pub(crate) Vec<PathBuf>);

#[async_trait]
impl Builtin for Ls {
    async fn execute(&self, ctx: Context<'_>) -> bashkit::Result<ExecResult> {
        if ctx.args.iter().any(|argument| argument == "--help") {
            return Ok(ExecResult::ok(options::USAGE.to_owned()));
        }
        if ctx.args.iter().any(|argument| argument == "--version") {
            return Ok(ExecResult::ok("ls (GNU coreutils) 9.1\n".to_owned()));
        }
        let mut options = match Options::parse(ctx.args) {
            Ok(options) => options,
            Err(message) => return Ok(ExecResult::err(message, 2)),
        };
        if options.paths.is_empty() {
            options.paths.push(".".to_owned());
        }
        let listing = Listing {
            options: &options,
            own: &self.0,
            now: SystemTime::now(),
            output: String::new(),
            errors: String::new(),
            code: 0,
        };
        listing.run(&ctx).await
    }
}

/// A listing in the making.
struct Listing<'a> {
    options: &'a Options,
    own: &'a [PathBuf],
    now: SystemTime,
    output: String,
    errors: String,
    code: i32,
}

/// A folder that is to be listed.
struct Folder {
    shown: String,
    path: PathBuf,
    level: usize,
}

impl Listing<'_> {
    async fn run(mut self, ctx: &Context<'_>) -> bashkit::Result<ExecResult> {
        let options = self.options;
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for shown in &options.paths {
            let path = resolve(ctx.cwd, shown);
            // A link that is named is followed, except in a long listing.
            let shows_links = options.layout == Layout::Long
                || options.lists_folders_themselves
                || options.mark == Mark::All;
            let follows = !shows_links || shown.ends_with('/');
            let mut found = ctx.fs.lstat(&path).await;
            if follows && let Ok(target) = ctx.fs.stat(&path).await {
                found = Ok(target);
            }
            match found {
                Err(error) => self.complain(&format!("cannot access '{shown}'"), &error, 2),
                Ok(found)
                    if found.file_type == FileType::Directory
                        && !options.lists_folders_themselves =>
                {
                    folders.push(self.entry(ctx, shown, &path, &found).await);
                }
                Ok(found) => files.push(self.entry(ctx, shown, &path, &found).await),
            }
        }
        table::sort(&mut files, options);
        self.output
            .push_str(&table::lines(&files, options, self.now));
        table::sort(&mut folders, options);
        let heads = options.is_recursive || options.paths.len() > 1;
        let mut left: Vec<Folder> = Vec::new();
        for entry in folders.into_iter().rev() {
            let path = resolve(ctx.cwd, &entry.name);
            left.push(Folder {
                shown: entry.name,
                path,
                level: 0,
            });
        }
        while let Some(folder) = left.pop() {
            if !self.output.is_empty() {
                self.output.push('\n');
            }
            if heads {
                self.output.push_str(&format!("{}:\n", folder.shown));
            }
            let inner = self.folder(ctx, &folder).await?;
            left.extend(inner.into_iter().rev());
        }
        Ok(ExecResult {
            stdout: self.output.into(),
            stderr: self.errors.into(),
            exit_code: self.code,
            ..ExecResult::default()
        })
    }

    /// Lists a folder, and returns those in it that are to be listed as well.
    async fn folder(&mut self, ctx: &Context<'_>, folder: &Folder) -> bashkit::Result<Vec<Folder>> {
        let options = self.options;
        let listed = match ctx.fs.read_dir(&folder.path).await {
            Ok(listed) => listed,
            Err(error @ (bashkit::Error::Cancelled | bashkit::Error::ResourceLimit(_))) => {
                return Err(error);
            }
            Err(error) => {
                let code = if folder.level == 0 { 2 } else { 1 };
                self.complain(
                    &format!("cannot open directory '{}'", folder.shown),
                    &error,
                    code,
                );
                return Ok(Vec::new());
            }
        };
        let mut entries = Vec::new();
        if options.all {
            for (name, path) in [
                (".", folder.path.clone()),
                ("..", resolve(&folder.path, "..")),
            ] {
                if let Ok(found) = ctx.fs.lstat(&path).await {
                    entries.push(self.entry(ctx, name, &path, &found).await);
                }
            }
        }
        for listed in listed {
            if listed.name.starts_with('.') && !options.all && !options.almost_all {
                continue;
            }
            let path = folder.path.join(&listed.name);
            entries.push(self.entry(ctx, &listed.name, &path, &listed.metadata).await);
        }
        table::sort(&mut entries, options);
        if options.layout == Layout::Long || options.shows_blocks {
            self.output.push_str(&table::total(&entries, options));
        }
        self.output
            .push_str(&table::lines(&entries, options, self.now));
        if !options.is_recursive || folder.level == MAX_LEVELS {
            return Ok(Vec::new());
        }
        let inner = entries.into_iter().filter(|entry| {
            entry.kind == Kind::Folder && !matches!(entry.name.as_str(), "." | "..")
        });
        Ok(inner
            .map(|entry| Folder {
                path: folder.path.join(&entry.name),
                shown: match folder.shown.ends_with('/') {
                    true => format!("{}{}", folder.shown, entry.name),
                    false => format!("{}/{}", folder.shown, entry.name),
                },
                level: folder.level + 1,
            })
            .collect())
    }

    async fn entry(&self, ctx: &Context<'_>, name: &str, path: &Path, found: &Metadata) -> Entry {
        let kind = match found.file_type {
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            FileType::Fifo => Kind::Pipe,
            FileType::File => Kind::File,
        };
        let is_long = self.options.layout == Layout::Long;
        let target = match kind {
            Kind::Link if is_long => ctx.fs.read_link(path).await.ok(),
            _ => None,
        };
        let links = match kind {
            Kind::Folder if is_long => self.links(ctx, path).await,
            _ => 1,
        };
        let is_own = self.own.iter().any(|own| path.starts_with(own));
        Entry {
            name: name.to_owned(),
            kind,
            mode: found.mode,
            links,
            size: found.size,
            modified: found.modified,
            owner: if is_own { "agent" } else { "root" },
            target: target.map(|target| target.to_string_lossy().into_owned()),
        }
    }

    /// Returns the links of a folder: its name, its `.`, and the `..` of each in it.
    async fn links(&self, ctx: &Context<'_>, path: &Path) -> u64 {
        let inner = ctx.fs.read_dir(path).await.unwrap_or_default();
        let folders = inner
            .iter()
            .filter(|entry| entry.metadata.file_type == FileType::Directory);
        2 + folders.count() as u64
    }

    fn complain(&mut self, what: &str, error: &bashkit::Error, code: i32) {
        let error = error.to_string();
        let reason = match error.to_lowercase() {
            lower if lower.contains("not found") || lower.contains("no such") => {
                "No such file or directory"
            }
            lower if lower.contains("not a directory") => "Not a directory",
            lower if lower.contains("symbolic links") => "Too many levels of symbolic links",
            _ => error.as_str(),
        };
        self.errors.push_str(&format!("ls: {what}: {reason}\n"));
        self.code = self.code.max(code);
    }
}

fn resolve(cwd: &Path, name: &str) -> PathBuf {
    normalize_path(&match Path::new(name) {
        path if path.is_absolute() => path.to_owned(),
        path => vfs_join(cwd, path),
    })
}
