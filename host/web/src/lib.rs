//! The pages of the platform, rendered from plain data.
//!
//! A function of [`pages`] or [`episode`] takes what a page shows and returns its
//! HTML as text. Text of authors, guests, agents and logs is escaped by
//! the templates; Markdown becomes a fixed set of elements in [`markdown`]. Pages
//! have neither inline scripts nor inline styles, so that [`SECURITY_POLICY`] can
//! forbid them. Nothing here knows HTTP, the database or sessions.

mod assets;
pub mod episode;
mod layout;
pub mod markdown;
pub mod pages;
mod parts;

pub use assets::{Asset, asset};
pub use layout::{Frame, Theme};

/// The content security policy of every page.
pub const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
