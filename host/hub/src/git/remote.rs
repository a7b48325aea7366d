//! Reading repositories elsewhere, over HTTP.
//!
//! Their addresses come from users and what they send from strangers. So git speaks
//! one protocol, connects to addresses that were checked, follows no redirect, uses
//! no proxy, no credentials and no configuration, and is bounded in time, memory and
//! bytes.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::command::limited_git;
use super::repository::{Head, create_blocking};
use crate::deploy::program::{Printed, finish};
use crate::layout::Layout;

/// The reference that has the head of a repository elsewhere.
const HEAD: &str = "refs/orwd/elsewhere";

/// The time to read the head of a repository.
const LOOK: Duration = Duration::from_secs(60);

/// The time to fetch what is new in a repository.
const FETCH: Duration = Duration::from_secs(900);

/// Bytes that a look at a repository may write.
const SPACE_OF_LOOK: u64 = 1 << 20;

/// The first version of git with the setting `http.curloptResolve`.
const MIN_VERSION: (u32, u32) = (2, 37);

/// A repository elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct RemoteRepository {
    /// The address, which was checked.
    pub(crate) url: String,
    /// The only protocol that git speaks.
    pub(crate) protocol: &'static str,
    /// The setting `http.curloptResolve`, for a host that is a name.
    pub(crate) resolved: Option<String>,
}

impl RemoteRepository {
    /// Returns the default branch and its head. Blocks.
    pub(crate) fn head(&self, layout: &Layout) -> Result<Head, String> {
        check_version(layout)?;
        let mut command = self.command(layout, SPACE_OF_LOOK);
        command.args(["ls-remote", "--quiet", "--symref", "--", &self.url, "HEAD"]);
        parse_head(&run(command, LOOK)?)
    }

    /// Fetches the head of a branch into the repository of an environment, which then
    /// has `left` bytes more at most, and returns its commit. Blocks.
    pub(crate) fn fetch(
        &self,
        layout: &Layout,
        environment: &str,
        branch: &str,
        left: u64,
    ) -> Result<String, String> {
        create_blocking(layout, environment)?;
        let repository = layout.repository(environment);
        let mut command = self.command(layout, left);
        command.arg("--git-dir").arg(&repository).args([
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--no-write-fetch-head",
            "--",
            &self.url,
            &format!("+refs/heads/{branch}:{HEAD}"),
        ]);
        run(command, FETCH)?;
        let mut command = limited_git(layout, left);
        command.arg("--git-dir").arg(&repository);
        command.args(["rev-parse", "--verify", HEAD]);
        Ok(run(command, LOOK)?.trim().to_owned())
    }

    fn command(&self, layout: &Layout, left: u64) -> Command {
        let mut command = limited_git(layout, left);
        let mut settings = vec![
            format!("protocol.{}.allow=always", self.protocol),
            "http.followRedirects=false".to_owned(),
            "http.proxy=".to_owned(),
            "http.lowSpeedLimit=1".to_owned(),
            "http.lowSpeedTime=30".to_owned(),
            "fetch.unpackLimit=1".to_owned(),
            "transfer.bundleURI=false".to_owned(),
        ];
        if let Some(entry) = &self.resolved {
            settings.push(format!("http.curloptResolve={entry}"));
        }
        for setting in settings {
            command.args(["-c", &setting]);
        }
        command
    }
}

/// Runs a command for a time, and returns its standard output.
fn run(mut command: Command, time: Duration) -> Result<String, String> {
    let child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start git: {error}"))?;
    let printed = finish(child, time).map_err(|reason| format!("the repository: {reason}"))?;
    match printed.is_success {
        true => Ok(printed.stdout),
        false => Err(reason(&printed)),
    }
}

/// Returns why git failed, in a line for the user.
fn reason(printed: &Printed) -> String {
    let text = &printed.stderr;
    if text.contains("could not read Username") || text.contains("Authentication failed") {
        return "the repository does not exist, or is private: the platform reads public ones only"
            .to_owned();
    }
    // A pack that is too large ends the program that reads it.
    let is_cut = text.contains("index-pack");
    let is_reason = |line: &&str| line.starts_with("fatal: ") || line.starts_with("error: ");
    match text.lines().find(is_reason) {
        Some(line) if !is_cut => line
            .split_once(": ")
            .map_or(line, |(_, rest)| rest)
            .to_owned(),
        _ => "git ended early; the repository may be larger than what its owner may still keep"
            .to_owned(),
    }
}

/// Reads the output of `git ls-remote --symref`.
fn parse_head(text: &str) -> Result<Head, String> {
    let find = |prefix: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_suffix("\tHEAD"));
        lines.find_map(|line| line.strip_prefix(prefix).map(str::to_owned))
    };
    let commit = text
        .lines()
        .filter_map(|line| line.strip_suffix("\tHEAD"))
        .find(|id| id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let (Some(branch), Some(commit)) = (find("ref: refs/heads/"), commit) else {
        return Err("the default branch of the repository has no commit".to_owned());
    };
    let is_plain = |byte: u8| byte > b' ' && byte != 0x7f && !b"*:?[\\^~".contains(&byte);
    if branch.len() > 255 || !branch.bytes().all(is_plain) || branch.contains("..") {
        return Err("the name of the default branch is not valid".to_owned());
    }
    Ok(Head {
        branch,
        commit: commit.to_owned(),
    })
}

/// Checks that git knows the setting that keeps it from resolving names.
fn check_version(layout: &Layout) -> Result<(), String> {
    let mut command = limited_git(layout, SPACE_OF_LOOK);
    command.arg("version");
    let text = run(command, LOOK)?;
    match version(&text) {
        Some(found) if found >= MIN_VERSION => Ok(()),
        _ => Err("the platform needs git 2.37 or newer to read repositories elsewhere".to_owned()),
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn the_head_of_a_repository_is_read() {
        let text = format!("ref: refs/heads/a/main\tHEAD\n{ID}\tHEAD\n");
        let head = parse_head(&text).unwrap();
        assert_eq!((&*head.branch, &*head.commit), ("a/main", ID));
        for text in [
            String::new(),
            format!("{ID}\tHEAD\n"),
            "ref: refs/heads/main\tHEAD\n".to_owned(),
            format!("ref: refs/heads/a:refs/heads/main\tHEAD\n{ID}\tHEAD\n"),
            format!("ref: refs/heads/*\tHEAD\n{ID}\tHEAD\n"),
            "ref: refs/heads/main\tHEAD\n--output=x\tHEAD\n".to_owned(),
        ] {
            assert!(parse_head(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_old_git_is_recognised() {
        assert_eq!(version("git version 2.47.3\n"), Some((2, 47)));
        assert!(version("git version 2.36.1\n") < Some(MIN_VERSION));
        assert_eq!(version("other 2.47"), None);
    }

    #[test]
    fn a_failure_is_one_line() {
        let reason = |stderr: &str| {
            reason(&Printed {
                is_success: false,
                stdout: String::new(),
                stderr: stderr.to_owned(),
            })
        };
        let text = "remote: nothing\nfatal: unable to access 'https://a/': no\nmore\n";
        assert_eq!(reason(text), "unable to access 'https://a/': no");
        assert!(reason("fatal: could not read Username for 'https://a'").contains("private"));
        assert!(reason("").contains("larger"));
        assert!(reason("fatal: fetch-pack: invalid index-pack output").contains("larger"));
    }
}
