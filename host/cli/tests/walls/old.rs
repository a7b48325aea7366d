//! A kernel from before the walls, played by a filter that hides the calls from
//! a program.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

/// Runs a program as on an old kernel, in place of this one.
pub(crate) fn kernel(program: &[&str]) {
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

pub(crate) fn a_kernel_without_walls_is_told() {
    // Nothing to serve, which is only found out once the walls are up.
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("empty.wasm");
    std::fs::write(&component, "").unwrap();
    for (old, walls, told) in [
        (true, "available", "the file is empty"),
        (true, "required", "--walls required asks for all of them"),
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
            .args(["serve", "--listen", "127.0.0.1:0", "--walls", walls])
            .args(["--cache", folder.path().join("cache").to_str().unwrap()])
            .arg(&component);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{walls}: {text}");
        assert!(text.contains(told), "{walls}: {text}");
        for missing in [
            "a wall is missing here: files: Landlock: this kernel does not have it",
            "a wall is missing here: TCP: Landlock: this kernel does not have it",
            "a wall is missing here: system calls: seccomp: ",
        ] {
            assert_eq!(
                text.contains(missing),
                old && walls != "off",
                "{walls}: {text}"
            );
        }
        let none = "there are no walls around this process";
        assert_eq!(text.contains(none), walls == "off", "{text}");
    }
}
