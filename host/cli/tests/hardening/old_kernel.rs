//! A kernel without hardening, simulated by a filter that hides its system calls
//! from a program.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

/// Replaces this process by a program, as on an old kernel.
pub(crate) fn run(program: &[&str]) {
    let hidden = [
        libc::SYS_landlock_create_ruleset,
        libc::SYS_landlock_add_rule,
        libc::SYS_landlock_restrict_self,
        libc::SYS_seccomp,
    ];
    let rules: BTreeMap<i64, Vec<_>> = hidden.map(|call| (call, Vec::new())).into();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        TargetArch::try_from(std::env::consts::ARCH).unwrap(),
    );
    let filter: BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter(&filter).unwrap();
    let (program, arguments) = program.split_first().unwrap();
    panic!("{}", Command::new(program).args(arguments).exec());
}

pub(crate) fn missing_protections_are_logged() {
    // Nothing to serve, which is reported after hardening.
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("empty.wasm");
    std::fs::write(&component, "").unwrap();
    for (old, mode, expected) in [
        (true, "available", "the file is empty"),
        (
            true,
            "required",
            "--hardening required: this kernel lacks the protection of files",
        ),
        (true, "off", "the file is empty"),
        (false, "off", "the file is empty"),
    ] {
        let mut command = if old {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--old-kernel", env!("CARGO_BIN_EXE_orwd")]);
            command
        } else {
            Command::new(env!("CARGO_BIN_EXE_orwd"))
        };
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--hardening", mode])
            .args(["--cache", folder.path().join("cache").to_str().unwrap()])
            .arg(&component);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{mode}: {text}");
        assert!(text.contains(expected), "{mode}: {text}");
        for missing in [
            "hardening unavailable protection=files reason=Landlock: this kernel does not support it",
            "hardening unavailable protection=TCP reason=Landlock: this kernel does not support it",
            "hardening unavailable protection=system calls reason=seccomp: ",
        ] {
            assert_eq!(
                text.contains(missing),
                old && mode != "off",
                "{mode}: {text}"
            );
        }
        let off = "process hardening is off";
        assert_eq!(text.contains(off), mode == "off", "{text}");
    }
}
