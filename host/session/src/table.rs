//! Which sessions there are.
//!
//! The table maps owners and ids to handles, and its lock is held for a look-up and no
//! longer. An id is reserved before anything slow begins, so that of two
//! creations with one id exactly one goes on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::handle::Handle;
use super::service::{CreateError, Created, Principal};
use orwd_journal::Hash;
use orwd_model::SessionId;

/// The table.
pub(super) struct Table {
    most: usize,
    places: Mutex<HashMap<Key, Place>>,
}

/// What a session is found by: nobody finds another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) owner: Principal,
    pub(super) id: SessionId,
}

impl Key {
    pub(super) fn new(owner: &Principal, id: &SessionId) -> Key {
        Key {
            owner: owner.clone(),
            id: id.clone(),
        }
    }
}

/// What the table holds for a key.
#[derive(Clone)]
pub(super) enum Place {
    /// Somebody is creating it.
    Reserved(Creating),
    Open(Handle),
}

/// A creation that goes on.
#[derive(Clone)]
pub(super) struct Creating {
    /// What its request is known by.
    pub(super) imprint: Hash,
    /// Gone with whoever asked for it.
    pub(super) asker: Weak<()>,
    /// What comes of it.
    pub(super) outcome: watch::Receiver<Option<Result<Created, CreateError>>>,
}

/// Why an id cannot be reserved.
pub(super) enum Taken {
    /// This is there already.
    By(Place),
    /// There is no room for another.
    Full,
}

impl Table {
    /// One for so many sessions that clients open. Those that the journal
    /// brings along have their places anyway.
    pub(super) fn new(most: usize) -> Table {
        Table {
            most,
            places: Mutex::default(),
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Key, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of this key, if it is open.
    pub(super) fn find(&self, key: &Key) -> Option<Handle> {
        match self.places().get(key) {
            Some(Place::Open(handle)) => Some(handle.clone()),
            Some(Place::Reserved(_)) | None => None,
        }
    }

    /// Every open session.
    pub(super) fn handles(&self) -> Vec<(Key, Handle)> {
        let open = |(key, place): (&Key, &Place)| match place {
            Place::Open(handle) => Some((key.clone(), handle.clone())),
            Place::Reserved(_) => None,
        };
        self.places().iter().filter_map(open).collect()
    }

    /// Puts an open session into its place.
    pub(super) fn put(&self, key: Key, handle: Handle) {
        self.places().insert(key, Place::Open(handle));
    }

    /// Takes a session out if it is open and the condition holds.
    pub(super) fn remove_if(
        &self,
        key: &Key,
        condition: impl FnOnce(&Handle) -> bool,
    ) -> Option<Handle> {
        let mut places = self.places();
        let Entry::Occupied(place) = places.entry(key.clone()) else {
            return None;
        };
        let holds = matches!(place.get(), Place::Open(handle) if condition(handle));
        match holds.then(|| place.remove()) {
            Some(Place::Open(handle)) => Some(handle),
            Some(Place::Reserved(_)) | None => None,
        }
    }
}

/// A reserved id; free again when this is dropped, unless a session took it.
pub(super) struct Reservation {
    table: Arc<Table>,
    pub(super) key: Key,
}

impl Reservation {
    /// Reserves the id, or says what is in the way.
    pub(super) fn new(
        table: &Arc<Table>,
        key: Key,
        creating: Creating,
    ) -> Result<Reservation, Taken> {
        let mut places = table.places();
        let full = places.len() >= table.most;
        match places.entry(key.clone()) {
            Entry::Occupied(place) => Err(Taken::By(place.get().clone())),
            Entry::Vacant(_) if full => Err(Taken::Full),
            Entry::Vacant(place) => {
                place.insert(Place::Reserved(creating));
                Ok(Reservation {
                    table: table.clone(),
                    key,
                })
            }
        }
    }

    pub(super) fn fill(self, handle: Handle) {
        self.table.put(self.key.clone(), handle);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut places = self.table.places();
        if let Entry::Occupied(place) = places.entry(self.key.clone())
            && matches!(place.get(), Place::Reserved(_))
        {
            place.remove();
        }
    }
}
