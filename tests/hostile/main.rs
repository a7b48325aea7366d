//! Attacks by guests and by clients, each named by what it does.
//!
//! Each file of `attacks/` is a family of attacks on one server with small
//! limits. During every attack a canary session of another owner makes calls
//! and must not be affected; afterwards the server must hold no more resources
//! than before. `harness/` has the rules, `guests/` builds the guests, and the
//! table that is printed at the end of each family says what stopped each
//! attack.
//!
//! The quick cases always run, all of them with `--features soak`.

mod attacks;
mod guests;
mod harness;
