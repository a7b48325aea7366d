//! Stories of deleted and renamed environments, through the database.

use std::time::Duration;

use super::*;
use crate::accounts::{Bootstrap, BootstrapUser, Caller, NamespaceKind, Role, apply_bootstrap};
use crate::deployments::{DeploymentSource, NewDeployment, enqueue, of_environment, take_next};
use crate::{Database, HubStoreError, audit, usage};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn caller(name: &str) -> Caller {
    Caller {
        name: name.into(),
        id: name.into(),
        kind: NamespaceKind::User,
        memberships: Vec::<(String, Role)>::new().into(),
    }
}

/// A database with the users alice and bob, and the environments of alice.
struct Place {
    _folder: tempfile::TempDir,
    database: Database,
}

impl Place {
    fn with(environments: &[&str]) -> Place {
        let folder = tempfile::TempDir::new().unwrap();
        let database = Database::open(&folder.path().join("hub.sqlite")).unwrap();
        let users = ["alice", "bob"].map(|name| BootstrapUser {
            name: name.to_owned(),
            password: None,
            admin: false,
            keys: Vec::new(),
        });
        let accounts = Bootstrap {
            users: users.into(),
            organisations: Vec::new(),
        };
        database
            .run_blocking(move |t| apply_bootstrap(t, &accounts))
            .unwrap();
        let place = Place {
            _folder: folder,
            database,
        };
        for name in environments {
            place.create(name).unwrap();
        }
        place
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn crate::Transaction) -> Result<T, HubStoreError> + Send + 'static,
    ) -> Result<T, HubStoreError> {
        self.database.run_blocking(work)
    }

    fn create(&self, name: &str) -> Result<EnvironmentRecord, HubStoreError> {
        let new = NewEnvironment {
            owner: "alice".to_owned(),
            name: name.to_owned(),
            description: String::new(),
            is_private: false,
        };
        self.run(move |t| create(t, &caller("alice"), &new))
    }

    fn find(&self, name: &str) -> Option<EnvironmentRecord> {
        let name = name.to_owned();
        self.run(move |t| find(t, "alice", &name, None)).ok()
    }

    fn rename(&self, from: &str, to: &str) -> Result<EnvironmentRecord, HubStoreError> {
        let before = self.find(from).unwrap();
        let change = DetailsChange {
            name: Some(to.to_owned()),
            ..DetailsChange::default()
        };
        self.run(move |t| change_details(t, &caller("alice"), &before, change))
    }

    fn delete(&self, name: &str, retention: Duration) -> DeletedEnvironment {
        let found = self.find(name).unwrap();
        self.run(move |t| delete(t, &caller("alice"), &found, retention))
            .unwrap()
    }
}

#[test]
fn a_deleted_environment_keeps_its_name_and_comes_back() {
    let place = Place::with(&["one", "two"]);
    let id = place.find("one").unwrap().id;
    let queued = id.clone();
    place
        .run(move |t| {
            link(t, &queued, &queued, None)?;
            let new = NewDeployment {
                source: DeploymentSource::Repository(queued.clone()),
                branch: "main".to_owned(),
                commit: "c0ffee".to_owned(),
                subdirectory: None,
                created_by: "alice".to_owned(),
            };
            enqueue(t, &queued, &new)
        })
        .unwrap();
    place.delete("one", DAY);
    assert_eq!(place.find("one"), None);
    let hidden = id.clone();
    let seen = place.run(move |t| {
        let alice = caller("alice");
        let query = ListQuery {
            owner: None,
            search: None,
            limit: 10,
            offset: 0,
        };
        Ok((
            by_id(t, &hidden, Some(&alice)).is_ok(),
            list(t, Some(&alice), &query)?.1,
            repositories(t, &alice)?.len(),
            linked_to(t, None)?.len(),
            take_next(t)?,
        ))
    });
    assert_eq!(seen, Ok((false, 1, 1, 0, None)));
    let taken = place.create("ONE");
    assert!(matches!(&taken, Err(HubStoreError::Conflict(text)) if text.contains("restore it")));
    assert_eq!(place.run(next_to_remove), Ok(None), "its time is not over");
    let stranger = id.clone();
    let refused = place.run(move |t| restore(t, &caller("bob"), &stranger));
    assert!(matches!(refused, Err(HubStoreError::Missing(_))));
    let restored = id.clone();
    let restored = place.run(move |t| restore(t, &caller("alice"), &restored));
    assert_eq!(restored.map(|found| found.name), Ok("one".to_owned()));
    assert_eq!(place.find("one").map(|found| found.id), Some(id.clone()));
    let again = place.run(move |t| restore(t, &caller("alice"), &id));
    assert!(matches!(again, Err(HubStoreError::Missing(_))));
}

