//! What the black-box tests share.
//!
//! The tests know a server by its address only, so nothing here names a type
//! of the host. From the socket upwards:
//!
//! * [`http`]: a client that sends what it is told, byte for byte, and keeps
//!   what came as it came;
//! * [`sse`]: an event-stream parser that owes nothing to the server's writer;
//! * [`stream`]: an event stream over HTTP, read event by event or whole;
//! * [`ors`]: the protocol's verbs and a session that deletes itself;
//! * [`expect`]: the checks that many tests make of an answer;
//! * [`later`]: work on another thread;
//! * [`artifacts`]: builds the binary and the guests, once;
//! * [`command`] and [`server`]: runs the binary, to its end or as a server;
//! * [`state`]: what a server keeps of its sessions;
//! * [`subject`]: the server that a whole test target asks;
//! * [`scratch`]: folders that go away again;
//! * [`wasm`]: pieces of the binary format of components.
//!
//! Helpers panic where a test could not go on, and say what they saw.

pub mod artifacts;
pub mod command;
pub mod expect;
pub mod http;
pub mod later;
pub mod ors;
pub mod scratch;
pub mod server;
pub mod sse;
pub mod state;
pub mod stream;
pub mod subject;
pub mod wasm;
