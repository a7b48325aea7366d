//! Finds an episode in a journal by what a person types.

use std::fmt::Write;

use orwd_journal::{EpisodeFilter, EpisodeId, IndexedEpisode, JournalStore, SqliteStore};

use crate::console::CommandError;

/// The most matches that an error lists.
const LISTED: usize = 10;

/// Finds an episode by its id, the newest one of a session by the session's id,
/// or the only one by the beginning of either.
pub(crate) fn find(store: &SqliteStore, which: &str) -> Result<IndexedEpisode, CommandError> {
    let which = which.trim();
    if let Some(id) = EpisodeId::parse(which)
        && let Some(episode) = store.episode(id)?
    {
        return Ok(episode);
    }
    let all = store.list(&EpisodeFilter::default())?;
    let exact = |episode: &&IndexedEpisode| episode.header.session.as_str() == which;
    let prefix = |episode: &&IndexedEpisode| {
        !which.is_empty()
            && (episode.header.session.as_str().starts_with(which)
                || episode.id.to_string().starts_with(which))
    };
    let mut found: Vec<&IndexedEpisode> = all.iter().filter(exact).collect();
    if found.is_empty() {
        found = all.iter().filter(prefix).collect();
    }
    // The newest is first. Earlier episodes of the same session are its past.
    let Some(newest) = found.first().copied() else {
        return Err(CommandError::new(format!(
            "the journal in {} has no session or episode {which:?}; `orwd sessions list --all \
             --state DIR` lists them",
            store.dir().path().display()
        )));
    };
    let same = |episode: &&&IndexedEpisode| {
        episode.header.owner == newest.header.owner
            && episode.header.session == newest.header.session
    };
    if found.iter().all(|episode| same(&episode)) {
        return Ok(newest.clone());
    }
    let mut message = format!(
        "{} sessions match {which:?}; pass more of the id, or the id of the episode:",
        found.len()
    );
    for episode in found.iter().take(LISTED) {
        let owner = episode.header.owner.as_deref();
        let owner = owner.map_or("without a key".to_owned(), |owner| {
            format!("of key {owner}")
        });
        let (session, id) = (episode.header.session.as_str(), episode.id);
        write!(message, "\n  session {session}  episode {id}  {owner}").ok();
    }
    Err(CommandError::new(message))
}
