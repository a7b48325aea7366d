//! Admission of components: compiling one is limited, and only code that this
//! host compiled is run.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use orwd_tests::artifacts::{binary, component, fixture};
use orwd_tests::ors::TaskSelector;
use orwd_tests::process::{CommandResult, OrwdCommand, ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use orwd_tests::wasm::{leb, section};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{TIMEOUT, serve};

const DAMAGED: &str = "damaged code cache file deleted";

/// Returns the files of compiled code in a cache directory.
fn compiled(cache: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(cache) else {
        return Vec::new();
    };
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|end| end == "cwasm"))
        .collect()
}

/// Checks that `alpha` works.
fn works(server: &ServerProcess) {
    let session = server.ors().open("alpha", TaskSelector::Spec(json!({})));
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
    session.delete();
}

/// Ends a server and returns its whole log.
fn whole_log(server: ServerProcess) -> String {
    let mut server = server;
    server.signal(Signal::TERM);
    server.wait(TIMEOUT);
    // The thread that reads its output may lag behind.
    let start = Instant::now();
    while !server.log().contains("stopped") && start.elapsed() < TIMEOUT {
        std::thread::sleep(Duration::from_millis(10));
    }
    server.log()
}

/// Serves `alpha` with this cache, checks that it works, and returns the log.
fn alpha(cache: &Path) -> String {
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--cache", cache)
        .start();
    works(&server);
    whole_log(server)
}

#[test]
fn modified_compiled_code_is_never_run_and_compiled_again() {
    let scratch = TestDir::new();
    let cache = scratch.path().join("cache");
    assert!(!alpha(&cache).contains(DAMAGED));
    let files = compiled(&cache);
    let [file] = files.as_slice() else {
        panic!("one file of code expected: {files:?}");
    };
    let good = fs::read(file).unwrap();
    // An unchanged file is reused.
    let before = fs::metadata(file).unwrap().modified().unwrap();
    assert!(!alpha(&cache).contains(DAMAGED));
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), before);

    let flipped = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 0x10;
        bytes
    };
    let last = good.len() - 1;
    for (case, planted) in [
        ("the first byte flipped", flipped(0)),
        ("one in the middle flipped", flipped(last / 2)),
        ("the last byte flipped", flipped(last)),
        ("cut", good[..last].to_vec()),
        ("emptied", Vec::new()),
        ("more at its end", [good.as_slice(), b"more"].concat()),
        (
            "the component itself",
            fs::read(component("alpha")).unwrap(),
        ),
    ] {
        fs::write(file, &planted).unwrap();
        let log = alpha(&cache);
        // A file that is shorter than the header is not worth a warning.
        assert_eq!(log.contains(DAMAGED), !planted.is_empty(), "{case}: {log}");
        let again = fs::read(file).unwrap();
        assert_ne!(again, planted, "{case}");
        assert_eq!(again.len(), good.len(), "{case}");
        assert_eq!(compiled(&cache).len(), 1, "{case}");
    }
    assert!(!alpha(&cache).contains(DAMAGED));
}

#[test]
fn code_from_another_cache_is_compiled_again() {
    let scratch = TestDir::new();
    let (ours, theirs) = (scratch.path().join("ours"), scratch.path().join("theirs"));
    alpha(&ours);
    alpha(&theirs);
    // The same component, compiled by the same program, under another key.
    let theirs = compiled(&theirs);
    let foreign = theirs.first().expect("a file of code");
    let ours_file = ours.join(foreign.file_name().unwrap());
    fs::copy(foreign, &ours_file).unwrap();
    assert!(alpha(&ours).contains(DAMAGED));
    assert_ne!(fs::read(ours_file).unwrap(), fs::read(foreign).unwrap());
}

/// Returns a valid component of eight functions that repeat one step, below every
/// limit of the scan.
fn long(step: &[u8], times: usize) -> Vec<u8> {
    let functions = 8;
    let body = [b"\0".as_slice(), &step.repeat(times), b"\x0b"].concat();
    let body = [leb(body.len()).as_slice(), &body].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, b"\x01\x60\x02\x7f\x7f\0"),
        section(3, &[leb(functions), vec![0; functions]].concat()),
        section(10, &[leb(functions), body.repeat(functions)].concat()),
    ]
    .concat();
    [b"\0asm\x0d\0\x01\0".as_slice(), &section(1, &module)].concat()
}

/// Repeats `if (a) { b += a }`: a minute of compiling in three MiB.
fn branches() -> Vec<u8> {
    long(b"\x20\0\x04\x40\x20\x01\x20\0\x6a\x21\x01\x0b", 30_000)
}

/// Repeats `f(a, b)`: hundreds of MiB of memory in a few seconds.
fn calls() -> Vec<u8> {
    long(b"\x20\0\x20\x01\x10\0", 150_000)
}

