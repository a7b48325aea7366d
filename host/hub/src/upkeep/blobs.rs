//! Collecting contents that nothing needs.
//!
//! A content is removed in the thread of the database, so an upload that stores
//! the same content is before it, and then the content is kept, or after it, and
//! then the upload finds the content absent and is to be sent again.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use orwd_hub_store::files::{UnusedContent, free_content, is_kept, unused_contents};
use orwd_hub_store::{Database, HubStoreError};

use super::marks::Marks;
use super::measure::names;
use crate::layout::Layout;

/// Contents that are looked at in one transaction.
const BATCH: usize = 64;

/// Frees environments of the contents that nothing of theirs has needed for a
/// time, except those whose earlier generations of files are still there.
pub(super) fn free_unused(
    database: &Database,
    marks: &mut Marks<UnusedContent>,
    held: &HashSet<String>,
    grace: Duration,
) -> Result<(), HubStoreError> {
    let (mut unused, mut after) = (Vec::new(), None);
    loop {
        let last = after.take();
        let batch = database.run_blocking(move |t| unused_contents(t, last.as_ref()))?;
        let Some(end) = batch.last() else { break };
        after = Some(end.clone());
        unused.extend(batch.into_iter().filter(|c| !held.contains(&c.environment)));
    }
    for batch in marks.unneeded_for(grace, unused).chunks(BATCH) {
        let batch = batch.to_vec();
        database.run_blocking(move |transaction| {
            batch
                .iter()
                .try_for_each(|content| free_content(transaction, content))
        })?;
    }
    Ok(())
}

/// Removes the contents for which nobody is charged, once they are old enough.
/// Returns how many.
pub(super) fn collect(
    layout: &Layout,
    database: &Database,
    grace: Duration,
) -> Result<usize, String> {
    let mut removed = 0;
    for shard in names(&layout.blobs()).map_err(|error| error.to_string())? {
        let folder = layout.blobs().join(shard);
        let digests = names(&folder).map_err(|error| error.to_string())?;
        let old = digests
            .into_iter()
            .map(|digest| (folder.join(&digest), digest));
        let old: Vec<(PathBuf, String)> = old.filter(|(path, _)| is_older(path, grace)).collect();
        for batch in old.chunks(BATCH) {
            removed += remove_unkept(database, batch.to_vec(), grace)?;
        }
    }
    Ok(removed)
}

/// Removes a content that was received and not stored.
pub(crate) fn discard(database: &Database, path: PathBuf, digest: String) -> Result<usize, String> {
    remove_unkept(database, vec![(path, digest)], Duration::ZERO)
}

fn remove_unkept(
    database: &Database,
    contents: Vec<(PathBuf, String)>,
    grace: Duration,
) -> Result<usize, String> {
    let removed = database.run_blocking(move |transaction| {
        let mut removed = 0;
        for (path, digest) in contents {
            // It may have been uploaded again since it was listed.
            if is_kept(transaction, &digest)? || !is_older(&path, grace) {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(HubStoreError::Failed(error.to_string())),
            }
        }
        Ok(removed)
    });
    removed.map_err(|error| error.to_string())
}

fn is_older(path: &std::path::Path, time: Duration) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    // A time in the future is new.
    let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    age.is_ok_and(|age| age >= time)
}

#[cfg(test)]
mod tests {
    use orwd_hub_store::accounts::{
        Bootstrap, BootstrapKey, BootstrapUser, KeyHash, apply_bootstrap, caller_of_key,
    };
    use orwd_hub_store::deployments::{DeploymentSource, NewDeployment, enqueue, take_next};
    use orwd_hub_store::environments::{NewEnvironment, create};
    use orwd_hub_store::files::{FileChange, add_content, delete_file, put};
    use orwd_hub_store::usage;
    use tempfile::TempDir;

    use super::*;
    use crate::layout::create_private;
    use crate::storage::blobs::Blobs;

    const SIZE: i64 = 1 << 20;

    struct Place {
        _folder: TempDir,
        layout: Layout,
        database: Database,
        environment: String,
    }

