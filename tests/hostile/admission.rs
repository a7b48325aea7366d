//! Attacks on whoever lets a component in: what is no environment, what costs
//! its compiler hours, and what asks for more than is given.
//!
//! Components are let in when a server starts. So each of these is inspected
//! beside a server that runs, on the same machine, and the canary sees what
//! that costs; the last case starts a server with all of them.

use std::fs;
use std::path::PathBuf;

use orwd_tests::artifacts::component;
use orwd_tests::ors::Task;
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;
use orwd_tests::wasm::{leb, section};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::arena::Arena;
use crate::guests::{Guest, file, guest};
use crate::provoke::{inspect, refused};
use crate::quick_or_soak;

/// What a bomb may cost at most, so that those which slip through the scan
/// are quick to fail.
const FLAGS: [&str; 4] = ["--compile-time", "4s", "--compile-memory", "1GiB"];

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A component of one core module of these sections.
fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    let module = [MODULE, &sections.concat()].concat();
    [COMPONENT, &section(1, &module)].concat()
}

/// So many functions of the type `(i32, i32) -> ()` with this body.
fn functions(count: usize, body: &[u8]) -> Vec<u8> {
    let body = [leb(body.len()).as_slice(), body].concat();
    module(&[
        section(1, b"\x01\x60\x02\x7f\x7f\0"),
        section(3, &[leb(count), vec![0; count]].concat()),
        section(10, &[leb(count), body.repeat(count)].concat()),
    ])
}

/// A body of this step, again and again.
fn body(step: &[u8], times: usize) -> Vec<u8> {
    [b"\0".as_slice(), &step.repeat(times), b"\x0b"].concat()
}

/// A component that instantiates another `width` times, which does the same
/// to a third, and so on: `width` to the power of `depth` instances.
fn laughs(depth: usize, width: usize) -> Vec<u8> {
    let mut inner = "(component)".to_owned();
    for _ in 0..depth {
        let instances = "(instance (instantiate $inner))".repeat(width);
        inner = inner.replacen("(component", "(component $inner", 1);
        inner = format!("(component {inner} {instances})");
    }
    wat::parse_str(&inner).expect("a component")
}

/// A guest with so many instances of an empty module.
fn instances(count: usize) -> Guest {
    guest(&format!("instances-{count}"))
        .with("before", "(core module $empty)")
        .with(
            "before",
            "(core instance (instantiate $empty))".repeat(count),
        )
}

/// Files that are no component: what it is, its bytes, what is said.
fn strangers() -> Vec<(&'static str, Vec<u8>, &'static str)> {
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
        ("the head of a component, then noise", header_and_noise, ""),
        (
            "a program of this machine",
            b"\x7fELF\x02\x01\x01\0".repeat(64),
            "",
        ),
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
        ("a component with a flaw in its middle", flipped, ""),
        (
            "a component and something behind it",
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

/// Environments that are none, or ask for too much.
fn pretenders() -> Vec<(&'static str, Guest, &'static str)> {
    let imports = |name: &str, interface: &str, function: &str| {
        guest(name).with(
            "before",
            format!("(import \"{interface}\" (instance (export \"{function}\" (func))))"),
        )
    };
    vec![
        (
            "HTTP, asked for",
            imports("wants-http", "wasi:http/outgoing-handler@0.2.0", "handle"),
            "wasi:http/outgoing-handler@0.2.0, which is not granted",
        ),
        (
            "another session's store, asked for",
            imports("wants-keys", "wasi:keyvalue/store@0.2.0-draft", "open"),
            "wasi:keyvalue/store",
        ),
        (
            "an interface of its own, asked for",
            imports("wants-own", "my:own/thing", "f"),
            "my:own/thing, which is not granted",
        ),
        (
            "an interface of the host's that there is not",
            imports("wants-more", "orwd:environment/admin@0.1.0", "f"),
            "orwd:environment/admin@0.1.0, which is not granted",
        ),
        (
            "a plain function, asked for",
            guest("wants-function").with("before", "(import \"f\" (func))"),
            "f, which is not granted",
        ),
        (
            "a granted interface with another type",
            imports("wants-other", "wasi:clocks/wall-clock@0.2.0", "now"),
            "wasi:clocks/wall-clock",
        ),
        (
            "a granted interface with a function of its own",
            imports("wants-extra", "wasi:clocks/wall-clock@0.2.0", "set"),
            "wasi:clocks/wall-clock",
        ),
        ("a hundred core instances", instances(100), ""),
        ("a thousand core instances", instances(1000), ""),
        ("ten thousand core instances", instances(10_000), ""),
        (
            "a description of no tools",
            guest("no-tools").with("describe", "(i32.store (i32.const 2076) (i32.const 0))"),
            "tool",
        ),
        (
            "a description of two tools with one name",
            guest("same-tools").with(
                "describe",
                "(i32.store (i32.const 2492) (i32.const 1024)) (i32.store (i32.const 2496) (i32.const 3))",
            ),
            "act",
        ),
        (
            "a trap where it describes itself",
            guest("trap-in-describe").with("describe", "unreachable"),
            "env_trap",
        ),
        (
            "a trap in a start function",
            guest("trap-in-start")
                .with("start", "(func $begin unreachable) (start $begin)"),
            "env_trap",
        ),
    ]
}

/// Components that cost their compiler more than they may.
fn bombs() -> Vec<(&'static str, Vec<u8>, &'static str)> {
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
            "blocks within blocks, a hundred thousand",
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
            "a jump to sixty thousand places",
            functions(1, &[b"\0", table.as_slice(), b"\x0b"].concat()),
            "br_table",
        ),
        (
            "fifty thousand locals",
            functions(1, &[b"\x01".as_slice(), &leb(50_000), b"\x7f\x0b"].concat()),
            "locals",
        ),
        (
            "forty thousand pieces of data",
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
            "types within types, a million",
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
            "branches that take minutes",
            functions(
                8,
                &body(b"\x20\0\x04\x40\x20\x01\x20\0\x6a\x21\x01\x0b", 60_000),
            ),
            "too expensive",
        ),
        (
            "calls that take gibibytes",
            functions(16, &body(b"\x20\0\x20\x01\x10\0", 150_000)),
            "too expensive",
        ),
        ("instances of instances: ten thousand", laughs(4, 10), ""),
        ("instances of instances: ten million", laughs(7, 10), ""),
        ("instances of instances: a billion", laughs(7, 20), ""),
    ]
}

