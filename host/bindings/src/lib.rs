//! The host's side of `wit/`, generated at build time.
//!
//! A crate of its own, so that a change to the host does not generate and
//! compile the bindings again. Every export is asynchronous on the host: a
//! guest that waits for a clock or runs out of its time slice gives its thread
//! back.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "environment",
    exports: { default: async },
});
