//! Files, TCP and signals, by Landlock.
//!
//! Everything that this version of Landlock can forbid is forbidden, and then
//! the places of the list are let through. There is no rule on the network: a
//! process of ours has its socket before the walls, and needs no other.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd,
    RestrictSelfAttr, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, make_bitflags,
};

use super::{Access, Needs, WallsError};

/// The newest version that the rules are written for. A kernel that has less
/// forbids what it can.
const NEWEST: ABI = ABI::V10;

/// What each part of Landlock came with.
const PARTS: &[(&str, ABI)] = &[
    ("files", ABI::V1),
    ("TCP", ABI::V4),
    ("signals and abstract sockets", ABI::V6),
];

/// The first that puts rules up for threads that run already.
const FOR_ALL_THREADS: ABI = ABI::V8;

type Outcome = (&'static str, Result<String, String>);

/// Puts the rules up for this thread and all that it starts, and for all others
/// where the kernel can.
pub(super) fn restrict(needs: &Needs) -> Result<Vec<Outcome>, WallsError> {
    let mut rules = Vec::new();
    for (path, access) in needs.places() {
        let place = PathFd::new(path).map_err(|error| WallsError {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        rules.push(PathBeneath::new(place, rights(access)));
    }
    // Afterwards this process no longer sees the list of its threads.
    let others = other_threads();
    let outcome = enforce(rules).map_err(|error| format!("Landlock: {error}"));
    Ok(PARTS
        .iter()
        .map(|(what, since)| {
            let part = outcome.clone().and_then(|abi| {
                if abi < *since {
                    let (abi, since) = (abi as i32, *since as i32);
                    return Err(format!("this is Landlock {abi}, and it takes {since}"));
                }
                if others > 0 && abi < FOR_ALL_THREADS {
                    return Err(format!("{others} threads began before Landlock was up"));
                }
                Ok(format!("Landlock {}", abi as i32))
            });
            (*what, part)
        })
        .collect())
}

fn enforce(rules: Vec<PathBeneath<PathFd>>) -> Result<ABI, String> {
    let status = forbid_all()
        .and_then(|forbidden| forbidden.all_threads(true))
        .and_then(|forbidden| forbidden.add_rules(rules.into_iter().map(Ok::<_, RulesetError>)))
        .and_then(RulesetCreated::restrict_self)
        .map_err(|error| error.to_string())?;
    match status.landlock {
        LandlockStatus::NotImplemented => Err("this kernel does not have it".to_owned()),
        LandlockStatus::NotEnabled => Err("this kernel has it switched off".to_owned()),
        LandlockStatus::Available { effective_abi, .. } => match status.ruleset {
            RulesetStatus::NotEnforced => Err("it does not take the rules".to_owned()),
            _ => Ok(effective_abi),
        },
    }
}

fn forbid_all() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()
}

fn rights(access: Access) -> BitFlags<AccessFs> {
    match access {
        Access::Read => make_bitflags!(AccessFs::{ReadFile | ReadDir}),
        Access::ReadFiles => make_bitflags!(AccessFs::{ReadFile}),
        // Renaming and linking stay within a directory, so `Refer` is not
        // among them.
        Access::Write => make_bitflags!(AccessFs::{
            ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile
        }),
        Access::Scratch => make_bitflags!(AccessFs::{
            ReadFile | ReadDir | WriteFile | Truncate | MakeReg | RemoveFile
        }),
        Access::RemoveFolders => make_bitflags!(AccessFs::{RemoveDir}),
    }
}

/// Threads beside this one, as far as `/proc` can tell. One that has come to its
/// end may still be listed for a moment.
fn other_threads() -> usize {
    let listed =
        || std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count().saturating_sub(1));
    for _ in 0..100 {
        if listed() == 0 {
            return 0;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    listed()
}
