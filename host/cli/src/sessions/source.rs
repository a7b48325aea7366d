//! Where sessions are: on a server, or in the journal of a state directory.

use std::path::PathBuf;

use clap::Args;
use orwd_journal::SqliteStore;
use orwd_session::StepCursor;

use super::journal::JournalSource;
use super::server::ServerSource;
use super::types::{ListedSession, ShownSession, StepsPage};
use crate::client::api_key::ApiKeyFlags;
use crate::client::http::{HttpError, ServerUrl};
use crate::console::{CommandError, terminal};
use crate::episodes::state_dir;

/// The server on this machine with its default address.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// The most matches that an error lists.
const LISTED: usize = 10;

/// Flags for where the sessions are.
#[derive(Args, Debug)]
pub(super) struct SourceFlags {
    /// URL of the server, running [default: http://127.0.0.1:8080; if no server
    /// is there, the journal of the only state directory]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    #[command(flatten)]
    key: ApiKeyFlags,

    /// State directory of a server, which may be stopped: use its journal
    #[arg(long, value_name = "DIR", env = "ORWD_STATE")]
    state: Option<PathBuf>,

    /// With a state directory: file with the key that sealed the content of
    /// sessions with secrets [default: the key in ORWD_SEAL_KEY, if set]
    #[arg(long, value_name = "FILE", env = "ORWD_SEAL_KEY_FILE")]
    seal_key: Option<PathBuf>,
}

/// Where sessions are.
pub(super) enum Source {
    /// On a running server, which shows those of one API key.
    Server(ServerSource),
    /// In a journal.
    Journal(Box<JournalSource>),
}

impl SourceFlags {
    /// Returns the server or the journal that the flags select. Without flags,
    /// the server with the default address, or else the only journal.
    pub(super) async fn open(&self) -> Result<Source, CommandError> {
        if let Some(url) = &self.url {
            let source = self.server(url)?;
            return match source.check().await {
                Ok(()) => Ok(Source::Server(source)),
                Err(error) => Err(CommandError::new(format!(
                    "{error}; to read the journal of a stopped server, pass its state directory \
                     with --state DIR"
                ))),
            };
        }
        if let Some(state) = &self.state {
            return self.journal(state.clone());
        }
        let source = self.server(DEFAULT_URL)?;
        match source.check().await {
            Ok(()) => Ok(Source::Server(source)),
            Err(error @ HttpError::Connect(..)) => {
                let state = state_dir::find(None).map_err(|none| {
                    CommandError::new(format!(
                        "{error}; pass the URL of a running server with --url URL\n{none}"
                    ))
                })?;
                terminal::note(&format!(
                    "no server runs at {DEFAULT_URL}; reading the journal in {}",
                    state.display()
                ));
                self.journal(state)
            }
            Err(error) => Err(CommandError::new(format!(
                "{error}; pass the URL of an orwd server with --url URL"
            ))),
        }
    }

    fn server(&self, url: &str) -> Result<ServerSource, CommandError> {
        let server =
            ServerUrl::parse(url).map_err(|error| CommandError::usage(error.to_string()))?;
        Ok(ServerSource::new(url, server.with_key(self.key.read()?)))
    }

    fn journal(&self, state: PathBuf) -> Result<Source, CommandError> {
        let store = SqliteStore::visit(&state)?;
        let key = crate::bootstrap::persistence::seal_key(self.seal_key.as_deref())?;
        Ok(Source::Journal(Box::new(JournalSource::new(
            state, store, key,
        ))))
    }
}

impl Source {
    /// Lists sessions, the oldest first: the open ones, and the ended ones if
    /// `ended`.
    pub(super) async fn list(&self, ended: bool) -> Result<Vec<ListedSession>, CommandError> {
        let mut sessions = match self {
            Source::Server(server) => server.list(ended).await?,
            Source::Journal(journal) => journal.list(ended)?,
        };
        sessions.sort_by(|a, b| (a.created_ms, &a.episode).cmp(&(b.created_ms, &b.episode)));
        Ok(sessions)
    }

    /// Finds a session by its id, its episode, or the only one by the beginning of
    /// either.
    pub(super) async fn find(&self, which: &str) -> Result<ListedSession, CommandError> {
        let which = which.trim();
        let mut all = self.list(false).await?;
        let mut found = matching(&all, which)?;
        if found.is_none() {
            all = self.list(true).await?;
            found = matching(&all, which)?;
        }
        found.ok_or_else(|| {
            CommandError::new(format!(
                "there is no session {which:?} {}; `orwd sessions list --all` lists the sessions",
                self.place()
            ))
        })
    }

