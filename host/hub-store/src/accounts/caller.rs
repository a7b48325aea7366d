//! Who sends a request, and what they may do.

use std::sync::Arc;

/// What a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceKind {
    /// A person.
    User,
    /// An organisation.
    Organisation,
}

impl NamespaceKind {
    /// Returns the name on the wire and in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            NamespaceKind::User => "user",
            NamespaceKind::Organisation => "org",
        }
    }

    pub(super) fn of(text: &str) -> NamespaceKind {
        if text == "org" {
            NamespaceKind::Organisation
        } else {
            NamespaceKind::User
        }
    }
}

/// What a member of an organisation may do with its environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See them.
    Reader,
    /// See and change them.
    Maintainer,
    /// See and change them, and manage the members.
    Owner,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Maintainer => "maintainer",
            Role::Owner => "owner",
        }
    }

    /// Returns the role of a row; an unknown one may only read.
    pub(super) fn of(text: &str) -> Role {
        match text {
            "owner" => Role::Owner,
            "maintainer" => Role::Maintainer,
            _ => Role::Reader,
        }
    }
}

/// The holder of a valid API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of the namespace, which owns sessions, runs and environments.
    pub name: Arc<str>,
    /// The id of the namespace.
    pub id: Arc<str>,
    /// What the namespace is.
    pub kind: NamespaceKind,
    /// The organisations of which a user is a member.
    pub memberships: Arc<[(String, Role)]>,
}

impl Caller {
    /// Returns whether the caller sees the private environments of a namespace.
    pub fn may_read(&self, owner: &str) -> bool {
        self.role_in(owner).is_some()
    }

    /// Returns whether the caller may change the environments of a namespace.
    pub fn may_change(&self, owner: &str) -> bool {
        self.role_in(owner) >= Some(Role::Maintainer)
    }

    fn role_in(&self, owner: &str) -> Option<Role> {
        if *self.name == *owner {
            return Some(Role::Owner);
        }
        let mut memberships = self.memberships.iter();
        memberships
            .find(|(organisation, _)| organisation == owner)
            .map(|(_, role)| *role)
    }

    /// Returns the namespaces whose private environments the caller sees.
    pub fn readable(&self) -> Vec<String> {
        let organisations = self.memberships.iter().map(|(name, _)| name.clone());
        std::iter::once(self.name.to_string())
            .chain(organisations)
            .collect()
    }

    /// Returns the namespaces whose environments the caller may change.
    pub fn changeable(&self) -> Vec<String> {
        let mut names = self.readable();
        names.retain(|name| self.may_change(name));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_decides_what_a_member_may_do() {
        let caller = Caller {
            name: "alice".into(),
            id: "1".into(),
            kind: NamespaceKind::User,
            memberships: [
                ("read".to_owned(), Role::Reader),
                ("write".to_owned(), Role::Maintainer),
            ]
            .into(),
        };
        for (owner, reads, changes) in [
            ("alice", true, true),
            ("read", true, false),
            ("write", true, true),
            ("bob", false, false),
            ("Alice", false, false),
        ] {
            assert_eq!(caller.may_read(owner), reads, "{owner}");
            assert_eq!(caller.may_change(owner), changes, "{owner}");
        }
        assert_eq!(caller.changeable(), ["alice", "write"]);
    }
}
