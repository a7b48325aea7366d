//! Host bindings of `wit/`, generated at build time.
//!
//! A separate crate, so that a change to the host does not generate and compile
//! the bindings again. Every export is asynchronous on the host: a guest that
//! waits for a clock or reaches the end of its time slice yields its thread.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "environment",
    exports: { default: async },
});

/// The HTTP requests of a guest. The import is asynchronous on the host, and may
/// end the guest.
pub mod network {
    wasmtime::component::bindgen!({
        path: "../../wit/network",
        world: "client",
        imports: { default: async | trappable },
    });
}
