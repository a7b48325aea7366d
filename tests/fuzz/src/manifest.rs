//! `orwd.toml`.
//!
//! A manifest is refused with a reason and an existing line, or it survives being
//! written and parsed again; and no limit in it exceeds the operator's.

use std::fmt::Write as _;
use std::time::Duration;

use orwd_catalog::manifest::{BuildRule, Manifest};
use orwd_model::{DataMode, LimitSet, OnConflict, SessionLimits};

pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let manifest = match Manifest::parse(&text) {
        Ok(manifest) => manifest,
        Err(error) => return is_reason(&text, &error.to_string()),
    };
    let written = write(&manifest);
    let again = Manifest::parse(&written)
        .unwrap_or_else(|error| panic!("{error} in the rewritten manifest: {written}"));
    assert_eq!(
        (&again.name, &again.build),
        (&manifest.name, &manifest.build)
    );
    assert_eq!(again.description, manifest.description);
    assert_eq!(again.version, manifest.version);
    assert_eq!((&again.data, &again.mode), (&manifest.data, &manifest.mode));
    assert_eq!(again.secrets, manifest.secrets);
    assert_eq!((again.clock, again.seed), (manifest.clock, manifest.seed));
    for operator in [max(), operator(64 << 20, 5), operator(2 << 20, 0)] {
        let (limits, capped) = manifest.limits.apply(operator);
        assert_eq!(again.limits.apply(operator).0, limits);
        for limit in SessionLimits::SPECS {
            let amount = |limits| limit.amount(limits).expect("a limit that is set");
            let (applied, allowed) = (amount(&limits), amount(&operator));
            assert!(applied <= allowed, "{} is raised to {applied}", limit.name);
            assert_eq!(limit.parse(&applied.to_string()), limit.check(applied));
        }
        for capped in capped {
            assert!(capped.requested > capped.allowed, "{capped:?}");
            let limit = SessionLimits::spec(capped.limit).expect("a limit");
            assert_eq!(limit.amount(&limits), Some(capped.allowed));
        }
    }
}

fn is_reason(text: &str, message: &str) {
    assert!(!message.is_empty());
    let position = message
        .strip_prefix("orwd.toml:")
        .and_then(|rest| rest.split_once(':'));
    let Some(line) = position.and_then(|(line, _)| line.parse::<usize>().ok()) else {
        return;
    };
    // The error may be the end of the file.
    assert!(line <= text.matches('\n').count() + 1, "{message}");
}

/// The largest permitted limits.
fn max() -> SessionLimits {
    SessionLimits::from_amounts(|limit| Some(limit.unit.amount(limit.max)))
}

fn operator(memory: usize, seconds: u64) -> SessionLimits {
    let time = Duration::from_millis(10 + seconds * 1000);
    SessionLimits {
        memory,
        tables: memory / 4000,
        handles: memory / 40_000,
        call_cpu: time,
        call_wall: time * 2,
        setup_cpu: time,
        setup_wall: time * 2,
        teardown_cpu: time,
        teardown_wall: time * 2,
        result: memory / 4,
        host_call: memory / 2,
        json_depth: 8 + seconds as usize / 160,
        log: memory / 256,
        log_total: memory / 4,
        disk: memory as u64 * 256,
        files: memory as u64 / 4000,
        open_files: 8 + seconds / 8,
        journal: (64 << 10) + seconds,
        http_requests: memory as u32 / 65_536,
        http_call: memory / 8,
    }
}

fn write(manifest: &Manifest) -> String {
    let mut out = String::new();
    pair(&mut out, "name", &quoted(manifest.name.as_str()));
    let texts = [
        ("description", &manifest.description),
        ("version", &manifest.version),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            pair(&mut out, key, &quoted(value));
        }
    }
    if let Some(data) = &manifest.data {
        pair(&mut out, "data", &quoted(&data.to_string_lossy()));
    }
    pair(&mut out, "data-mode", &quoted(manifest.mode.as_str()));
    pair(&mut out, "secrets", &list(&manifest.secrets));
    pair(&mut out, "clock", &quoted(manifest.clock.as_str()));
    if let Some(seed) = manifest.seed {
        pair(&mut out, "seed", &quoted(&seed.to_string()));
    }
    match &manifest.build {
        BuildRule::Cargo => {}
        BuildRule::Prebuilt(component) => {
            out.push_str("[build]\n");
            pair(&mut out, "component", &quoted(&component.to_string_lossy()));
        }
        BuildRule::Command { command, component } => {
            out.push_str("[build]\n");
            pair(&mut out, "command", &list(command));
            pair(&mut out, "component", &quoted(&component.to_string_lossy()));
        }
        BuildRule::Python(python) => {
            out.push_str("[build]\n");
            let module = python.module.to_string_lossy();
            let written = match &python.class {
                Some(class) => format!("{module}:{class}"),
                None => module.into_owned(),
            };
            pair(&mut out, "python", &quoted(&written));
            pair(&mut out, "bake", &list(&python.bake));
        }
    }
    if let DataMode::Shared(publish) = &manifest.mode {
        out.push_str("[shared]\n");
        pair(&mut out, "publish", &list(&publish.folders));
        let on_conflict = match publish.on_conflict {
            OnConflict::Keep => "keep",
            OnConflict::Replace => "replace",
        };
        pair(&mut out, "on-conflict", &quoted(on_conflict));
    }
    out.push_str("[limits]\n");
    // With the largest limits allowed, the requested values remain.
    let largest = max();
    let (limits, _) = manifest.limits.apply(largest);
    for limit in SessionLimits::SPECS {
        let requested = limit.amount(&limits);
        if let Some(amount) = requested.filter(|_| requested != limit.amount(&largest)) {
            pair(&mut out, limit.name, &quoted(&amount.to_string()));
        }
    }
    out
}

fn pair(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {value}");
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}
