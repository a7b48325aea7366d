//! Signing in, and what belongs to a user.

use maud::html;

use crate::layout::Frame;
use crate::parts::{code, moment, token_field};

/// Renders the page on which a user signs in.
pub fn sign_in(frame: &Frame, name: &str, next: &str, problem: Option<&str>) -> String {
    let content = html! {
        div.stack.narrow {
            h1 { "Sign in" }
            @if let Some(problem) = problem { p.note.bad role="alert" { (problem) } }
            form.card.stack method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                div {
                    label for="name" { "Name" }
                    input #name type="text" name="name" value=(name) autocomplete="username"
                        autocapitalize="none" spellcheck="false" required;
                }
                div {
                    label for="password" { "Password" }
                    input #password type="password" name="password"
                        autocomplete="current-password" required;
                }
                div { button.main { "Sign in" } }
            }
            p.muted.small { "The operator of this platform makes accounts." }
        }
    };
    frame.page("Sign in", &content)
}

/// Renders the page on which a user chooses a password, by a link that works once.
pub fn set_up(frame: &Frame, user: &str, problem: Option<&str>) -> String {
    let content = html! {
        div.stack.narrow {
            h1 { "Welcome, " (user) }
            p { "Choose a password. Your name is " b { (user) } ". This page works once." }
            @if let Some(problem) = problem { p.note.bad role="alert" { (problem) } }
            form.card.stack method="post" {
                input type="hidden" name="name" value=(user) autocomplete="username";
                (new_password())
                div { button.main { "Set password and sign in" } }
            }
        }
    };
    frame.page("Choose a password", &content)
}

fn new_password() -> maud::Markup {
    html! {
        div {
            label for="password" { "New password" }
            p.hint #password-hint { "10 characters or more. A sentence is easy to remember." }
            input #password type="password" name="password" autocomplete="new-password"
                minlength="10" aria-describedby="password-hint" required;
        }
        div {
            label for="again" { "The same again" }
            input #again type="password" name="again" autocomplete="new-password" required;
        }
    }
}

/// An API key, without the key itself.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// The id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created_at: String,
}

/// What the page of a user's account shows.
#[derive(Clone, Debug, Default)]
pub struct AccountPage {
    /// The keys.
    pub keys: Vec<ApiKeyRow>,
    /// A key that was made just now.
    pub new_key: Option<String>,
    /// The organisations, with the role in each.
    pub memberships: Vec<(String, String)>,
    /// Whether the user administers the platform.
    pub is_admin: bool,
    /// The address of the platform.
    pub base: String,
    /// What was wrong with the last form.
    pub problem: Option<String>,
}

/// Renders the page of a user's account.
pub fn account(frame: &Frame, page: &AccountPage) -> String {
    let user = frame.user.as_deref().unwrap_or_default();
    let content = html! {
        div.head {
            h1 { (user) }
            div.row {
                a.button href="/settings/deleted" { "Deleted environments" }
                a.button href="/settings/audit" { "Changes" }
                @if page.is_admin { a.button href="/settings/users" { "Users of this platform" } }
            }
        }
        @if let Some(problem) = &page.problem { p.note.bad role="alert" { (problem) } }
        @if let Some(key) = &page.new_key {
            section.note.stack.tight role="status" {
                h2 { "Your new API key" }
                p { "Copy it now. It is not shown again." }
                (code(key))
                p { "Programs read it from the environment:" }
                (code(&environment_variables(&page.base, key)))
            }
        }
        div.split {
            section.stack aria-labelledby="keys" {
                h2 #keys { "API keys" }
                @if page.keys.is_empty() {
                    p.muted { "You have no keys. Programs and git need one." }
                } @else {
                    div.scroll { table {
                        thead { tr { th { "Name" } th { "Made" } th { span.sr { "Action" } } } }
                        tbody { @for key in &page.keys { tr {
                            td.wide { (key.name) }
                            td { (moment(&key.created_at)) }
                            td.number {
                                form method="post" action={ "/settings/keys/" (key.id) "/revoke" } {
                                    (token_field(&frame.token))
                                    button.danger aria-label={ "Revoke " (key.name) } { "Revoke" }
                                }
                            }
                        } } }
                    } }
                }
                form.card.stack.tight method="post" action="/settings/keys" {
                    (token_field(&frame.token))
                    label for="key-name" { "New key" }
                    p.hint #key-hint { "What it is for, such as “laptop” or “training”." }
                    div.row {
                        div.search {
                            input #key-name type="text" name="name" maxlength="64"
                                aria-describedby="key-hint" required;
                        }
                        button.main { "Make key" }
                    }
                }
            }
            div.stack {
                @if !page.memberships.is_empty() {
                    section.card {
                        h2 { "Organisations" }
                        dl.facts { @for (name, role) in &page.memberships {
                            dt { a href={ "/" (name) } { (name) } } dd { (role) }
                        } }
                    }
                }
                section.card.stack {
                    h2 { "Password" }
                    form.stack method="post" action="/settings/password" {
                        (token_field(&frame.token))
                        div {
                            label for="current" { "Current password" }
                            input #current type="password" name="current"
                                autocomplete="current-password" required;
                        }
                        (new_password())
                        div { button { "Change password" } }
                    }
                }
                section.card.stack.tight {
                    h2 { "Browsers" }
                    p.muted { "Ends the session of every browser in which you are signed in, this one \
                               included. API keys stay." }
                    form method="post" action="/settings/sign-out-everywhere" {
                        (token_field(&frame.token))
                        button { "Sign out everywhere" }
                    }
                }
            }
        }
    };
    frame.page(user, &content)
}

fn environment_variables(base: &str, key: &str) -> String {
    format!(
        "export OPENREWARD_URL={base} OPENREWARD_API_URL={base}\n\
         export OPENREWARD_SESSION_URL={base} OPENREWARD_API_KEY={key}"
    )
}
