//! A host that was taken over: what it still can do behind its walls.
//!
//! A guest cannot show that these walls hold, since it would have to get out
//! first. So this program starts itself again as a process that needs what
//! `orwd serve` needs, puts up the same walls with the same library, and then
//! does what whoever took it over would try: every attempt of [`attempts`] must
//! fail at the wall, and everything of [`duties`] must go on. A second process
//! tries the same without walls, which shows that it is the walls that stop it.
//!
//! Walls are for good, so that no two tests could share a process; hence no
//! harness. Where the kernel lacks a wall, what it would stop is left out, and
//! that is said.

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
mod old;
#[cfg(target_os = "linux")]
mod scene;

#[cfg(target_os = "linux")]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--taken-over", walls, folder, elsewhere] => scene::taken_over(walls, folder, elsewhere),
        ["--old-kernel", ref program @ ..] => old::kernel(program),
        // Asked for the names of its tests, or for one of another name.
        _ if words.iter().any(|word| word == "--list") => {}
        _ => {
            scene::whoever_takes_the_host_over_finds_walls();
            old::a_kernel_without_walls_is_told();
            println!("walls: all well");
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("there are no walls but on Linux");
}
