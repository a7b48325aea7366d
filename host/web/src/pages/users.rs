//! The users of the platform, for its administrators.

use maud::html;

use crate::layout::Frame;
use crate::parts::{code, moment, token_field};

/// A user.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// The name.
    pub name: String,
    /// Whether the user administers the platform.
    pub is_admin: bool,
    /// Whether the user can sign in.
    pub has_password: bool,
    /// When the user was created.
    pub created_at: String,
}

/// What the page of users shows.
#[derive(Clone, Debug, Default)]
pub struct UsersPage {
    /// The users.
    pub rows: Vec<UserRow>,
    /// The name and the link of a user for whom one was made just now.
    pub link: Option<(String, String)>,
    /// What was wrong with the last form.
    pub problem: Option<String>,
}

/// Renders the page of users.
pub fn users(frame: &Frame, page: &UsersPage) -> String {
    let content = html! {
        h1 { "Users" }
        @if let Some(problem) = &page.problem { p.note.bad role="alert" { (problem) } }
        @if let Some((name, link)) = &page.link {
            section.note.stack.tight role="status" {
                h2 { "The link for " (name) }
                p { "Send it to " (name) ", who chooses a password there. It works once, within 7 days, and is \
                     not shown again." }
                (code(link))
            }
        }
        div.scroll tabindex="0" role="region" aria-label="Users" { table {
            thead { tr { th { "Name" } th { "Role" } th { "Created" } th { span.sr { "Action" } } } }
            tbody { @for row in &page.rows { tr {
                td { a.mono href={ "/" (row.name) } { (row.name) } }
                td {
                    @if row.is_admin { span.badge { "administrator" } " " }
                    @if !row.has_password { span.badge.wait { "no password yet" } }
                }
                td { (moment(&row.created_at)) }
                td.number {
                    form method="post" action="/settings/users" {
                        (token_field(&frame.token))
                        input type="hidden" name="name" value=(row.name);
                        button name="again" value="yes" aria-label={ "New link for " (row.name) } { "New link" }
                    }
                }
            } } }
        } }
        form.card.stack.tight.narrow method="post" action="/settings/users" {
            (token_field(&frame.token))
            label for="user-name" { "New user" }
            p.hint #user-hint { "1 to 64 letters, digits, “-” and “_”. It is also the owner of their environments." }
            div.row {
                div.search {
                    input #user-name.mono type="text" name="name" maxlength="64" autocapitalize="none"
                        spellcheck="false" aria-describedby="user-hint" required;
                }
                button.main { "Create user" }
            }
        }
    };
    frame.page("Users", &content)
}
