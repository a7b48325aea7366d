//! `upload`, `files`, `delete-file` and `deploy`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::api::{Api, put, rows, segment, text};
use super::output::OutputFlags;
use crate::console::{CommandError, terminal};

/// Files of one request for addresses.
const BATCH: usize = 50;

/// Files of one page of a listing.
const PAGE: usize = 200;

/// Entries of a folder that is uploaded.
const MAX_FILES: usize = 100_000;

/// The time between two looks at a deployment.
const POLL: Duration = Duration::from_millis(300);

/// The time for a deployment to end.
const DEPLOY: Duration = Duration::from_secs(1800);

/// Upload files, which sessions see below /orwd_data
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd upload alice/my-env data
  orwd upload alice/my-env answers.json --dest private/answers.json")]
pub(crate) struct Upload {
    /// Environment: owner/name
    environment: String,

    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    files: Vec<PathBuf>,

    /// Path below /orwd_data; with a slash at its end, or for folders and several
    /// files, the folder to upload into [default: the path as given]
    #[arg(long, value_name = "PATH")]
    dest: Option<String>,

    /// Uploads at once
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    concurrency: usize,

    #[command(flatten)]
    output: OutputFlags,
}

impl Upload {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let api = Api::open()?;
        let id = api.id(&self.environment).await?;
        let files = self.named_files()?;
        let (mut uploaded, mut failed) = (0_usize, 0_usize);
        let counted = counted(files.len(), "file");
        if self.output.is_table() {
            terminal::print(&format!("Uploading {counted} to {}...\n", self.environment))?;
        }
        for batch in files.chunks(BATCH) {
            for (name, result) in upload(&api, &id, batch, self.concurrency).await? {
                match result {
                    Ok(()) => {
                        uploaded += 1;
                        if self.output.is_table() {
                            terminal::print(&format!("  {name}\n"))?;
                        }
                    }
                    Err(reason) => {
                        failed += 1;
                        terminal::error(&format!("{name} was not uploaded: {reason}"));
                    }
                }
            }
        }
        let counts = json!({ "uploaded": uploaded, "failed": failed, "total": files.len() });
        let line = if self.output.is_table() {
            match failed {
                0 => format!("\nUploaded {counted}\n"),
                _ => format!("\nUploaded {uploaded}/{counted} ({failed} failed)\n"),
            }
        } else {
            format!("{counts}\n")
        };
        terminal::print(&line)?;
        match failed {
            0 => Ok(()),
            count => Err(CommandError::new(format!(
                "{count} files were not uploaded"
            ))),
        }
    }

    /// Returns each file with the name under which it is stored.
    fn named_files(&self) -> Result<Vec<(String, PathBuf)>, CommandError> {
        let mut found = Vec::new();
        for path in &self.files {
            let given = path.to_string_lossy().into_owned();
            if path.is_dir() {
                let base = self.dest.clone().unwrap_or(given);
                let base = base.trim_end_matches('/');
                let base = base.strip_prefix("./").unwrap_or(base);
                let base = if base == "." { "" } else { base };
                walk(path, base, &mut found)?;
                continue;
            }
            let file = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let file = file.unwrap_or_default();
            let name = match &self.dest {
                None => given.strip_prefix("./").unwrap_or(&given).to_owned(),
                Some(folder) if folder.ends_with('/') => format!("{folder}{file}"),
                Some(folder) if self.files.len() > 1 => format!("{folder}/{file}"),
                Some(name) => name.clone(),
            };
            found.push((name, path.clone()));
        }
        Ok(found)
    }
}

/// Finds the files below a folder.
fn walk(folder: &Path, name: &str, found: &mut Vec<(String, PathBuf)>) -> Result<(), CommandError> {
    let failed = |error| CommandError::new(format!("cannot read {}: {error}", folder.display()));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        entries.push(entry.map_err(failed)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let below = entry.file_name().to_string_lossy().into_owned();
        let below = if name.is_empty() {
            below
        } else {
            format!("{name}/{below}")
        };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(&entry.path(), &below, found)?;
        } else if kind.is_file() {
            found.push((below, entry.path()));
        }
        if found.len() > MAX_FILES {
            return Err(CommandError::usage(format!(
                "{} has more than {MAX_FILES} files",
                folder.display()
            )));
        }
    }
    Ok(())
}

/// Uploads a batch of files.
async fn upload(
    api: &Api,
    id: &str,
    batch: &[(String, PathBuf)],
    concurrency: usize,
) -> Result<Vec<(String, Result<(), String>)>, CommandError> {
    let files: Vec<Value> = batch
        .iter()
        .map(|(name, _)| json!({ "fileName": name, "contentType": "application/octet-stream" }))
        .collect();
    let body = json!({ "environmentId": id, "files": files });
    let reply = api
        .send(Method::POST, "/v1/files/upload-urls", Some(&body))
        .await?;
    let addresses = rows(&reply, "urls");
    let mut uploads = JoinSet::new();
    let mut results = Vec::new();
    for ((name, path), address) in batch.iter().zip(addresses) {
        if uploads.len() >= concurrency.max(1)
            && let Some(ended) = uploads.join_next().await
        {
            results.push(ended?);
        }
        let (name, path) = (name.clone(), path.clone());
        uploads.spawn(async move {
            let result = match std::fs::read(&path) {
                Ok(content) => put(&text(&address, "uploadUrl"), content).await.map(drop),
                Err(error) => Err(format!("cannot read {}: {error}", path.display())),
            };
            (name, result)
        });
    }
    while let Some(ended) = uploads.join_next().await {
        results.push(ended?);
    }
    Ok(results)
}

