//! The layout of how an episode began.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{NoRecord, block};
use crate::id::{EpisodeId, Hash};
use crate::record::{At, ClockMode, Created, HostFacts, Parent, SealedSecrets};
use orwd_model::{
    Budget, DataDigest, Digest, EnvName, Existing, Mode, Publish, SessionId, SessionLimits,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Layout {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    session: String,
    environment: String,
    #[serde(with = "serde_bytes")]
    component: [u8; 32],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<serde_bytes::ByteArray<32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<ModeLayout>,
    task: String,
    #[serde(with = "serde_bytes")]
    seed: Vec<u8>,
    start: u64,
    clock: ClockLayout,
    limits: LimitsLayout,
    host: String,
    engine: String,
    secrets: SecretsLayout,
    #[serde(with = "serde_bytes")]
    request: [u8; 32],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    toolset: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<ParentLayout>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClockLayout {
    Virtual,
    Real,
}

/// Any mode but that of most sessions, which is not written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeLayout {
    ReadOnly,
    Shared(PublishLayout),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishLayout {
    folders: Vec<String>,
    replace: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SecretsLayout {
    None,
    Sealed(#[serde(with = "serde_bytes")] Vec<u8>),
    Withheld,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParentLayout {
    #[serde(with = "serde_bytes")]
    episode: [u8; 16],
    seq: u64,
}

/// Sizes in bytes, times in nanoseconds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsLayout {
    memory: u64,
    tables: u64,
    handles: u64,
    call: (u64, u64),
    setup: (u64, u64),
    teardown: (u64, u64),
    result: u64,
    host_call: u64,
    json_depth: u64,
    log: u64,
    log_total: u64,
    disk: u64,
    files: u64,
    open_files: u64,
    journal: u64,
}

impl From<&Created> for Layout {
    fn from(created: &Created) -> Layout {
        Layout {
            owner: created.owner.clone(),
            session: created.session.as_str().to_owned(),
            environment: created.environment.as_str().to_owned(),
            component: *created.component.as_bytes(),
            data: created.data.map(|data| (*data.as_bytes()).into()),
            mode: match &created.mode {
                Mode::Session => None,
                Mode::ReadOnly => Some(ModeLayout::ReadOnly),
                Mode::Shared(publish) => Some(ModeLayout::Shared(PublishLayout {
                    folders: publish.folders.clone(),
                    replace: publish.existing == Existing::Replace,
                })),
            },
            task: created.task.as_str().to_owned(),
            seed: created.seed.clone(),
            start: created.start.0,
            clock: match created.clock {
                ClockMode::Virtual => ClockLayout::Virtual,
                ClockMode::Real => ClockLayout::Real,
            },
            limits: LimitsLayout::from(&created.limits),
            host: created.host.version.clone(),
            engine: created.host.engine.clone(),
            secrets: match &created.secrets {
                SealedSecrets::None => SecretsLayout::None,
                SealedSecrets::Sealed(bytes) => SecretsLayout::Sealed(bytes.clone()),
                SealedSecrets::Withheld => SecretsLayout::Withheld,
            },
            request: *created.request.as_bytes(),
            toolset: created.toolset.clone(),
            parent: created.parent.map(|parent| ParentLayout {
                episode: *parent.episode.as_bytes(),
                seq: parent.seq,
            }),
        }
    }
}

impl TryFrom<Layout> for Created {
    type Error = NoRecord;

    fn try_from(layout: Layout) -> Result<Created, NoRecord> {
        let session = SessionId::new(&layout.session)
            .filter(|id| id.as_str() == layout.session)
            .ok_or_else(|| NoRecord::value("its session id is none"))?;
        Ok(Created {
            owner: layout.owner,
            session,
            environment: EnvName::new(&layout.environment).map_err(NoRecord::value)?,
            component: Digest::from_bytes(layout.component),
            data: layout.data.map(|data| DataDigest::from_bytes(*data)),
            mode: match layout.mode {
                None => Mode::Session,
                Some(ModeLayout::ReadOnly) => Mode::ReadOnly,
                Some(ModeLayout::Shared(publish)) => Mode::Shared(Publish {
                    folders: publish.folders,
                    existing: if publish.replace {
                        Existing::Replace
                    } else {
                        Existing::Keep
                    },
                }),
            },
            task: block::json(layout.task)?,
            seed: layout.seed,
            start: At(layout.start),
            clock: match layout.clock {
                ClockLayout::Virtual => ClockMode::Virtual,
                ClockLayout::Real => ClockMode::Real,
            },
            limits: layout.limits.try_into()?,
            host: HostFacts {
                version: layout.host,
                engine: layout.engine,
            },
            secrets: match layout.secrets {
                SecretsLayout::None => SealedSecrets::None,
                SecretsLayout::Sealed(bytes) => SealedSecrets::Sealed(bytes),
                SecretsLayout::Withheld => SealedSecrets::Withheld,
            },
            request: Hash::from_bytes(layout.request),
            toolset: layout.toolset,
            parent: layout.parent.map(|parent| Parent {
                episode: EpisodeId::from_bytes(parent.episode),
                seq: parent.seq,
            }),
        })
    }
}

impl From<&SessionLimits> for LimitsLayout {
    fn from(limits: &SessionLimits) -> LimitsLayout {
        // Named one by one, so that a new limit does not compile until it has
        // a place in the format.
        let SessionLimits {
            memory,
            tables,
            handles,
            call,
            setup,
            teardown,
            result,
            host_call,
            json_depth,
            log,
            log_total,
            disk,
            files,
            open_files,
            journal,
        } = *limits;
        LimitsLayout {
            memory: memory as u64,
            tables: tables as u64,
            handles: handles as u64,
            call: budget(call),
            setup: budget(setup),
            teardown: budget(teardown),
            result: result as u64,
            host_call: host_call as u64,
            json_depth: json_depth as u64,
            log: log as u64,
            log_total: log_total as u64,
            disk,
            files,
            open_files,
            journal,
        }
    }
}

impl TryFrom<LimitsLayout> for SessionLimits {
    type Error = NoRecord;

    fn try_from(layout: LimitsLayout) -> Result<SessionLimits, NoRecord> {
        let size = |bytes: u64| usize::try_from(bytes).map_err(NoRecord::value);
        let budget = |(cpu, wall)| Budget {
            cpu: Duration::from_nanos(cpu),
            wall: Duration::from_nanos(wall),
        };
        Ok(SessionLimits {
            memory: size(layout.memory)?,
            tables: size(layout.tables)?,
            handles: size(layout.handles)?,
            call: budget(layout.call),
            setup: budget(layout.setup),
            teardown: budget(layout.teardown),
            result: size(layout.result)?,
            host_call: size(layout.host_call)?,
            json_depth: size(layout.json_depth)?,
            log: size(layout.log)?,
            log_total: size(layout.log_total)?,
            disk: layout.disk,
            files: layout.files,
            open_files: layout.open_files,
            journal: layout.journal,
        })
    }
}

fn budget(budget: Budget) -> (u64, u64) {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    (nanos(budget.cpu), nanos(budget.wall))
}
