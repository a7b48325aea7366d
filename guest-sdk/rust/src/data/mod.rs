//! The data of an environment: its folder, and files in it.

mod folder;
mod json_lines;
#[cfg(not(target_arch = "wasm32"))]
mod test_layer;

pub use folder::{Folder, data_dir};
pub use json_lines::JsonLines;
#[cfg(test)]
pub(crate) use test_layer::TempFolder;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use test_layer::TestLayer;

/// In a component the host provides the layer.
#[cfg(target_arch = "wasm32")]
pub(crate) struct TestLayer;

#[cfg(target_arch = "wasm32")]
impl TestLayer {
    pub(crate) fn over(_: Option<std::path::PathBuf>) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self)
    }

    pub(crate) fn enter<T>(&self, run: impl FnOnce() -> T) -> T {
        run()
    }
}
