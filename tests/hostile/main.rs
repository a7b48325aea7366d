//! Guests and clients that do their worst, each named by its attack.
//!
//! Each file is a family of attacks on one server with small limits. Beside
//! every attack a canary of another owner plays on, and must notice nothing;
//! after it the server must hold what it held before. `arena.rs` has the
//! rules, `world.wat` is what most guests are made of, and the table that is
//! printed at the end of each family says for every attack what stopped it.
//!
//! The quick cases run always, all of them with `--features soak`.

mod admission;
mod arena;
mod calls;
mod canary;
mod crowd;
mod files;
mod front;
mod guests;
mod malformed;
mod memory;
mod outputs;
mod provoke;
mod puppet;
mod report;
mod requests;
mod time;
mod vitals;

/// One figure for every day, another for a long night.
pub(crate) fn quick_or_soak<T>(quick: T, soak: T) -> T {
    if cfg!(feature = "soak") { soak } else { quick }
}