/// Inspects a component with an empty cache and these flags.
fn inspect(scratch: &TestDir, wasm: &Path, flags: &[&str]) -> CommandResult {
    let cache = scratch.at("cache");
    let file = wasm.to_str().unwrap();
    let arguments = [&["inspect", "--cache", &cache, file], flags].concat();
    OrwdCommand::new(arguments).run()
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_refused() {
    let scratch = TestDir::new();
    let bomb = scratch.write("bomb.wasm", branches());
    let ended = inspect(&scratch, &bomb, &["--compile-time", "1s"]);
    // On a busy machine the wall-clock limit may come first.
    ended.expect_failure(&["bomb.wasm", "too expensive", "--compile-time"]);
    assert_eq!(compiled(&scratch.path().join("cache")).len(), 0);

    // Other environments are served. Their code is in the cache already, because
    // the time is too short for them as well.
    let cache = scratch.path().join("cache");
    alpha(&cache);
    let server = serve(&bomb)
        .and_path(fixture("alpha"))
        .set("--cache", &cache)
        .flag("--no-build")
        .flag("--keep-going")
        .set("--compile-time", "1s")
        .start();
    works(&server);
    let log = whole_log(server);
    assert!(log.contains("--compile-time"), "{log}");
}

/// The CPU limit ends the compiler even without a parent that enforces time.
#[test]
fn the_compiler_ends_by_itself_when_its_cpu_time_is_used_up() {
    let mut child = Command::new(binary())
        .args(["__compile", "--memory", "4294967296", "--seconds", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let wasm = branches();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(&(wasm.len() as u64).to_le_bytes())
        .and_then(|()| stdin.write_all(&wasm))
        .unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.signal(), Some(Signal::XCPU.as_raw()));
    assert!(!ended.status.core_dumped());
    assert_eq!(ended.stdout, b"");
}

#[test]
fn a_component_that_takes_too_much_memory_to_compile_is_refused() {
    let scratch = TestDir::new();
    let bomb = scratch.write("bomb.wasm", calls());
    let flags = ["--compile-memory", "512MiB"];
    let ended = inspect(&scratch, &bomb, &flags);
    ended.expect_failure(&["bomb.wasm", "too expensive", "512 MiB", "--compile-memory"]);
    // An ordinary environment needs no more than that.
    inspect(&scratch, component("alpha"), &flags).expect_success();
}

#[test]
fn a_component_that_is_too_large_is_refused() {
    let scratch = TestDir::new();
    let alpha = component("alpha");
    let size = fs::metadata(alpha).unwrap().len().to_string();
    let ended = inspect(&scratch, alpha, &["--component-limit", "64KiB"]);
    ended.expect_failure(&["alpha", "--component-limit", &size, "65536"]);
    // A sparse file of this size is not even read.
    let huge = scratch.path().join("huge.wasm");
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    inspect(&scratch, &huge, &[]).expect_failure(&["--component-limit", "1099511627776"]);
}

#[test]
fn a_component_that_the_scan_refuses_is_not_compiled() {
    let scratch = TestDir::new();
    let functions = 200_000;
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, b"\x01\x60\0\0"),
        section(3, &[leb(functions), vec![0; functions]].concat()),
        section(
            10,
            &[leb(functions), b"\x02\0\x0b".repeat(functions)].concat(),
        ),
    ]
    .concat();
    let wasm = [b"\0asm\x0d\0\x01\0".as_slice(), &section(1, &module)].concat();
    let many = scratch.write("many.wasm", wasm);
    inspect(&scratch, &many, &[]).expect_failure(&["the number of functions is 200000", "131072"]);
}

/// Nested types, deeper than the compiler's reader allows.
#[test]
fn a_component_that_overflows_the_compilers_stack_is_refused() {
    let scratch = TestDir::new();
    let levels = 1 << 20;
    let content = [
        b"\x01".to_vec(),
        b"\x42\x01\x01".repeat(levels),
        b"\x42\0".to_vec(),
    ]
    .concat();
    let wasm = [b"\0asm\x0d\0\x01\0".as_slice(), &section(7, &content)].concat();
    let deep = scratch.write("deep.wasm", wasm);
    inspect(&scratch, &deep, &[]).expect_failure(&["deep.wasm", "compile"]);
}

#[test]
fn the_compiler_inherits_no_descriptor() {
    let scratch = TestDir::new();
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--cache", scratch.path().join("cache"))
        // With hardening only root could read its descriptors.
        .set("--hardening", "off")
        .start_in_shell("exec 7</dev/null");
    let info = fs::read_to_string(format!("/proc/{}/fdinfo/7", server.pid())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
    let close_on_exec = 0o2_000_000;
    assert_ne!(flags & close_on_exec, 0, "{info}");
}

#[test]
fn the_compiler_command_is_hidden() {
    let ended = OrwdCommand::new(["--help"]).run();
    assert!(!ended.expect_success().contains("compile"), "{ended}");
    // It refuses input that is not a component.
    let arguments = ["__compile", "--memory", "4294967296", "--seconds", "10"];
    let ended = OrwdCommand::new(arguments).stdin("hello").run();
    assert_eq!(ended.code, Some(1), "{ended}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_schema_that_refers_to_another_machine_is_refused() {
    let scratch = TestDir::new();
    inspect(&scratch, component("remote-ref"), &[]).expect_failure(&[
        "the tool \"fetch\"",
        "at \"/properties/what/$ref\"",
        "outside of the schema",
    ]);
}
