//! The source tree that this program was built from, if it is still there.
//!
//! Its examples are built without being asked: who built this program has run
//! the tree's code already.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::getuid;

/// Returns the root of the tree in which a path is what is looked for: around
/// the `target` folder with the program, or where the program was built. No
/// other place is searched, since the code that is found is compiled.
pub(crate) fn find(below: &str, is_it: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let target = program
        .as_deref()
        .and_then(|program| program.ancestors().nth(2));
    let target_parent = target
        .filter(|folder| folder.file_name().is_some_and(|name| name == "target"))
        .and_then(Path::parent);
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    [target_parent, built_from]
        .into_iter()
        .flatten()
        .map(|root| root.join(below))
        .find(|folder| is_it(folder))
}

/// Returns the folder of the examples, if it belongs to this user.
pub(crate) fn examples() -> Option<PathBuf> {
    let is_ours = |folder: &Path| {
        let tree = folder.parent().map(|tree| tree.join("host/cli/Cargo.toml"));
        let owned = |path: &Path| {
            path.metadata()
                .is_ok_and(|found| found.uid() == getuid().as_raw())
        };
        tree.is_some_and(|manifest| owned(&manifest)) && owned(folder)
    };
    find("examples", is_ours)?.canonicalize().ok()
}
