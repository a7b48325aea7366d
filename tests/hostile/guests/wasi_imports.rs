//! Guests that import WASI interfaces, as a base for attacks.

use super::wat_guest::{WatGuest, wat_guest};

/// A guest with the random source.
pub(crate) fn with_random(name: &str) -> WatGuest {
    wat_guest(name).import(
        "wasi:random/random@0.2.0",
        r#"(export "get-random-bytes" (func (param "len" u64) (result (list u8))))
           (export "get-random-u64" (func (result u64)))"#,
        &[
            ("get-random-bytes", "(param i64 i32)"),
            ("get-random-u64", "(result i64)"),
        ],
    )
}

/// A guest with the monotonic clock and polling.
pub(crate) fn with_clock(name: &str) -> WatGuest {
    wat_guest(name)
        .import(
            "wasi:io/poll@0.2.0",
            r#"(export "pollable" (type $p (sub resource)))
               (export "[method]pollable.block" (func (param "self" (borrow $p))))
               (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))"#,
            &[
                ("[method]pollable.block", "(param i32)"),
                ("poll", "(param i32 i32 i32)"),
            ],
        )
        .with(
            "before",
            "(alias export $wasi-io-poll \"pollable\" (type $pollable))
             (core func $drop-pollable (canon resource.drop $pollable))",
        )
        .with("lent", "(export \"forget\" (func $drop-pollable))")
        .with(
            "imports",
            "(import \"host\" \"forget\" (func $forget (param i32)))",
        )
        .import(
            "wasi:clocks/monotonic-clock@0.2.0",
            r#"(alias outer $environment $pollable (type $p))
               (export "pollable" (type $q (eq $p)))
               (export "now" (func (result u64)))
               (export "subscribe-duration" (func (param "when" u64) (result (own $q))))"#,
            &[
                ("now", "(result i64)"),
                ("subscribe-duration", "(param i64) (result i32)"),
            ],
        )
}

/// A guest with standard output and streams.
pub(crate) fn with_stdout(name: &str) -> WatGuest {
    with_clock(name)
        .import(
            "wasi:io/error@0.2.0",
            r#"(export "error" (type (sub resource)))"#,
            &[],
        )
        .with(
            "before",
            r#"(alias export $wasi-io-error "error" (type $error))"#,
        )
        .import(
            "wasi:io/streams@0.2.0",
            r#"(export "output-stream" (type $o (sub resource)))
               (export "input-stream" (type $i (sub resource)))
               (alias outer $environment $error (type $e0))
               (export "error" (type $e (eq $e0)))
               (type $s0 (variant (case "last-operation-failed" (own $e)) (case "closed")))
               (export "stream-error" (type $s (eq $s0)))
               (export "[method]output-stream.check-write"
                 (func (param "self" (borrow $o)) (result (result u64 (error $s)))))
               (export "[method]output-stream.write"
                 (func (param "self" (borrow $o)) (param "contents" (list u8))
                   (result (result (error $s)))))
               (export "[method]output-stream.blocking-write-and-flush"
                 (func (param "self" (borrow $o)) (param "contents" (list u8))
                   (result (result (error $s)))))
               (export "[method]output-stream.write-zeroes"
                 (func (param "self" (borrow $o)) (param "len" u64)
                   (result (result (error $s)))))
               (export "[method]output-stream.blocking-write-zeroes-and-flush"
                 (func (param "self" (borrow $o)) (param "len" u64)
                   (result (result (error $s)))))"#,
            &[
                ("[method]output-stream.check-write", "(param i32 i32)"),
                ("[method]output-stream.write", "(param i32 i32 i32 i32)"),
                (
                    "[method]output-stream.blocking-write-and-flush",
                    "(param i32 i32 i32 i32)",
                ),
                ("[method]output-stream.write-zeroes", "(param i32 i64 i32)"),
                (
                    "[method]output-stream.blocking-write-zeroes-and-flush",
                    "(param i32 i64 i32)",
                ),
            ],
        )
        .with(
            "before",
            r#"(alias export $wasi-io-streams "output-stream" (type $output))
               (core func $drop-output (canon resource.drop $output))"#,
        )
        .import(
            "wasi:cli/stdout@0.2.0",
            r#"(alias outer $environment $output (type $o))
               (export "output-stream" (type $p (eq $o)))
               (export "get-stdout" (func (result (own $p))))"#,
            &[("get-stdout", "(result i32)")],
        )
        .with("lent", r#"(export "close" (func $drop-output))"#)
        .with(
            "imports",
            r#"(import "host" "close" (func $close (param i32)))"#,
        )
}
