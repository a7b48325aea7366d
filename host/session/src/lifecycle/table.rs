//! The sessions by owner and id.
//!
//! The lock of the table is held for single operations only. An id is reserved
//! before anything slow begins, so that of two creations with one id exactly
//! one proceeds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use orwd_engine::leaves_a_share;
use orwd_journal::Hash;
use orwd_model::SessionId;
use tokio::sync::watch;

use crate::api::create::CreatedSession;
use crate::api::error::CreateError;
use crate::api::principal::Principal;
use crate::handle::session_handle::SessionHandle;
use crate::lifecycle::owner_index::{ListPlace, OwnerIndex};

/// The table of sessions.
pub(crate) struct SessionTable {
    max_entries: usize,
    entries: Mutex<Entries>,
}

/// The entries, and those of each owner.
#[derive(Default)]
struct Entries {
    by_key: HashMap<SessionKey, TableEntry>,
    by_owner: OwnerIndex<SessionHandle>,
}

impl Entries {
    fn insert(&mut self, key: SessionKey, entry: TableEntry) {
        let owner = key.owner.clone();
        let open = match &entry {
            TableEntry::Open(handle) => Some(handle.clone()),
            TableEntry::Reserved(_) => None,
        };
        if self.by_key.insert(key, entry).is_none() {
            self.by_owner.add(&owner);
        }
        if let Some(handle) = open {
            let place = ListPlace::of(&handle.shared.identity);
            self.by_owner.open(&owner, place, handle);
        }
    }

    fn remove(&mut self, key: &SessionKey) -> Option<TableEntry> {
        let removed = self.by_key.remove(key)?;
        let place = match &removed {
            TableEntry::Open(handle) => Some(ListPlace::of(&handle.shared.identity)),
            TableEntry::Reserved(_) => None,
        };
        self.by_owner.remove(&key.owner, place.as_ref());
        Some(removed)
    }
}

/// What a session is found by; nobody finds the session of another owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    pub(crate) owner: Principal,
    pub(crate) id: SessionId,
}

impl SessionKey {
    pub(crate) fn new(owner: &Principal, id: &SessionId) -> SessionKey {
        SessionKey {
            owner: owner.clone(),
            id: id.clone(),
        }
    }
}

/// The entry of a key.
#[derive(Clone)]
pub(crate) enum TableEntry {
    /// The session is being created.
    Reserved(PendingCreation),
    Open(SessionHandle),
}

/// A creation in progress.
#[derive(Clone)]
pub(crate) struct PendingCreation {
    /// The fingerprint of its request.
    pub(crate) fingerprint: Hash,
    /// Dropped with the connection of the client.
    pub(crate) client: Weak<()>,
    /// Its result.
    pub(crate) result: watch::Receiver<Option<Result<CreatedSession, CreateError>>>,
}

/// Why an id cannot be reserved.
pub(crate) enum ReserveError {
    /// The id has this entry.
    Taken(TableEntry),
    /// The table is full, or this owner has its share of it.
    Full,
}

impl SessionTable {
    /// Creates a table for this many sessions that clients create. Sessions
    /// from the journal are added in any case.
    pub(crate) fn new(max_entries: usize) -> SessionTable {
        SessionTable {
            max_entries,
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the open session of this key.
    pub(crate) fn find(&self, key: &SessionKey) -> Option<SessionHandle> {
        match self.entries().by_key.get(key) {
            Some(TableEntry::Open(handle)) => Some(handle.clone()),
            Some(TableEntry::Reserved(_)) | None => None,
        }
    }

    /// Returns all open sessions.
    pub(crate) fn handles(&self) -> Vec<(SessionKey, SessionHandle)> {
        let open = |(key, entry): (&SessionKey, &TableEntry)| match entry {
            TableEntry::Open(handle) => Some((key.clone(), handle.clone())),
            TableEntry::Reserved(_) => None,
        };
        self.entries().by_key.iter().filter_map(open).collect()
    }

    /// Returns up to `limit` open sessions of an owner, after a place in the list.
    pub(crate) fn page(
        &self,
        owner: &Principal,
        after: Option<&ListPlace>,
        limit: usize,
    ) -> Vec<(ListPlace, SessionHandle)> {
        self.entries().by_owner.page(owner, after, limit)
    }

    /// Looks at all open sessions, while the table is locked.
    pub(crate) fn visit(&self, mut look: impl FnMut(&SessionHandle)) {
        for entry in self.entries().by_key.values() {
            if let TableEntry::Open(handle) = entry {
                look(handle);
            }
        }
    }

    /// Adds an open session.
    pub(crate) fn insert(&self, key: SessionKey, handle: SessionHandle) {
        self.entries().insert(key, TableEntry::Open(handle));
    }

    /// Removes an open session.
    pub(crate) fn remove(&self, key: &SessionKey) -> Option<SessionHandle> {
        self.remove_if(key, |_| true)
    }

    /// Removes a session if it is open and the condition holds.
    pub(crate) fn remove_if(
        &self,
        key: &SessionKey,
        condition: impl FnOnce(&SessionHandle) -> bool,
    ) -> Option<SessionHandle> {
        let mut entries = self.entries();
        let found = entries.by_key.get(key);
        if !matches!(found, Some(TableEntry::Open(handle)) if condition(handle)) {
            return None;
        }
        match entries.remove(key) {
            Some(TableEntry::Open(handle)) => Some(handle),
            Some(TableEntry::Reserved(_)) | None => None,
        }
    }
}

/// A reserved id; released on drop, unless it was filled.
pub(crate) struct Reservation {
    table: Arc<SessionTable>,
    pub(crate) key: SessionKey,
}

impl Reservation {
    /// Reserves an id.
    pub(crate) fn new(
        table: &Arc<SessionTable>,
        key: SessionKey,
        creation: PendingCreation,
    ) -> Result<Reservation, ReserveError> {
        let mut entries = table.entries();
        if let Some(entry) = entries.by_key.get(&key) {
            return Err(ReserveError::Taken(entry.clone()));
        }
        let free = table.max_entries.saturating_sub(entries.by_key.len());
        let held = entries.by_owner.count(&key.owner);
        let shared = key.owner != Principal::Anyone;
        if free == 0 || shared && !leaves_a_share(held, free) {
            return Err(ReserveError::Full);
        }
        entries.insert(key.clone(), TableEntry::Reserved(creation));
        Ok(Reservation {
            table: table.clone(),
            key,
        })
    }

    /// Replaces the reservation by an open session.
    pub(crate) fn fill(self, handle: SessionHandle) {
        self.table.insert(self.key.clone(), handle);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut entries = self.table.entries();
        if matches!(entries.by_key.get(&self.key), Some(TableEntry::Reserved(_))) {
            entries.remove(&self.key);
        }
    }
}
