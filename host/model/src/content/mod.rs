//! Content that passes between agents, clients and guests, and its size.

mod block;
mod encoded_size;
mod heap_size;
mod json;
mod json_depth;

pub use block::{Block, Candidate, Message, MessageBlock, Role};
pub use encoded_size::EncodedSize;
pub use heap_size::HeapSize;
pub use json::{InvalidJsonObject, Json, json_text};
pub use json_depth::JsonDepth;
