//! Support code that the black-box tests share.
//!
//! The tests know a server by its address only, so nothing here names a type
//! of the host. From the socket upwards:
//!
//! * [`http`]: a client that sends requests byte for byte and keeps responses
//!   unchanged;
//! * [`ors`]: the protocol's routes, a session that deletes itself, and event
//!   streams, read event by event or as a whole;
//! * [`expect`]: assertions that many tests make about a response;
//! * [`background`]: work on another thread;
//! * [`artifacts`]: builds the binary and the guests, once per test process;
//! * [`model_server`]: a server of a language model, which environments ask;
//! * [`process`]: runs the binary, to its end or as a server;
//! * [`requirement`]: skips a test whose requirement is missing, except in CI;
//! * [`test_dir`]: directories that are removed after the test;
//! * [`wasm`]: pieces of the binary format of components.
//!
//! Helpers panic where a test cannot continue, and print what they saw.

pub mod artifacts;
pub mod background;
pub mod expect;
pub mod http;
pub mod model_server;
pub mod ors;
pub mod process;
pub mod requirement;
pub mod test_dir;
pub mod wasm;