    /// Returns a session without its steps: as JSON for programs, and typed.
    pub(super) async fn session(
        &self,
        session: &ListedSession,
    ) -> Result<(serde_json::Map<String, serde_json::Value>, ShownSession), CommandError> {
        let mut json = match self {
            Source::Server(server) => server.session(session).await?,
            Source::Journal(journal) => journal.session(session)?,
        };
        json.remove("steps");
        let shown = serde_json::from_value(serde_json::Value::Object(json.clone()))?;
        Ok((json, shown))
    }

    /// Returns the steps of a session from this place on.
    pub(super) async fn steps(
        &self,
        session: &ListedSession,
        from: StepCursor,
    ) -> Result<StepsPage, CommandError> {
        match self {
            Source::Server(server) => server.steps(session, from).await,
            Source::Journal(journal) => journal.steps(session, from),
        }
    }

    /// Ends an open session.
    pub(super) async fn end(&self, session: &ListedSession) -> Result<(), CommandError> {
        match self {
            Source::Server(server) => server.end(session).await,
            Source::Journal(journal) => journal.end(session),
        }
    }

    /// Forks an open session, and returns the ids of its children.
    pub(super) async fn fork(
        &self,
        session: &ListedSession,
        at: Option<u64>,
        count: u32,
    ) -> Result<Vec<String>, CommandError> {
        match self {
            Source::Server(server) => server.fork(session, at, count).await,
            Source::Journal(_) => Err(CommandError::usage(
                "only a running server can fork a session; start it with `orwd serve`, and pass \
                 its URL with --url URL",
            )),
        }
    }

    fn place(&self) -> String {
        match self {
            Source::Server(server) => format!("on {} for this API key", server.url()),
            Source::Journal(journal) => format!("in {}", journal.path().display()),
        }
    }
}

/// Returns the session that is meant: an exact match before the only one that
/// begins so. Of several lives of one session the last.
fn matching(all: &[ListedSession], which: &str) -> Result<Option<ListedSession>, CommandError> {
    let exact = |listed: &&ListedSession| listed.session == which || listed.episode == which;
    let prefix = |listed: &&ListedSession| {
        !which.is_empty()
            && (listed.session.starts_with(which) || listed.episode.starts_with(which))
    };
    let mut found: Vec<&ListedSession> = all.iter().filter(exact).collect();
    if found.is_empty() {
        found = all.iter().filter(prefix).collect();
    }
    let Some(newest) = found.last().copied() else {
        return Ok(None);
    };
    let same =
        |listed: &&ListedSession| listed.session == newest.session && listed.key == newest.key;
    if found.iter().all(same) {
        return Ok(Some(newest.clone()));
    }
    let mut message = format!(
        "{} sessions match {which:?}; pass more of the id, or the id of the episode:",
        found.len()
    );
    for listed in found.iter().rev().take(LISTED) {
        let ListedSession {
            session,
            episode,
            environment,
            state,
            ..
        } = listed;
        message.push_str(&format!(
            "\n  session {session}  episode {episode}  {environment}  {state}"
        ));
        if let Some(key) = &listed.key {
            message.push_str(&format!("  key {key}"));
        }
    }
    if found.len() > LISTED {
        message.push_str(&format!("\n  and {} more", found.len() - LISTED));
    }
    Err(CommandError::new(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(session: &str, episode: &str, key: Option<&str>) -> ListedSession {
        ListedSession {
            session: session.to_owned(),
            episode: episode.to_owned(),
            environment: "counter".to_owned(),
            state: "ready".to_owned(),
            created_ms: 0,
            ended_ms: None,
            imported_records: None,
            key: key.map(str::to_owned),
        }
    }

    #[test]
    fn an_id_or_its_unique_beginning_finds_a_session() {
        let all = [
            listed("abc-1", "01", None),
            listed("abc-2", "02", None),
            listed("abc", "03", None),
            listed("twice", "04", None),
            listed("twice", "05", None),
            listed("shared", "06", Some("alice")),
            listed("shared", "07", Some("bob")),
        ];
        let find = |which: &str| match matching(&all, which) {
            Ok(found) => found.map_or("none".to_owned(), |found| found.episode),
            Err(error) => error.to_string(),
        };
        assert_eq!(find("abc"), "03", "an exact id wins");
        assert_eq!(find("abc-2"), "02");
        assert_eq!(find("tw"), "05", "the last life of a session");
        assert_eq!(find("04"), "04", "an episode");
        assert_eq!(find("nosuch"), "none");
        assert_eq!(find(""), "none");
        for ambiguous in ["abc-", "shared"] {
            let error = find(ambiguous);
            assert!(error.starts_with("2 sessions match"), "{error}");
        }
        assert!(find("shared").contains("key alice"));
    }
}
