//! Blocks: the content of prompts and tool outputs.

use serde::Serialize;

use crate::json::Object;

/// A piece of a prompt or of a tool's output.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text.
    Text(Text),
    /// A picture.
    Image(Image),
}

/// Creates a text block.
///
/// ```
/// use orwd_sdk::prelude::*;
///
/// let blocks: Vec<Block> = vec![text("Hello."), text("Bye.").detail(json!({"lang": "en"}))];
/// # assert_eq!(blocks.len(), 2);
/// ```
pub fn text(text: impl Into<String>) -> Block {
    Block::Text(Text::new(text))
}

impl Block {
    /// Adds detail: a JSON object for tools and viewers that the agent does not
    /// see.
    pub fn detail(self, detail: impl Serialize) -> Self {
        match self {
            Self::Text(text) => Self::Text(text.detail(detail)),
            Self::Image(image) => Self::Image(image.detail(detail)),
        }
    }

    /// Returns the text of a text block, or `None` for an image.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&text.text),
            Self::Image(_) => None,
        }
    }
}

/// Text shown to the agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// A JSON object for tools and viewers that the agent does not see.
    pub detail: Option<Object>,
}

impl Text {
    /// Creates a text block without detail.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            detail: None,
        }
    }

    /// Adds detail: a JSON object for tools and viewers that the agent does not
    /// see.
    pub fn detail(mut self, detail: impl Serialize) -> Self {
        self.detail = Some(Object::new(detail));
        self
    }
}

/// A picture shown to the agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The bytes of the file, not encoded.
    pub data: Vec<u8>,
    /// For example `image/png`.
    pub mime_type: String,
    /// A JSON object for tools and viewers that the agent does not see.
    pub detail: Option<Object>,
}

impl Image {
    /// Creates a picture from the bytes of its file.
    pub fn new(mime_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self {
            data: data.into(),
            mime_type: mime_type.into(),
            detail: None,
        }
    }

    /// Creates a picture from a PNG file.
    pub fn png(data: impl Into<Vec<u8>>) -> Self {
        Self::new("image/png", data)
    }

    /// Creates a picture from a JPEG file.
    pub fn jpeg(data: impl Into<Vec<u8>>) -> Self {
        Self::new("image/jpeg", data)
    }

    /// Adds detail: a JSON object for tools and viewers that the agent does not
    /// see.
    pub fn detail(mut self, detail: impl Serialize) -> Self {
        self.detail = Some(Object::new(detail));
        self
    }
}

impl From<Text> for Block {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Image> for Block {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

impl From<String> for Block {
    fn from(value: String) -> Self {
        text(value)
    }
}

impl From<&str> for Block {
    fn from(value: &str) -> Self {
        text(value)
    }
}
