//! What it takes for a component to be let in: it costs its host no more than
//! it may, and its compiled code is code that this host compiled.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use orwd_tests::artifacts::{binary, component, fixture};
use orwd_tests::command::{Ended, Orwd};
use orwd_tests::ors::Task;
use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server};
use orwd_tests::wasm::{leb, section};
use rustix::process::Signal;
use serde_json::json;

use crate::{SOON, serve};

const DAMAGED: &str = "a damaged file of compiled code was deleted";

/// The files of compiled code in a cache directory.
fn compiled(cache: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(cache) else {
        return Vec::new();
    };
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|end| end == "cwasm"))
        .collect()
}

/// Sees `alpha` work.
fn works(server: &Server) {
    let session = server.ors().open("alpha", Task::Spec(json!({})));
    assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
    session.delete();
}

/// What a server logs until it ends.
fn whole_log(server: Server) -> String {
    let mut server = server;
    server.signal(Signal::TERM);
    server.wait(SOON);
    // The reader of its output may be a little behind.
    let start = Instant::now();
    while !server.log().contains("stopped") && start.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(10));
    }
    server.log()
}

/// Serves `alpha` with this cache, sees it work, and gives the whole log.
fn alpha(cache: &Path) -> String {
    let server = Serve::fixtures(&["alpha"]).set("--cache", cache).start();
    works(&server);
    whole_log(server)
}

#[test]
fn compiled_code_that_somebody_touched_is_never_run_and_made_anew() {
    let scratch = Scratch::new();
    let cache = scratch.path().join("cache");
    assert!(!alpha(&cache).contains(DAMAGED));
    let files = compiled(&cache);
    let [file] = files.as_slice() else {
        panic!("one file of code expected: {files:?}");
    };
    let good = fs::read(file).unwrap();
    // It is taken as it is while it is what was written.
    let before = fs::metadata(file).unwrap().modified().unwrap();
    assert!(!alpha(&cache).contains(DAMAGED));
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), before);

    let flipped = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 0x10;
        bytes
    };
    let last = good.len() - 1;
    for (story, planted) in [
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
        // A file that is shorter than any mark is no code, and not worth a word.
        assert_eq!(log.contains(DAMAGED), !planted.is_empty(), "{story}: {log}");
        let again = fs::read(file).unwrap();
        assert_ne!(again, planted, "{story}");
        assert_eq!(again.len(), good.len(), "{story}");
        assert_eq!(compiled(&cache).len(), 1, "{story}");
    }
    assert!(!alpha(&cache).contains(DAMAGED));
}

