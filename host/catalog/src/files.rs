//! Files of authors and of the host: opened once, without blocking, and read
//! within a bound.

mod author_folder;
mod component_file;
mod component_store;

pub use author_folder::AuthorFolder;
pub(crate) use author_folder::{open_regular, read_whole, stays_below};
pub use component_file::ComponentFile;
pub use component_store::ComponentStore;
