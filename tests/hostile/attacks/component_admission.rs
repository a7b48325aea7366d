//! Attacks on the admission of components: files that are not environments,
//! components that take hours to compile, and components that ask for more than
//! is granted.
//!
//! A server admits components when it starts. Here each is inspected beside a
//! running server on the same machine, and the canary shows the cost; the last
//! case starts a server with all of them.

use std::fs;
use std::path::PathBuf;

use orwd_tests::artifacts::component;
use orwd_tests::ors::TaskSelector;
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;
use orwd_tests::wasm::{leb, section};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::guests::{WatGuest, wat_guest, write_component};
use crate::harness::{AttackHarness, component_refused, inspect, quick_or_soak};

/// Low compiler limits, so that bombs that pass the scan fail quickly.
const FLAGS: [&str; 4] = ["--compile-time", "4s", "--compile-memory", "1GiB"];

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Returns a component of one core module with these sections.
fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    let module = [MODULE, &sections.concat()].concat();
    [COMPONENT, &section(1, &module)].concat()
}

/// Returns a component of `count` functions `(i32, i32) -> ()` with this body.
fn functions(count: usize, body: &[u8]) -> Vec<u8> {
    let body = [leb(body.len()).as_slice(), body].concat();
    module(&[
        section(1, b"\x01\x60\x02\x7f\x7f\0"),
        section(3, &[leb(count), vec![0; count]].concat()),
        section(10, &[leb(count), body.repeat(count)].concat()),
    ])
}

/// Returns a function body that repeats a step.
fn body(step: &[u8], times: usize) -> Vec<u8> {
    [b"\0".as_slice(), &step.repeat(times), b"\x0b"].concat()
}

/// Returns a component that instantiates another `width` times, which does the
/// same with a third, and so on: `width` to the power of `depth` instances.
fn nested_instances(depth: usize, width: usize) -> Vec<u8> {
    let mut inner = "(component)".to_owned();
    for _ in 0..depth {
        let instances = "(instance (instantiate $inner))".repeat(width);
        inner = inner.replacen("(component", "(component $inner", 1);
        inner = format!("(component {inner} {instances})");
    }
    wat::parse_str(&inner).expect("a component")
}

/// Returns a guest with `count` instances of an empty module.
fn instances(count: usize) -> WatGuest {
    wat_guest(&format!("instances-{count}"))
        .with("before", "(core module $empty)")
        .with(
            "before",
            "(core instance (instantiate $empty))".repeat(count),
        )
}

/// Returns files that are not components: the name, the bytes, a part of the
/// error.
fn not_components() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let alpha = fs::read(component("alpha")).expect("the fixture can be read");
    let mut noise = vec![0_u8; 64 << 10];
    StdRng::seed_from_u64(1).fill(&mut noise[..]);
    let header_and_noise = [COMPONENT, &noise].concat();
    let mut flipped = alpha.clone();
    let middle = flipped.len() / 2;
    for byte in &mut flipped[middle..middle + 64] {
        *byte ^= 0xa5;
    }
    vec![
        ("an empty file", Vec::new(), ""),
        ("noise", noise, ""),
        ("a component header, then noise", header_and_noise, ""),
        ("an ELF file", b"\x7fELF\x02\x01\x01\0".repeat(64), ""),
        ("a script", b"#!/bin/sh\nexec rm -rf /\n".to_vec(), ""),
        ("a component as text", b"(component)".to_vec(), "text"),
        ("a module as text", b"(module)".to_vec(), "text"),
        ("a core module", MODULE.to_vec(), "core"),
        ("an empty component", COMPONENT.to_vec(), "does not export"),
        ("half of a component", alpha[..alpha.len() / 2].to_vec(), ""),
        (
            "a component without its last byte",
            alpha[..alpha.len() - 1].to_vec(),
            "",
        ),
        ("a component with flipped bytes", flipped, ""),
        (
            "a component with trailing bytes",
            [alpha.as_slice(), b"more"].concat(),
            "",
        ),
        (
            "two components",
            [alpha.as_slice(), alpha.as_slice()].concat(),
            "",
        ),
    ]
}