#[test]
fn code_from_another_cache_is_made_anew() {
    let scratch = Scratch::new();
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

/// A valid component of nothing but eight functions, below every cap: so many
/// times the same step each.
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

/// `if (a) { b += a }`, again and again: a minute of compiling in three
/// mebibytes.
fn branches() -> Vec<u8> {
    long(b"\x20\0\x04\x40\x20\x01\x20\0\x6a\x21\x01\x0b", 30_000)
}

/// `f(a, b)`, again and again: hundreds of mebibytes in a few seconds.
fn calls() -> Vec<u8> {
    long(b"\x20\0\x20\x01\x10\0", 150_000)
}

/// Inspecting this component, which no cache knows, with these flags.
fn inspect(scratch: &Scratch, wasm: &Path, flags: &[&str]) -> Ended {
    let cache = scratch.at("cache");
    let file = wasm.to_str().unwrap();
    let arguments = [&["inspect", "--cache", &cache, file], flags].concat();
    Orwd::new(arguments).run()
}

#[test]
fn a_component_that_takes_too_long_to_compile() {
    let scratch = Scratch::new();
    let bomb = scratch.write("bomb.wasm", branches());
    let ended = inspect(&scratch, &bomb, &["--compile-time", "1s"]);
    // On a busy machine the clock may be first.
    ended.refuses(&["bomb.wasm", "too expensive", "--compile-time"]);
    assert_eq!(compiled(&scratch.path().join("cache")).len(), 0);

    // The host is none the worse for it, and others are served. What they are
    // compiled to is there already: the time is short for them too.
    let cache = scratch.path().join("cache");
    alpha(&cache);
    let server = serve(&bomb)
        .and(fixture("alpha"))
        .set("--cache", &cache)
        .flag("--no-build")
        .flag("--keep-going")
        .set("--compile-time", "1s")
        .start();
    works(&server);
    let log = whole_log(server);
    assert!(log.contains("--compile-time"), "{log}");
}

/// Without anybody who watches the clock.
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
fn a_component_that_takes_too_much_memory_to_compile() {
    let scratch = Scratch::new();
    let bomb = scratch.write("bomb.wasm", calls());
    let flags = ["--compile-memory", "512MiB"];
    let ended = inspect(&scratch, &bomb, &flags);
    ended.refuses(&["bomb.wasm", "too expensive", "512 MiB", "--compile-memory"]);
    // An ordinary environment needs no more than that.
    inspect(&scratch, component("alpha"), &flags).succeeds();
}

#[test]
fn a_component_that_is_too_large() {
    let scratch = Scratch::new();
    let alpha = component("alpha");
    let size = fs::metadata(alpha).unwrap().len().to_string();
    let ended = inspect(&scratch, alpha, &["--component-limit", "64KiB"]);
    ended.refuses(&["alpha", "--component-limit", &size, "65536"]);
    // Not even read: it is there, but nothing is in it.
    let huge = scratch.path().join("huge.wasm");
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    inspect(&scratch, &huge, &[]).refuses(&["--component-limit", "1099511627776"]);
}

#[test]
fn a_component_that_a_look_is_enough_for() {
    let scratch = Scratch::new();
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
    inspect(&scratch, &many, &[]).refuses(&["the number of functions is 200000", "131072"]);
}

/// Types within types, as deep as the compiler's reader goes and deeper.
#[test]
fn a_component_that_overflows_the_stack_of_its_compiler() {
    let scratch = Scratch::new();
    let levels = 1 << 20;
    let content = [
        b"\x01".to_vec(),
        b"\x42\x01\x01".repeat(levels),
        b"\x42\0".to_vec(),
    ]
    .concat();
    let wasm = [b"\0asm\x0d\0\x01\0".as_slice(), &section(7, &content)].concat();
    let deep = scratch.write("deep.wasm", wasm);
    inspect(&scratch, &deep, &[]).refuses(&["deep.wasm", "compile"]);
}

#[test]
fn the_compiler_gets_no_file_that_the_server_was_started_with() {
    let scratch = Scratch::new();
    let server = Serve::fixtures(&["alpha"])
        .set("--cache", scratch.path().join("cache"))
        // Behind walls only root could look at its descriptors.
        .set("--walls", "off")
        .start_after("exec 7</dev/null");
    let info = fs::read_to_string(format!("/proc/{}/fdinfo/7", server.pid())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
    let close_on_exec = 0o2_000_000;
    assert_ne!(flags & close_on_exec, 0, "{info}");
}

#[test]
fn the_compiler_is_no_command_for_people() {
    let ended = Orwd::new(["--help"]).run();
    assert!(!ended.succeeds().contains("compile"), "{ended}");
    // Nor does it answer to anything but a component.
    let arguments = ["__compile", "--memory", "4294967296", "--seconds", "10"];
    let ended = Orwd::new(arguments).input("hello").run();
    assert_eq!(ended.code, Some(1), "{ended}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_tool_whose_schema_refers_to_another_machine() {
    let scratch = Scratch::new();
    inspect(&scratch, component("outward"), &[]).refuses(&[
        "the tool \"fetch\"",
        "at \"/properties/what/$ref\"",
        "outside of the schema",
    ]);
}
