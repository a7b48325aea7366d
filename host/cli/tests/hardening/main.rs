//! A compromised host: what it can still do after hardening.
//!
//! A guest cannot test hardening, since it would have to escape its sandbox
//! first. So this program starts itself as a process with the policy of
//! `orwd serve`, applies hardening with the same library, and does what an
//! attacker would. Every attempt of [`attempts`] must be denied, and everything
//! of [`duties`] must still work. A second process does the same without
//! hardening, which shows that hardening is what denies the attempts.
//!
//! Hardening cannot be undone, so tests cannot share a process; hence no
//! harness. Where the kernel lacks a protection, its attempts are skipped, which
//! is printed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what fails is the test, and it reports by itself"
)]

#[cfg(target_os = "linux")]
mod attempts;
#[cfg(target_os = "linux")]
mod duties;
#[cfg(target_os = "linux")]
mod old_kernel;
#[cfg(target_os = "linux")]
mod scene;

#[cfg(target_os = "linux")]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--compromised", hardening, folder, elsewhere] => {
            scene::compromised(hardening, folder, elsewhere);
        }
        ["--old-kernel", ref program @ ..] => old_kernel::run(program),
        // The test runner asks for the names of the tests.
        _ if words.iter().any(|word| word == "--list") => {}
        _ => {
            scene::a_compromised_host_is_confined();
            old_kernel::missing_protections_are_logged();
            println!("hardening: ok");
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("hardening requires Linux");
}
