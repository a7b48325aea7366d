//! Lists of tasks: collected one at a time for each environment, and shared.
//!
//! A list may be large and slow to collect, so requests for lists of one
//! environment queue, fairly by owner. A list is kept for some seconds, and all
//! requests for it in that time get the same bytes. It is charged to the owner of
//! the first of them; what is being sent is charged to its readers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orwd_catalog::{Environment, ListingError, ListingLimits, TaskList};
use orwd_engine::Owner;
use orwd_limiter::{ByteBudget, FairPermit, FairQueue};
use orwd_model::{Digest, EnvName};

use crate::api::error::CatalogError;
use crate::api::principal::Principal;

/// How long a list is kept for further requests.
const KEEP: Duration = Duration::from_secs(10);

/// How long a request waits for its turn.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The most requests that wait for lists of one environment.
const MAX_WAITING: usize = 1024;

/// The most environments whose tasks are collected at once, half of them for one
/// owner. Each holds one page of a guest in addition to its list.
const MAX_COLLECTING: usize = 4;

/// The lists of tasks of a server.
pub(crate) struct Listings {
    limits: ListingLimits,
    memory: Arc<ByteBudget<Owner>>,
    turns: Mutex<HashMap<EnvName, Arc<FairQueue<Principal>>>>,
    collecting: Arc<FairQueue<Principal>>,
    recent: Mutex<HashMap<ListKey, RecentList>>,
}

/// What a list is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ListKey {
    environment: EnvName,
    component: Digest,
    split: String,
    range: (u64, u64),
}

struct RecentList {
    /// On whose behalf it was collected.
    owner: Principal,
    list: TaskList,
    expires: Instant,
}

impl Listings {
    /// Returns the bytes of the lists in memory.
    pub(crate) fn used(&self) -> usize {
        self.memory.used()
    }

    /// Creates lists within these limits, which together take `memory` bytes, half
    /// of them for one owner.
    pub(crate) fn new(limits: ListingLimits, memory: usize) -> Listings {
        Listings {
            limits,
            memory: ByteBudget::new(memory, memory / 2),
            turns: Mutex::default(),
            collecting: FairQueue::new(MAX_COLLECTING, MAX_COLLECTING / 2, MAX_WAITING),
            recent: Mutex::default(),
        }
    }

    /// Returns the tasks of a range.
    pub(crate) async fn list(
        &self,
        env: &Environment,
        owner: &Principal,
        split: &str,
        range: (u64, u64),
    ) -> Result<TaskList, CatalogError> {
        self.limits.check_count(range.0, range.1)?;
        let key = ListKey {
            environment: env.name().clone(),
            component: env.component().digest(),
            split: split.to_owned(),
            range,
        };
        if let Some(list) = self.find(&key) {
            return Ok(list);
        }
        let turns = self.turns_of(env.name());
        let _turn = turn(&turns, owner).await?;
        // The request before this one may have been for the same.
        if let Some(list) = self.find(&key) {
            return Ok(list);
        }
        let _collecting = turn(&self.collecting, owner).await?;
        let mut collected = self.collect(env, owner, &key).await;
        // The owner's own lists make room first.
        for of_owner in [true, false] {
            if !matches!(collected, Err(ListingError::NoMemory)) {
                break;
            }
            let is_kept = |recent: &RecentList| of_owner && recent.owner != *owner;
            self.recent().retain(|_, recent| is_kept(recent));
            collected = self.collect(env, owner, &key).await;
        }
        let list = collected?;
        let kept = RecentList {
            owner: owner.clone(),
            list: list.clone(),
            expires: Instant::now() + KEEP,
        };
        self.recent().insert(key, kept);
        Ok(list)
    }

    /// Drops lists that are not kept any more.
    pub(crate) fn expire(&self, now: Instant) {
        self.recent().retain(|_, recent| recent.expires > now);
    }

    async fn collect(
        &self,
        env: &Environment,
        owner: &Principal,
        key: &ListKey,
    ) -> Result<TaskList, ListingError> {
        let owner = owner.cpu_owner();
        let memory = self.memory.try_take(&owner, 0);
        let memory = memory.map_err(|_| ListingError::NoMemory)?;
        env.list(&owner, &key.split, key.range, &self.limits, memory)
            .await
    }

    fn find(&self, key: &ListKey) -> Option<TaskList> {
        let recent = self.recent();
        let found = recent.get(key)?;
        (found.expires > Instant::now()).then(|| found.list.clone())
    }

    /// Returns the queue of an environment's lists.
    fn turns_of(&self, env: &EnvName) -> Arc<FairQueue<Principal>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = turns.entry(env.clone());
        queue
            .or_insert_with(|| FairQueue::new(1, 1, MAX_WAITING))
            .clone()
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<ListKey, RecentList>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for an owner's turn.
async fn turn(
    queue: &Arc<FairQueue<Principal>>,
    owner: &Principal,
) -> Result<FairPermit<Principal>, CatalogError> {
    let turn = tokio::time::timeout(MAX_WAIT, queue.acquire(owner, 1)).await;
    turn.map_err(|_| busy())?.map_err(|_| busy())
}

fn busy() -> CatalogError {
    CatalogError::Busy("too many lists of tasks are being collected; try again".to_owned())
}

impl From<ListingError> for CatalogError {
    fn from(error: ListingError) -> CatalogError {
        match error {
            ListingError::Lookup(error) => error.into(),
            ListingError::TooManyTasks { .. } | ListingError::TooLarge { .. } => {
                CatalogError::ListingLimit(error.to_string())
            }
            ListingError::TooSlow { .. } => CatalogError::ListingTooSlow(error.to_string()),
            ListingError::NoMemory => CatalogError::Busy(error.to_string()),
        }
    }
}
