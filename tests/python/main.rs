//! Python environments: unmodified classes become components and behave as they
//! do under the reference server.
//!
//! The sources are below `environments/`. They are built by the real binary,
//! which makes its tool environment below the tests' cache directory, and run
//! natively under the published package, in a virtual environment of the tests.
//! Both need `python3` with its `venv` module and, the first time, a package
//! index.

mod building;
mod commands;
mod endurance;
mod episodes;
mod fidelity;
mod native;
mod requests;