/// Returns components that are not environments or ask for too much.
fn invalid_environments() -> Vec<(&'static str, WatGuest, &'static str)> {
    let imports = |name: &str, interface: &str, function: &str| {
        wat_guest(name).with(
            "before",
            format!("(import \"{interface}\" (instance (export \"{function}\" (func))))"),
        )
    };
    vec![
        (
            "an import of HTTP",
            imports("wants-http", "wasi:http/outgoing-handler@0.2.0", "handle"),
            "wasi:http/outgoing-handler@0.2.0, which is not granted",
        ),
        (
            "an import of a key-value store",
            imports("wants-keys", "wasi:keyvalue/store@0.2.0-draft", "open"),
            "wasi:keyvalue/store",
        ),
        (
            "an import of an unknown interface",
            imports("wants-own", "my:own/thing", "f"),
            "my:own/thing, which is not granted",
        ),
        (
            "an import of an unknown host interface",
            imports("wants-more", "orwd:environment/admin@0.1.0", "f"),
            "orwd:environment/admin@0.1.0, which is not granted",
        ),
        (
            "an import of a plain function",
            wat_guest("wants-function").with("before", "(import \"f\" (func))"),
            "f, which is not granted",
        ),
        (
            "a granted interface with another type",
            imports("wants-other", "wasi:clocks/wall-clock@0.2.0", "now"),
            "wasi:clocks/wall-clock",
        ),
        (
            "a granted interface with an unknown function",
            imports("wants-extra", "wasi:clocks/wall-clock@0.2.0", "set"),
            "wasi:clocks/wall-clock",
        ),
        ("512 core instances and its own", instances(512), "core instances"),
        ("a thousand core instances", instances(1000), "core instances"),
        ("ten thousand core instances", instances(10_000), "core instances"),
        (
            "a description of no tools",
            wat_guest("no-tools").with("describe", "(i32.store (i32.const 2076) (i32.const 0))"),
            "tool",
        ),
        (
            "a description of two tools with one name",
            wat_guest("same-tools").with(
                "describe",
                "(i32.store (i32.const 2492) (i32.const 1024)) (i32.store (i32.const 2496) (i32.const 3))",
            ),
            "act",
        ),
        (
            "a trap in the description",
            wat_guest("trap-in-describe").with("describe", "unreachable"),
            "env_trap",
        ),
        (
            "a trap in a start function",
            wat_guest("trap-in-start")
                .with("start", "(func $begin unreachable) (start $begin)"),
            "env_trap",
        ),
    ]
}

/// Returns components that exceed the limits of the compiler.
fn compile_bombs() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let table = [b"\x20\0\x0e".as_slice(), &leb(60_000), &vec![0; 60_001]].concat();
    vec![
        (
            "a million functions",
            functions(1_000_000, b"\0\x0b"),
            "functions",
        ),
        (
            "a function of seven mebibytes",
            functions(1, &body(b"\x01", 7 << 20)),
            "size of a function",
        ),
        (
            "a hundred thousand nested blocks",
            functions(
                1,
                &[
                    &b"\0"[..],
                    &b"\x02\x40".repeat(100_000),
                    &b"\x0b".repeat(100_001),
                ]
                .concat(),
            ),
            "nesting of blocks",
        ),
        (
            "a br_table of sixty thousand targets",
            functions(1, &[b"\0", table.as_slice(), b"\x0b"].concat()),
            "br_table",
        ),
        (
            "fifty thousand locals",
            functions(1, &[b"\x01".as_slice(), &leb(50_000), b"\x7f\x0b"].concat()),
            "locals",
        ),
        (
            "forty thousand data segments",
            module(&[section(
                11,
                &[leb(40_000), b"\x01\0".repeat(40_000)].concat(),
            )]),
            "data segments",
        ),
        (
            "a thousand core modules",
            [COMPONENT, &section(1, MODULE).repeat(1000)].concat(),
            "core modules",
        ),
        (
            "a million nested types",
            [
                COMPONENT,
                &section(
                    7,
                    &[
                        b"\x01".to_vec(),
                        b"\x42\x01\x01".repeat(1 << 20),
                        b"\x42\0".to_vec(),
                    ]
                    .concat(),
                ),
            ]
            .concat(),
            "",
        ),
        (
            "a custom section of forty mebibytes",
            [
                COMPONENT,
                &section(0, &[b"\x04name".as_slice(), &vec![0; 40 << 20]].concat()),
            ]
            .concat(),
            "custom",
        ),
        (
            "branches that take minutes to compile",
            functions(
                8,
                &body(b"\x20\0\x04\x40\x20\x01\x20\0\x6a\x21\x01\x0b", 60_000),
            ),
            "too expensive",
        ),
        (
            "calls that take gibibytes to compile",
            functions(16, &body(b"\x20\0\x20\x01\x10\0", 150_000)),
            "too expensive",
        ),
        ("ten thousand nested instances", nested_instances(4, 10), ""),
        ("ten million nested instances", nested_instances(7, 10), ""),
        ("a billion nested instances", nested_instances(7, 20), ""),
    ]
}

