//! The evaluator of bash is recursive: it needs more stack than the default of 1 MiB.

fn main() {
    println!("cargo::rustc-link-arg-cdylib=-zstack-size=8388608");
}