    impl Place {
        fn new() -> Place {
            let folder = TempDir::new().unwrap();
            let layout = Layout::create(folder.path()).unwrap();
            let database = Database::open(&layout.database()).unwrap();
            let key = "a-key-of-at-least-sixteen-characters";
            let accounts = Bootstrap {
                users: vec![BootstrapUser {
                    name: "alice".to_owned(),
                    password: None,
                    admin: false,
                    keys: vec![BootstrapKey {
                        name: "test".to_owned(),
                        key: key.to_owned(),
                    }],
                }],
                organisations: Vec::new(),
            };
            let created = database.run_blocking(move |t| {
                apply_bootstrap(t, &accounts)?;
                let caller = caller_of_key(t, &KeyHash::of(key))?.unwrap();
                let environment = NewEnvironment {
                    owner: "alice".to_owned(),
                    name: "env".to_owned(),
                    description: String::new(),
                    is_private: false,
                };
                create(t, &caller, &environment)
            });
            Place {
                environment: created.unwrap().id,
                _folder: folder,
                layout,
                database,
            }
        }

        fn path(&self, digest: &str) -> PathBuf {
            Blobs::new(&self.layout).path(digest)
        }

        /// Stores a content, as an upload does before it notes the file.
        fn receive(&self, digest: &str) {
            let path = self.path(digest);
            create_private(path.parent().unwrap()).unwrap();
            fs::write(path, digest).unwrap();
        }

        fn upload(&self, path: &str, digest: &str) {
            self.receive(digest);
            let (environment, change) = (
                self.environment.clone(),
                FileChange {
                    path: path.to_owned(),
                    digest: digest.to_owned(),
                    size: SIZE,
                },
            );
            let stored = self
                .database
                .run_blocking(move |t| put(t, &environment, &change, i64::MAX));
            stored.unwrap();
        }

        fn used(&self) -> i64 {
            let used = self.database.run_blocking(|t| usage::of_owner(t, "alice"));
            used.unwrap() / SIZE
        }

        fn round(&self, held: &[&str]) -> Vec<bool> {
            let held = held.iter().map(|name| (*name).to_owned()).collect();
            let mut marks = Marks::default();
            free_unused(&self.database, &mut marks, &held, Duration::ZERO).unwrap();
            collect(&self.layout, &self.database, Duration::ZERO).unwrap();
            ["aa1", "bb2", "cc3"]
                .map(|digest| self.path(digest).exists())
                .into()
        }
    }

    #[test]
    fn a_content_is_charged_until_it_is_collected() {
        let place = Place::new();
        place.upload("a", "aa1");
        place.upload("b", "aa1");
        assert_eq!(place.used(), 1, "the same content again");
        place.upload("a", "bb2");
        place.upload("b", "bb2");
        // A killed process received it, and did not note a file.
        place.receive("cc3");
        assert_eq!(place.used(), 2);
        // An earlier generation of the files has the first one.
        assert_eq!(place.round(&[&place.environment]), [true, true, false]);
        assert_eq!(place.used(), 2);
        assert_eq!(place.round(&[]), [false, true, false]);
        assert_eq!(place.used(), 1);
        let environment = place.environment.clone();
        let deleted = place.database.run_blocking(move |t| {
            delete_file(t, &environment, "a")?;
            delete_file(t, &environment, "b")
        });
        deleted.unwrap();
        assert_eq!(place.round(&[]), [false, false, false]);
        assert_eq!(place.used(), 0);
    }

    #[test]
    fn what_is_new_or_waits_for_its_deployment_stays() {
        let place = Place::new();
        place.receive("aa1");
        let age = Duration::from_secs(60);
        assert_eq!(collect(&place.layout, &place.database, age).unwrap(), 0);
        place.receive("bb2");
        let environment = place.environment.clone();
        let queued = place.database.run_blocking(move |t| {
            add_content(t, &environment, "bb2", SIZE)?;
            let new = NewDeployment {
                source: DeploymentSource::Upload("env.wasm".to_owned()),
                branch: "upload".to_owned(),
                commit: "bb2".to_owned(),
                subdirectory: None,
                created_by: "upload".to_owned(),
            };
            enqueue(t, &environment, &new)?;
            take_next(t)
        });
        let building = queued.unwrap().unwrap();
        assert_eq!(place.round(&[]), [false, true, false]);
        let result = Err("it cannot be admitted".to_owned());
        let ended = place
            .database
            .run_blocking(move |t| orwd_hub_store::deployments::finish(t, &building, &result));
        ended.unwrap();
        assert_eq!(place.round(&[]), [false, false, false]);
        assert_eq!(place.used(), 0);
    }
}
