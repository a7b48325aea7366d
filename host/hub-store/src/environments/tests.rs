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

fn newest(limit: i64) -> audit::AuditQuery {
    audit::AuditQuery {
        limit,
        ..audit::AuditQuery::default()
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
        .run(|t| audit::latest(t, &["alice".to_owned()], &newest(5)))
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

#[test]
fn a_repository_elsewhere_is_checked_in_turns_and_less_often_while_it_fails() {
    let place = Place::with(&["one", "two", "three"]);
    let take = |busy: Vec<(String, String)>| {
        let busy = move |t: &mut dyn crate::Transaction| take_due(t, DAY, &busy, 2);
        place.run(busy).unwrap().map(|due| due.environment)
    };
    for name in ["one", "two", "three"] {
        let found = place.find(name).unwrap();
        let linked = place
            .run(move |t| link_remote(t, &caller("alice"), &found, "https://git.example/x", None));
        assert_eq!(linked.unwrap().url, "https://git.example/x");
    }
    let found = place.find("one").unwrap();
    let link_of = found.link.unwrap();
    assert_eq!(link_of.remote.as_deref(), Some("https://git.example/x"));
    assert_eq!(
        link_of.repository, found.id,
        "its own repository has a copy"
    );
    assert_eq!(place.run(|t| linked_to(t, None)), Ok(Vec::new()));
    let at_work = |ids: &[&String]| -> Vec<(String, String)> {
        ids.iter()
            .map(|id| ((*id).clone(), "alice".to_owned()))
            .collect()
    };
    let first = take(Vec::new()).unwrap();
    let second = take(at_work(&[&first])).unwrap();
    assert_ne!(first, second);
    assert_eq!(
        take(at_work(&[&first, &second])),
        None,
        "alice has two places"
    );
    let third = take(Vec::new()).unwrap();
    assert_eq!(
        take(Vec::new()),
        None,
        "each is due again after the interval"
    );

    // A webhook came while a check that fails was at work.
    let remote = |id: &String| {
        let id = id.clone();
        place.run(move |t| remote_of(t, &id)).unwrap().unwrap()
    };
    let hooked = third.clone();
    place.run(move |t| check_remote(t, &hooked)).unwrap();
    let (failed, late) = (remote(&third), remote(&first));
    let problem: Result<Checked, String> = Err("x".repeat(1000));
    let noted = problem.clone();
    let kept = place.run(move |t| checked_remote(t, &failed, DAY, &noted));
    assert_eq!(kept.unwrap().map(|kept| kept.id), Some(third.clone()));
    assert_eq!(remote(&third).problem.map(|text| text.len()), Some(300));
    assert_eq!(take(Vec::new()), Some(third.clone()));

    // A check of a former address is of no use.
    let again = place.find("one").unwrap();
    place
        .run(move |t| link_remote(t, &caller("alice"), &again, "https://git.example/y", None))
        .unwrap();
    let one = place.find("one").unwrap().id;
    let of_one = if late.environment == one {
        late
    } else {
        remote(&one)
    };
    let stale = RemoteRecord {
        url: "https://git.example/x".to_owned(),
        ..of_one
    };
    let found = Ok(Checked {
        branch: "main".to_owned(),
        commit: "ab".to_owned(),
    });
    assert_eq!(
        place.run(move |t| checked_remote(t, &stale, DAY, &found)),
        Ok(None)
    );

    // A deleted environment is not checked, and an unlinked one has no address.
    place.delete("one", DAY);
    assert_eq!(take(Vec::new()), None);
    place.run(check_all_remotes).unwrap();
    let due = [take(Vec::new()), take(Vec::new())];
    assert!(
        due.iter()
            .all(|id| id.as_ref().is_some_and(|id| *id != one)),
        "{due:?}"
    );
    let two = place.find("two").unwrap().id;
    let unlinked = two.clone();
    place.run(move |t| unlink(t, &unlinked)).unwrap();
    assert_eq!(place.find("two").unwrap().link, None);
    assert_eq!(place.run(move |t| remote_of(t, &two)), Ok(None));
}

#[test]
fn only_who_may_change_an_environment_renews_its_webhook() {
    let place = Place::with(&["one"]);
    let none = place.run(|t| renew_webhook(t, "alice", "one", &caller("alice")));
    assert!(matches!(none, Err(HubStoreError::Missing(_))));
    let one = place.find("one").unwrap();
    let linked = place
        .run(move |t| link_remote(t, &caller("alice"), &one, "https://git.example/x", None))
        .unwrap();
    let refused = place.run(|t| renew_webhook(t, "alice", "one", &caller("bob")));
    assert!(matches!(refused, Err(HubStoreError::Forbidden(_))));
    let renewed = place
        .run(|t| renew_webhook(t, "alice", "one", &caller("alice")))
        .unwrap();
    assert_ne!(renewed.webhook, linked.webhook);
}

#[test]
fn the_log_of_changes_has_pages_and_is_searched() {
    let place = Place::with(&["one", "two", "t_ree"]);
    let find = |query: audit::AuditQuery| {
        let found = place.run(move |t| audit::latest(t, &["alice".to_owned()], &query));
        found.unwrap()
    };
    let all = find(newest(10));
    assert_eq!(all.len(), 3);
    let first = find(newest(2));
    let rest = find(audit::AuditQuery {
        before: first.last().map(|entry| entry.number),
        ..newest(2)
    });
    assert_eq!([first, rest].concat(), all);
    for (search, expected) in [
        ("ONE", 1),
        ("alice", 3),
        ("t_", 1),
        ("%", 0),
        ("created", 3),
    ] {
        let query = audit::AuditQuery {
            search: Some(search.to_owned()),
            ..newest(10)
        };
        assert_eq!(find(query).len(), expected, "{search}");
    }
    let others = place.run(|t| audit::latest(t, &["bob".to_owned()], &newest(10)));
    assert_eq!(others, Ok(Vec::new()));
}
