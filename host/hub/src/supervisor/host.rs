//! The command line of a host process.

use std::ffi::OsString;
use std::path::{Component, Path};

use orwd_hub_store::sessions::SessionVersion;

use super::protocol::HostSpec;
use crate::config::HubConfig;
use crate::layout::Layout;

/// Host processes that may take a whole quota together before the platform has
/// counted what is in them.
const HOSTS: u64 = 10;

/// Returns the arguments of `orwd` for a host process. The control process
/// chooses among what is in the state directory, and nothing else.
pub(super) fn arguments(
    layout: &Layout,
    config: &HubConfig,
    spec: &HostSpec,
) -> Result<Vec<OsString>, String> {
    let version = SessionVersion {
        deployment: plain(&spec.deployment)?.to_owned(),
        generation: spec.data.as_ref().map_or(0, |data| data.generation),
    };
    let mut arguments: Vec<OsString> = vec![
        "serve".into(),
        "--inherit-listener".into(),
        "--no-build".into(),
    ];
    let mut flag = |name: &str, value: OsString| {
        arguments.push(name.into());
        arguments.push(value);
    };
    flag("--proxied", layout.proxy_key_file().into());
    flag("--cache", layout.cache().into());
    flag("--state", layout.instance(&version).into());
    flag("--max-open-sessions", spec.max_sessions.to_string().into());
    let disk = (config.owner_quota / HOSTS).max(1 << 20);
    flag("--max-disk-per-key", disk.to_string().into());
    if let Some(data) = &spec.data {
        let directory = layout.data(plain(&data.environment)?, data.generation);
        for variant in &data.variants {
            let mut value = OsString::from(format!("{}=", plain(variant)?));
            value.push(&directory);
            flag("--data", value);
        }
    }
    arguments.extend(config.host_arguments.iter().map(OsString::from));
    arguments.extend(config.log_arguments.iter().map(OsString::from));
    let folder = layout.version(&version.deployment);
    for path in &spec.paths {
        let below = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !Path::new(path).components().all(below) {
            return Err(format!("{path:?} is not a path of a version"));
        }
        arguments.push(folder.join(path).into());
    }
    Ok(arguments)
}

/// Checks that a text can be the name of a file.
fn plain(text: &str) -> Result<&str, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Ok(text);
    }
    Err(format!("{text:?} is not a valid name"))
}
