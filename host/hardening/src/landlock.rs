//! Files, TCP and signals, restricted by Landlock.
//!
//! Everything that this version of Landlock can deny is denied, except the paths
//! and the ports of the policy. A process that serves needs no port: it opens its
//! sockets before hardening and needs no others.

use ::landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    RestrictSelfAttr, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, make_bitflags,
};

use crate::policy::{PathAccess, Policy, Workload};
use crate::report::{FILES, HardeningError};

/// Newest version that the rules use. An older kernel denies what it can.
const NEWEST: ABI = ABI::V10;

/// The version that introduced each part of Landlock.
const PARTS: &[(&str, ABI)] = &[
    (FILES, ABI::V1),
    ("truncation", ABI::V3),
    ("TCP", ABI::V4),
    ("signals and abstract sockets", ABI::V6),
];

/// First version that restricts running threads.
const FOR_ALL_THREADS: ABI = ABI::V8;

type Outcome = (&'static str, Result<String, String>);

/// Restricts this thread, all that it starts, and, if the kernel supports it,
/// all others.
pub(super) fn restrict(policy: &Policy) -> Result<Vec<Outcome>, HardeningError> {
    let mut rules = Vec::new();
    for (path, access) in policy.paths() {
        let directory = PathFd::new(path)
            .map_err(|error| HardeningError::new(path.to_owned(), error.to_string()))?;
        rules.push(PathBeneath::new(directory, rights(access)));
    }
    // Counted first: afterwards `/proc` is no longer readable.
    let others = other_threads();
    let outcome = enforce(rules, ports(policy)).map_err(|error| format!("Landlock: {error}"));
    Ok(PARTS
        .iter()
        .map(|(what, since)| {
            let part = outcome.clone().and_then(|abi| {
                if abi < *since {
                    let (abi, since) = (abi as i32, *since as i32);
                    return Err(format!(
                        "this kernel has Landlock {abi}; version {since} is required"
                    ));
                }
                if others > 0 && abi < FOR_ALL_THREADS {
                    return Err(format!(
                        "{others} threads started before Landlock was applied"
                    ));
                }
                Ok(format!("Landlock {}", abi as i32))
            });
            (*what, part)
        })
        .collect())
}

/// The port of name servers.
const NAMES: u16 = 53;

/// Returns the ports that the policy permits. Kernels that cannot restrict UDP
/// leave it to the filter of system calls.
fn ports(policy: &Policy) -> Vec<NetPort> {
    if policy.workload() != Workload::Connect {
        return Vec::new();
    }
    let tcp = policy.ports().iter();
    let tcp = tcp.map(|port| NetPort::new(*port, AccessNet::ConnectTcp));
    tcp.chain([
        NetPort::new(NAMES, AccessNet::ConnectSendUdp),
        // A port that the system chooses.
        NetPort::new(0, AccessNet::BindUdp),
    ])
    .collect()
}

fn enforce(rules: Vec<PathBeneath<PathFd>>, ports: Vec<NetPort>) -> Result<ABI, String> {
    let status = deny_all()
        .and_then(|denied| denied.all_threads(true))
        .and_then(|denied| denied.add_rules(rules.into_iter().map(Ok::<_, RulesetError>)))
        .and_then(|denied| denied.add_rules(ports.into_iter().map(Ok::<_, RulesetError>)))
        .and_then(RulesetCreated::restrict_self)
        .map_err(|error| error.to_string())?;
    match status.landlock {
        LandlockStatus::NotImplemented => Err("this kernel does not support it".to_owned()),
        LandlockStatus::NotEnabled => Err("it is disabled in this kernel".to_owned()),
        LandlockStatus::Available { effective_abi, .. } => match status.ruleset {
            RulesetStatus::NotEnforced => Err("the kernel does not enforce the rules".to_owned()),
            _ => Ok(effective_abi),
        },
    }
}

fn deny_all() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()
}

fn rights(access: PathAccess) -> BitFlags<AccessFs> {
    match access {
        PathAccess::Read => make_bitflags!(AccessFs::{ReadFile | ReadDir}),
        PathAccess::ReadFiles => make_bitflags!(AccessFs::{ReadFile}),
        // Renaming and linking stay within a directory, so `Refer` is not
        // among them.
        PathAccess::Write => make_bitflags!(AccessFs::{
            ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile
        }),
        PathAccess::TempFiles => make_bitflags!(AccessFs::{
            ReadFile | ReadDir | WriteFile | Truncate | MakeReg | RemoveFile
        }),
        PathAccess::RemoveDirs => make_bitflags!(AccessFs::{RemoveDir}),
    }
}

/// Counts the other threads in `/proc`. An ended thread may stay listed for a
/// moment, so a nonzero count is checked again.
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