#[test]
fn a_deleted_environment_is_removed_after_its_time_with_all_that_it_had() {
    let place = Place::with(&["one", "two"]);
    let (one, two) = (place.find("one").unwrap(), place.find("two").unwrap());
    let (id, linked) = (one.id.clone(), two.id.clone());
    place
        .run(move |t| {
            link(t, &linked, &id, None)?;
            usage::charge(t, &id, usage::Kept::Repository, usage::Change::To(1 << 30))
        })
        .unwrap();
    place.rename("one", "uno").unwrap();
    let deleted = place.delete("uno", Duration::ZERO);
    let id = deleted.id.clone();
    let late = place.run(move |t| restore(t, &caller("alice"), &id));
    assert!(matches!(late, Err(HubStoreError::Missing(_))));
    let due = place.run(next_to_remove).unwrap().unwrap();
    assert_eq!(due, deleted);
    place.run(move |t| remove(t, &due)).unwrap();
    assert_eq!(place.run(next_to_remove), Ok(None));
    let used = place.run(|t| usage::of_owner(t, "alice")).unwrap();
    assert!(used < 1 << 20, "{used}");
    assert_eq!(
        place.find("two").unwrap().link,
        None,
        "its repository is gone"
    );
    assert!(place.create("uno").is_ok() && place.create("one").is_ok());
    let left = place.run(move |t| of_environment(t, &one.id)).unwrap();
    assert!(left.is_empty());
    let actions = place
        .run(|t| audit::latest(t, &["alice".to_owned()], 5))
        .unwrap();
    let actions: Vec<(&str, &str, &str)> = actions
        .iter()
        .map(|entry| (&*entry.actor, &*entry.action, &*entry.subject))
        .collect();
    assert_eq!(
        actions,
        [
            ("alice", "created", "alice/one"),
            ("alice", "created", "alice/uno"),
            ("platform", "removed", "alice/uno"),
            ("alice", "deleted", "alice/uno"),
            ("alice", "renamed to alice/uno", "alice/one"),
        ]
    );
}

#[test]
fn a_former_name_is_that_of_its_environment_until_it_is_taken() {
    let place = Place::with(&["one", "two"]);
    let id = place.find("one").unwrap().id;
    place.rename("one", "uno").unwrap();
    place.rename("uno", "eins").unwrap();
    for name in ["one", "uno", "eins"] {
        let found = place.find(name).unwrap();
        assert_eq!((&*found.id, &*found.name), (&*id, "eins"), "{name}");
    }
    assert_eq!(place.find("ONE"), None, "names are case-sensitive");
    // Another environment takes one of them, by a new name or as a new one.
    let two = place.rename("two", "uno").unwrap();
    assert_eq!(place.find("uno").unwrap().id, two.id);
    let new = place.create("One").unwrap();
    assert_eq!(place.find("One").unwrap().id, new.id);
    assert_eq!(place.find("one"), None);
    // It takes its own former name back.
    place.rename("eins", "drei").unwrap();
    assert_eq!(place.rename("drei", "eins").unwrap().id, id);
    assert_eq!(place.find("drei").unwrap().name, "eins");
    // What is private stays so by its former name.
    let before = place.find("eins").unwrap();
    let change = DetailsChange {
        is_private: Some(true),
        ..DetailsChange::default()
    };
    let hidden = place.run(move |t| {
        change_details(t, &caller("alice"), &before, change)?;
        let renamed = |t: &mut dyn crate::Transaction, name| {
            let caller = caller(name);
            renamed(t, "alice", "drei", Some(&caller))
        };
        Ok((renamed(t, "bob")?, renamed(t, "alice")?))
    });
    assert_eq!(hidden, Ok((None, Some("eins".to_owned()))));
}
