//! The attacks, one file per family.

mod component_admission;
mod disk;
mod files;
mod held_bytes;
mod host_call_fuzzer;
mod host_calls;
mod http;
mod http_requests;
mod memory;
mod network;
mod outputs;
mod oversubscription;
mod shell;
mod time;
