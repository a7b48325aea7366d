//! The operator's limits on disk space, and what exceeds them.

use crate::store::DiskSpace;

const MIB: u64 = 1 << 20;

/// The name of the value by which a store knows the limits of its last server.
pub(crate) const STORED_LIMITS: &str = "disk limits";

/// The share of the file system that an API key may take, unless set.
const DEFAULT_SHARE: u64 = 4;

/// The default reserve: this share of the file system, within these bounds, and
/// at most a quarter.
const RESERVE_SHARE: u64 = 20;
const MIN_RESERVE: u64 = 32 * MIB;
const MAX_RESERVE: u64 = 256 * MIB;

/// The operator's limits; `None` is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskLimits {
    /// Bytes of each owner. By default a quarter of the file system for an API
    /// key, and no limit for clients without keys.
    pub per_owner: Option<u64>,
    /// Bytes of free space that are kept.
    pub reserve: Option<u64>,
}

/// Why a session or a request is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskRefusal {
    /// The owner takes its quota.
    #[error(
        "disk quota exceeded: the sessions of this key take {} MiB on the server's disk, and {} \
         MiB are allowed; delete sessions that are open, or have the operator raise \
         --max-disk-per-key", used / MIB, quota / MIB
    )]
    Quota {
        /// Bytes that it takes.
        used: u64,
        /// Bytes that it may take.
        quota: u64,
    },
    /// Free space has reached the reserve, and the owner takes much.
    #[error(
        "disk quota exceeded: the server's disk is almost full, and the sessions of this client \
         take {} MiB of it; delete sessions that are open, or have the operator free disk space",
        used / MIB
    )]
    Share {
        /// Bytes that it takes.
        used: u64,
    },
    /// There is no space, for which others are the cause.
    #[error("the server's disk is full")]
    NoSpace,
}

impl DiskRefusal {
    /// Whether the owner itself takes the space.
    pub fn is_owners_fault(&self) -> bool {
        !matches!(self, DiskRefusal::NoSpace)
    }
}

impl DiskLimits {
    /// Returns the quota of an owner.
    pub(crate) fn quota(&self, owner: Option<&str>, space: &DiskSpace) -> u64 {
        match (self.per_owner, owner) {
            (Some(quota), _) => quota,
            (None, Some(_)) => space.total / DEFAULT_SHARE,
            (None, None) => u64::MAX,
        }
    }

    /// Returns the free space that is kept.
    pub(crate) fn reserve(&self, space: &DiskSpace) -> u64 {
        self.reserve.unwrap_or_else(|| {
            let share = (space.total / RESERVE_SHARE).clamp(MIN_RESERVE, MAX_RESERVE);
            share.min(space.total / 4)
        })
    }

    /// Returns the limits as text, for a process that writes beside the server.
    pub(crate) fn to_text(self) -> String {
        let amount = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| bytes.to_string());
        format!("{} {}", amount(self.per_owner), amount(self.reserve))
    }

    /// Reads [`DiskLimits::to_text`]; the defaults for anything else.
    pub(crate) fn from_text(text: &str) -> DiskLimits {
        let mut amounts = text.split(' ').map(|amount| amount.parse().ok());
        DiskLimits {
            per_owner: amounts.next().flatten(),
            reserve: amounts.next().flatten(),
        }
    }
}