/// List the files of an environment
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd files alice/my-env --prefix data/")]
pub(crate) struct Files {
    /// Environment: owner/name
    environment: String,

    /// Only paths that begin with this text
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    #[command(flatten)]
    output: OutputFlags,
}

impl Files {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let api = Api::open()?;
        let id = segment(&api.id(&self.environment).await?);
        let (mut files, mut folders, mut next) = (Vec::new(), Vec::new(), String::new());
        loop {
            let mut path = format!("/v1/files/{id}?limit={PAGE}");
            if let Some(prefix) = &self.prefix {
                write!(path, "&prefix={}", segment(prefix)).ok();
            }
            if !next.is_empty() {
                write!(path, "&pageToken={}", segment(&next)).ok();
            }
            let reply = api.get(&path).await?;
            files.extend(rows(&reply, "files"));
            folders.extend(rows(&reply, "folders"));
            next = text(&reply, "nextPageToken");
            if next.is_empty() {
                break;
            }
        }
        let found = json!({ "files": files, "folders": folders });
        self.output.print(&found, || {
            if files.is_empty() && folders.is_empty() {
                return "No files found.\n".to_owned();
            }
            let mut out = String::new();
            for folder in folders.iter().filter_map(Value::as_str) {
                writeln!(out, "  {folder}/").ok();
            }
            for file in &files {
                let size = file.get("size").and_then(Value::as_u64).unwrap_or_default();
                writeln!(out, "  {:<60} {:>10}", text(file, "path"), size_text(size)).ok();
            }
            let (files, folders) = (files.len(), folders.len());
            let (files, folders) = (counted(files, "file"), counted(folders, "folder"));
            writeln!(out, "\n{files}, {folders}").ok();
            out
        })
    }
}

fn size_text(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}

/// Returns a number with its noun.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Delete a file or a folder of an environment
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd delete-file alice/my-env data/old.json
  orwd delete-file alice/my-env data --folder")]
pub(crate) struct DeleteFile {
    /// Environment: owner/name
    environment: String,

    /// Path of the file or folder
    path: String,

    /// Delete a folder with everything in it
    #[arg(long)]
    folder: bool,

    #[command(flatten)]
    output: OutputFlags,
}

impl DeleteFile {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let api = Api::open()?;
        let id = segment(&api.id(&self.environment).await?);
        let folder = if self.folder { "folder/" } else { "" };
        let address = format!("/v1/files/{id}/{folder}{}", segment(&self.path));
        let reply = api.send(Method::DELETE, &address, None).await?;
        self.output.print(&reply, || match self.folder {
            true => {
                let count = reply.get("deletedCount").and_then(Value::as_u64);
                let count = usize::try_from(count.unwrap_or_default()).unwrap_or_default();
                let path = &self.path;
                format!("Deleted folder '{path}' ({})\n", counted(count, "file"))
            }
            false => format!("Deleted '{}'\n", self.path),
        })
    }
}

/// Deploy a component, and wait until it is served
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd deploy env.wasm alice/my-env")]
pub(crate) struct Deploy {
    /// Component file
    #[arg(value_name = "FILE")]
    component: PathBuf,

    /// Environment: owner/name
    environment: String,

    #[command(flatten)]
    output: OutputFlags,
}

impl Deploy {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let content = std::fs::read(&self.component).map_err(|error| {
            CommandError::new(format!("cannot read {}: {error}", self.component.display()))
        })?;
        let api = Api::open()?;
        let found = api.environment(&self.environment).await?;
        let (id, name) = (text(&found, "id"), text(&found, "name"));
        let body = json!({
            "environmentId": id,
            "files": [{
                "fileName": format!(".orwd/deploy/{name}.wasm"),
                "contentType": "application/wasm",
            }],
        });
        let reply = api
            .send(Method::POST, "/v1/files/upload-urls", Some(&body))
            .await?;
        let addresses = rows(&reply, "urls");
        let address = addresses.first().map(|row| text(row, "uploadUrl"));
        let reply = put(&address.unwrap_or_default(), content)
            .await
            .map_err(CommandError::new)?;
        let deployment = text(&reply, "deploymentId");
        let path = format!("/v1/github/deployments/{}/logs", segment(&deployment));
        let deadline = Instant::now() + DEPLOY;
        loop {
            let reply = api.get(&path).await?;
            let status = text(&reply, "status");
            match status.as_str() {
                "deployed" => {
                    let result = json!({ "id": deployment, "status": status });
                    return self.output.print(&result, || {
                        format!("Deployed {} ({deployment})\n", self.environment)
                    });
                }
                "failed" | "cancelled" => {
                    let log = text(&reply, "logs");
                    return Err(CommandError::new(format!(
                        "the deployment {deployment} is {status}\n{}",
                        terminal::escape_control(log.trim_end())
                    )));
                }
                _ if Instant::now() > deadline => {
                    return Err(CommandError::new(format!(
                        "the deployment {deployment} is still {status}"
                    )));
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, expected) in [
            (2, "2 B"),
            (1023, "1023 B"),
            (1024, "1.0 KB"),
            (3_000_000, "2.9 MB"),
            (3_000_000_000, "2861.0 MB"),
        ] {
            assert_eq!(size_text(bytes), expected);
        }
    }
}
