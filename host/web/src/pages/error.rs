//! The page of a request that fails.

use maud::html;

use crate::layout::Frame;

/// Renders an error page. `message` says what is wrong, for people.
pub fn error(frame: &Frame, status: u16, message: &str) -> String {
    let title = match status {
        400 => "This request is not valid",
        401 => "Please sign in",
        403 => "You may not do this",
        404 => "There is no such page",
        405 => "This page takes no such request",
        409 => "This cannot be done now",
        413 => "This is too large",
        429 => "Too many requests",
        503 => "Not ready yet",
        500.. => "The platform failed",
        _ => "This did not work",
    };
    let content = html! {
        div.stack.narrow {
            p.muted.mono { (status) }
            h1 { (title) }
            p { (message) }
            @if status == 404 && frame.user.is_none() {
                p.muted { "Private environments are shown to their members only. "
                          a href="/login" { "Sign in" } " if you are one." }
            }
            p { a href="/" { "All environments" } }
        }
    };
    frame.page(title, &content)
}