#[test]
fn admission() {
    let mut harness = AttackHarness::new("admission", &[], &[], &[]);
    let mut all: Vec<PathBuf> = Vec::new();
    for (attack, bytes, part) in not_components() {
        let wasm = write_component(&attack.replace(' ', "-").replace(',', ""), &bytes);
        harness.case(attack, "refused before it is served", |_| {
            component_refused(&wasm, &FLAGS, &[part])
        });
        all.push(wasm);
    }
    for (attack, guest, part) in invalid_environments() {
        let wasm = guest.file();
        harness.case(attack, "refused before it is served", |_| {
            component_refused(&wasm, &FLAGS, &[part])
        });
        all.push(wasm);
    }
    for (attack, bytes, part) in compile_bombs() {
        let wasm = write_component(&attack.replace(' ', "-").replace([',', ':'], ""), &bytes);
        let stops = match part {
            "" | "too expensive" => "the compiler process, or the check after it",
            _ => "the scan before compilation",
        };
        harness.case(attack, stops, |_| component_refused(&wasm, &FLAGS, &[part]));
    }
    let code = compiled();
    harness.case(
        "compiled code instead of a component",
        "the check of the first bytes",
        |_| component_refused(&code, &FLAGS, &["compiled"]),
    );
    let mutations = quick_or_soak(20, 2000);
    harness.case(
        &format!("{mutations} components with a few bytes changed"),
        "validation",
        |_| inspect_mutations(mutations),
    );
    harness.case(
        "a server with all of these files",
        "--keep-going: the others are served",
        |_| {
            let mut serve = ServeCommand::fixtures(&["alpha"]).flag("--keep-going");
            for wasm in &all {
                serve = serve.and_path(wasm);
            }
            let server = serve.set("--log", "error").start();
            let named = server.ors().get("/list_environments").json();
            assert_eq!(named, json!(["alpha"]));
            let session = server.ors().open("alpha", TaskSelector::At("train", 0));
            assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
            format!("{} refusals in the log, and `alpha` is served", all.len())
        },
    );
    harness.end();
}

/// Writes the compiled code of a fixture, as a cache holds it.
fn compiled() -> PathBuf {
    let scratch = TestDir::new();
    let cache = scratch.path().join("cache");
    drop(
        ServeCommand::fixtures(&["alpha"])
            .set("--cache", &cache)
            .start(),
    );
    let code = fs::read_dir(&cache)
        .expect("a cache")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .expect("compiled code");
    let bytes = fs::read(code).expect("compiled code can be read");
    // Without the host's own header, if there is one.
    let start = bytes
        .windows(4)
        .position(|four| four == b"\x7fELF")
        .expect("native code");
    write_component("compiled-code", &bytes[start..])
}

/// Inspects a component with random changes: each is accepted or refused, and the
/// program never fails otherwise. Returns the counts.
fn inspect_mutations(times: u64) -> String {
    let good = wat_guest("flawless").bytes();
    let (mut fine, mut refused) = (0, 0);
    for seed in 0..times {
        let mut random = StdRng::seed_from_u64(seed);
        let mut bytes = good.clone();
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(8..bytes.len());
            bytes[place] = random.random();
        }
        let wasm = write_component("flawed", &bytes);
        let ended = inspect(&wasm, &[]);
        match ended.code {
            Some(0) => fine += 1,
            _ => {
                ended.expect_failure(&["flawed.wasm"]);
                refused += 1;
            }
        }
    }
    format!("{refused} refused, {fine} accepted")
}
