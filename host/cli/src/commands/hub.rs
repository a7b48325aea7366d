//! `orwd hub`: runs a platform on which a team creates, deploys and shares
//! environments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use orwd_config::{HardeningFlags, Listen, LogFlags};
use orwd_hub::{HubConfig, ProxyNetwork, RepositoryHost, run_control, run_supervisor};
use orwd_model::{ByteSize, TimeSpan};

use crate::console::{CommandError, CommandStatus, Log, terminal};

/// Run a platform for a team: create environments, deploy them by git push or
/// upload, store files and rollouts, and play sessions by owner/name
///
/// `orwd` and the `openreward` package manage it with the platform's address in
/// OPENREWARD_URL, OPENREWARD_API_URL and OPENREWARD_SESSION_URL, and an API key
/// in OPENREWARD_API_KEY. Browsers get pages at the same address. Guests run in
/// processes of their own, hardened as with `orwd serve`, which have no access to
/// accounts, repositories and keys.
/// SIGINT (Ctrl-C) or SIGTERM stops the platform; a second signal ends it at
/// once. Sessions resume when it starts again with the same --state.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd hub --state ~/orwd-hub
  orwd hub --state /var/lib/orwd --bootstrap accounts.toml --listen 127.0.0.1:8080
  orwd hub --state /var/lib/orwd --public-url https://orwd.example")]
pub(crate) struct Hub {
    /// Directory of everything that is kept: database, repositories, files,
    /// versions, and the journals of sessions. One platform at a time uses it
    #[arg(long, value_name = "DIR")]
    state: PathBuf,

    /// TOML file of the first users, organisations and API keys. It counts when
    /// there are none yet; without it, a user `admin` is created, whose API key
    /// is in the file admin-key of the state directory, and a link is printed by
    /// which that user signs in to the web page for the first time
    #[arg(long, value_name = "FILE")]
    bootstrap: Option<PathBuf>,

    /// Address and port; port 0 takes a free one. All but reading public
    /// environments needs an API key. For other machines, put a proxy with TLS
    /// before it
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: Listen,

    /// URL under which clients reach the platform, if a proxy is before it; it
    /// must be the root of its host. Without it, addresses are made from the
    /// request's Host
    #[arg(long, value_name = "URL", value_parser = public_url)]
    public_url: Option<String>,

    /// Addresses or networks of proxies, such as 10.0.0.0/8, which tell the address
    /// of the client in X-Forwarded-For or Forwarded. It then counts for shares, for
    /// delays of sign-ins and in the log. What others send there has no effect
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    trusted_proxies: Vec<ProxyNetwork>,

    /// Bytes of the files of one environment; an upload that exceeds them gets
    /// 413
    #[arg(long, value_name = "SIZE", default_value = "10GiB")]
    file_quota: ByteSize,

    /// Bytes of everything that is kept for one user or organisation: files,
    /// repositories, versions, sessions, runs and rollouts. What would exceed
    /// them is refused with `disk quota exceeded`
    #[arg(long, value_name = "SIZE", default_value = "50GiB")]
    owner_quota: ByteSize,

    /// Time in which a deleted environment can be restored, 14 days by default;
    /// then it is removed with its repository, versions and files
    #[arg(long, value_name = "TIME", default_value = "336h")]
    deleted_retention: TimeSpan,

    /// Time between two looks at a repository elsewhere that an environment is linked
    /// to, at least 1s; a webhook makes the platform look at once
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = repository_poll)]
    repository_poll: TimeSpan,

    /// Host of repositories elsewhere that need not have a public address and TLS, such
    /// as git.example or 10.0.0.7:3000; without a port, that of https or http. Without
    /// it, users can link repositories at public addresses by https only, so that nobody
    /// reaches this machine's network through the platform. May be repeated
    #[arg(long, value_name = "HOST")]
    allow_repository_host: Vec<RepositoryHost>,

    /// Build pushed sources that have no component. This runs code of their
    /// authors on this machine with your rights, so allow it only if you trust
    /// everyone who may push
    #[arg(long)]
    allow_native_builds: bool,

    #[command(flatten)]
    hardening: HardeningFlags,
}

impl Hub {
    pub(crate) fn run(self, log: &LogFlags) -> Result<CommandStatus, CommandError> {
        let mut log_arguments = vec!["--log-format".to_owned(), name(log.log_format)];
        if let Some(filter) = &log.log {
            log_arguments.extend(["--log".to_owned(), filter.clone()]);
        }
        let config = HubConfig {
            state: std::path::absolute(self.state)?,
            bootstrap: self.bootstrap.map(std::path::absolute).transpose()?,
            listen: self.listen.0,
            public_url: self.public_url,
            trusted_proxies: self.trusted_proxies,
            file_quota: self.file_quota.get(),
            owner_quota: self.owner_quota.get(),
            deleted_retention: self.deleted_retention.get(),
            repository_poll: self.repository_poll.get(),
            repository_hosts: self.allow_repository_host,
            allow_native_builds: self.allow_native_builds,
            log_arguments,
            host_arguments: vec!["--hardening".to_owned(), name(self.hardening.hardening)],
        };
        run_supervisor(config, |address| {
            terminal::print(address).map_err(|error| std::io::Error::other(error.to_string()))
        })?;
        Ok(CommandStatus::Success)
    }
}

/// Returns the name of a value of a flag.
fn name(value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn repository_poll(text: &str) -> Result<TimeSpan, String> {
    let time = text
        .parse::<TimeSpan>()
        .map_err(|error| format!("{error}"))?;
    match time.get() >= Duration::from_secs(1) {
        true => Ok(time),
        false => Err("it must be at least 1s".to_owned()),
    }
}

fn public_url(text: &str) -> Result<String, String> {
    let bare = text.strip_suffix('/').unwrap_or(text);
    let host = bare
        .strip_prefix("https://")
        .or_else(|| bare.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => {
            Ok(bare.to_owned())
        }
        _ => Err("expected https://HOST or http://HOST:PORT without a path".to_owned()),
    }
}

/// Process of `orwd hub` that has the accounts. Only `orwd hub` starts it.
#[derive(Args, Debug)]
#[command(after_help = "Only `orwd hub` starts this process.")]
pub(crate) struct Control {
    /// Configuration as JSON
    config: String,
}

impl Control {
    pub(crate) fn run(self, log: &mut Log) -> Result<CommandStatus, CommandError> {
        let config: HubConfig = serde_json::from_str(&self.config)?;
        log.start_thread();
        run_control(config)?;
        Ok(CommandStatus::Success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_the_root_of_a_host() {
        assert_eq!(
            public_url("https://a.example/"),
            Ok("https://a.example".to_owned())
        );
        assert_eq!(public_url("http://a:80"), Ok("http://a:80".to_owned()));
        for text in [
            "a.example",
            "https://",
            "https://a/b",
            "https://k@a",
            "ftp://a",
            "https://a?b",
        ] {
            assert!(public_url(text).is_err(), "{text}");
        }
    }
}