#[test]
fn admission() {
    let mut arena = Arena::new("admission", &[], &[], &[]);
    let mut all: Vec<PathBuf> = Vec::new();
    for (attack, bytes, said) in strangers() {
        let wasm = file(&attack.replace(' ', "-").replace(',', ""), &bytes);
        arena.case(attack, "refused before it is served", |_| {
            refused(&wasm, &FLAGS, &[said])
        });
        all.push(wasm);
    }
    for (attack, guest, said) in pretenders() {
        let wasm = guest.file();
        arena.case(attack, "refused before it is served", |_| {
            refused(&wasm, &FLAGS, &[said])
        });
        all.push(wasm);
    }
    for (attack, bytes, said) in bombs() {
        let wasm = file(&attack.replace(' ', "-").replace([',', ':'], ""), &bytes);
        let stops = match said {
            "" | "too expensive" => "the compiler's process, or the check after it",
            _ => "a look at it before it is compiled",
        };
        arena.case(attack, stops, |_| refused(&wasm, &FLAGS, &[said]));
    }
    let code = compiled();
    arena.case(
        "compiled code instead of a component",
        "its first bytes",
        |_| refused(&code, &FLAGS, &["compiled"]),
    );
    let flaws = quick_or_soak(20, 2000);
    arena.case(
        &format!("{flaws} components with a few bytes changed"),
        "the checks of what is compiled; no more than a refusal comes of it",
        |_| flawed(flaws),
    );
    arena.case(
        "a server with all that is none",
        "--keep-going: the others are served",
        |_| {
            let mut serve = Serve::fixtures(&["alpha"]).flag("--keep-going");
            for wasm in &all {
                serve = serve.and(wasm);
            }
            let server = serve.set("--log", "error").start();
            let named = server.ors().get("/list_environments").json();
            assert_eq!(named, json!(["alpha"]));
            let session = server.ors().open("alpha", Task::At("train", 0));
            assert_eq!(session.call("noargs", json!({})).text(), "noargs ok");
            format!("{} refusals in the log, and `alpha` is served", all.len())
        },
    );
    arena.end();
}

/// The compiled code of a fixture, as a cache holds it.
fn compiled() -> PathBuf {
    let scratch = Scratch::new();
    let cache = scratch.path().join("cache");
    drop(Serve::fixtures(&["alpha"]).set("--cache", &cache).start());
    let code = fs::read_dir(&cache)
        .expect("a cache")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .expect("compiled code");
    let bytes = fs::read(code).expect("compiled code can be read");
    // Without the host's own mark at its start, if it has one there.
    let start = bytes
        .windows(4)
        .position(|four| four == b"\x7fELF")
        .expect("native code");
    file("compiled-code", &bytes[start..])
}

/// Inspects a component with random flaws, again and again: it is fine or
/// refused, and the program never fails otherwise. Says how often which.
fn flawed(times: u64) -> String {
    let good = guest("flawless").bytes();
    let (mut fine, mut refused) = (0, 0);
    for seed in 0..times {
        let mut random = StdRng::seed_from_u64(seed);
        let mut bytes = good.clone();
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(8..bytes.len());
            bytes[place] = random.random();
        }
        let wasm = file("flawed", &bytes);
        let ended = inspect(&wasm, &[]);
        match ended.code {
            Some(0) => fine += 1,
            _ => {
                ended.refuses(&["flawed.wasm"]);
                refused += 1;
            }
        }
    }
    format!("{refused} refused, {fine} harmless")
}
