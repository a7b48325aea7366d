//! The sessions of each owner, in the order in which they are listed.
//!
//! A list of one owner's sessions costs as much as it is long, however many the
//! others have.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;

use crate::actor::state::SessionIdentity;
use crate::api::principal::Principal;

/// The place of a session in lists: the time of its creation, then its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListPlace {
    created_ms: u64,
    id: String,
}

impl ListPlace {
    pub(crate) fn of(identity: &SessionIdentity) -> ListPlace {
        ListPlace {
            created_ms: identity.created.as_millis(),
            id: identity.id.as_str().to_owned(),
        }
    }

    /// Parses what [`Display`](fmt::Display) writes.
    pub(crate) fn parse(text: &str) -> Option<ListPlace> {
        let (created_ms, id) = text.split_once('.')?;
        Some(ListPlace {
            created_ms: created_ms.parse().ok()?,
            id: id.to_owned(),
        })
    }
}

impl fmt::Display for ListPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created_ms, self.id)
    }
}

/// How many sessions each owner has, and those that are open.
#[derive(Debug)]
pub(crate) struct OwnerIndex<S>(HashMap<Principal, OwnerSessions<S>>);

#[derive(Debug)]
struct OwnerSessions<S> {
    /// Open or being created.
    count: usize,
    open: BTreeMap<ListPlace, S>,
}

impl<S> Default for OwnerIndex<S> {
    fn default() -> Self {
        OwnerIndex(HashMap::new())
    }
}

impl<S: Clone> OwnerIndex<S> {
    /// Counts a new session of this owner.
    pub(crate) fn add(&mut self, owner: &Principal) {
        match self.0.get_mut(owner) {
            Some(sessions) => sessions.count += 1,
            None => {
                let sessions = OwnerSessions {
                    count: 1,
                    open: BTreeMap::new(),
                };
                self.0.insert(owner.clone(), sessions);
            }
        }
    }

    /// Lists a session that is counted.
    pub(crate) fn open(&mut self, owner: &Principal, place: ListPlace, session: S) {
        if let Some(sessions) = self.0.get_mut(owner) {
            sessions.open.insert(place, session);
        }
    }

    /// Removes a session, and its place in the list if it was open.
    pub(crate) fn remove(&mut self, owner: &Principal, place: Option<&ListPlace>) {
        if let Entry::Occupied(mut entry) = self.0.entry(owner.clone()) {
            let sessions = entry.get_mut();
            sessions.count = sessions.count.saturating_sub(1);
            if let Some(place) = place {
                sessions.open.remove(place);
            }
            if sessions.count == 0 {
                entry.remove();
            }
        }
    }

    /// Returns how many sessions of this owner are open or being created.
    pub(crate) fn count(&self, owner: &Principal) -> usize {
        self.0.get(owner).map_or(0, |sessions| sessions.count)
    }

    /// Returns up to `limit` open sessions of this owner after a place in the list.
    pub(crate) fn page(
        &self,
        owner: &Principal,
        after: Option<&ListPlace>,
        limit: usize,
    ) -> Vec<(ListPlace, S)> {
        let Some(sessions) = self.0.get(owner) else {
            return Vec::new();
        };
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = sessions.open.range((after, Bound::Unbounded)).take(limit);
        page.map(|(place, session)| (place.clone(), session.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> ListPlace {
        ListPlace::parse(text).unwrap()
    }

    #[test]
    fn an_owner_sees_its_own_sessions_in_pages() {
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::of(Some(name)));
        let mut index = OwnerIndex::default();
        let places = ["7.b", "70.a", "7.a", "8.x.y"].map(place);
        for (at, place) in places.iter().enumerate() {
            index.add(&alice);
            index.open(&alice, place.clone(), at);
            for _ in 0..100 {
                index.add(&bob);
            }
            index.open(&bob, place.clone(), at);
        }
        let page = |after: Option<&str>, limit| -> Vec<usize> {
            let after = after.map(place);
            let page = index.page(&alice, after.as_ref(), limit);
            page.into_iter().map(|(_, session)| session).collect()
        };
        assert_eq!(page(None, 9), [2, 0, 3, 1]);
        assert_eq!(page(None, 2), [2, 0]);
        assert_eq!(page(Some("7.b"), 2), [3, 1]);
        assert!(page(Some("70.a"), 2).is_empty());
        assert_eq!((index.count(&alice), index.count(&bob)), (4, 400));
        assert_eq!(place("8.x.y").to_string(), "8.x.y");
        for place in &places {
            index.remove(&alice, Some(place));
        }
        assert_eq!((index.count(&alice), index.0.len()), (0, 1));
        assert!(index.page(&alice, None, 9).is_empty());
    }
}
