//! The repository that an environment is deployed from, and its webhook.

use maud::{Markup, html};

use super::environment::{EnvironmentHead, Tab, head};
use crate::layout::Frame;
use crate::parts::{code, moment, short, token_field};

/// A repository elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// The address.
    pub url: String,
    /// The default branch, when it was read last.
    pub branch: Option<String>,
    /// The head of that branch.
    pub commit: Option<String>,
    /// When it was read last.
    pub checked_at: Option<String>,
    /// Why it cannot be read.
    pub problem: Option<String>,
    /// The address of the webhook.
    pub webhook: String,
}

/// What the page of the repository shows.
#[derive(Clone, Debug, Default)]
pub struct RepositoryPage {
    /// The environment.
    pub head: EnvironmentHead,
    /// The name of the repository of the platform that it is deployed from.
    pub own: Option<String>,
    /// The repository elsewhere that it is deployed from.
    pub elsewhere: Option<Elsewhere>,
    /// A secret of the webhook that was made just now.
    pub secret: Option<String>,
    /// The address that was entered.
    pub url: String,
    /// The folder of the repository, as it is or was entered.
    pub subdirectory: String,
    /// What was wrong with the last form.
    pub problem: Option<String>,
}

/// Renders the page of the repository of an environment.
pub fn repository(frame: &Frame, page: &RepositoryPage) -> String {
    let name = page.head.full_name();
    let address = format!("/{name}/repository");
    let content = html! {
        (head(frame, &page.head, Tab::Settings))
        @if let Some(problem) = &page.problem { p.note.bad role="alert" { (problem) } }
        @if let Some(secret) = &page.secret {
            section.note.stack.tight role="status" {
                h2 { "The secret of the webhook" }
                p { "Copy it now. It is not shown again, and a former one has ended." }
                (code(secret))
                p { "GitHub and Gitea take it as the secret, with the content type application/json. GitLab \
                     takes it as the secret token. The event is a push." }
            }
        }
        section.card.stack.narrow aria-labelledby="source" {
            h2 #source { "Repository" }
            @match (&page.elsewhere, &page.own) {
                (Some(elsewhere), _) => { (facts(elsewhere)) }
                (None, Some(own)) => {
                    p { "Pushes to the default branch of " span.mono { (own) } " of this platform are deployed." }
                }
                (None, None) => p.muted { "None: components that are uploaded are deployed." },
            }
            @if page.elsewhere.is_some() {
                form method="post" action={ (address) "/webhook" } {
                    (token_field(&frame.token))
                    button { "New webhook secret" }
                }
            }
            @if page.elsewhere.is_some() || page.own.is_some() {
                form.stack.tight method="post" action={ (address) "/unlink" } {
                    (token_field(&frame.token))
                    p.hint { "The served version stays." }
                    div { button.danger { "Remove the link" } }
                }
            }
        }
        form.card.stack.narrow method="post" action=(address) {
            (token_field(&frame.token))
            h2 { "Deploy from another repository" }
            div {
                label for="url" { "Address" }
                p.hint #url-hint { "The https:// address of a public repository. Empty for the repository of this \
                                    environment on this platform." }
                input #url.mono type="text" name="url" value=(page.url) maxlength="1024" autocapitalize="none"
                    spellcheck="false" placeholder="https://github.com/OWNER/NAME.git" aria-describedby="url-hint";
            }
            div {
                label for="subdirectory" { "Folder" }
                p.hint #subdirectory-hint { "Where the environment is in the repository. Empty for its root." }
                input #subdirectory.mono type="text" name="subdirectory" value=(page.subdirectory)
                    autocapitalize="none" spellcheck="false" aria-describedby="subdirectory-hint";
            }
            div { button.main { "Link" } }
        }
    };
    frame.page(&format!("Repository of {name}"), &content)
}

fn facts(elsewhere: &Elsewhere) -> Markup {
    html! {
        @if let Some(problem) = &elsewhere.problem {
            p.note.bad { "It could not be read: " (problem) }
        }
        dl.facts {
            dt { "Address" } dd.mono { (elsewhere.url) }
            @if let Some(branch) = &elsewhere.branch { dt { "Branch" } dd.mono { (branch) } }
            @if let Some(commit) = &elsewhere.commit { dt { "Commit" } dd.mono { (short(commit)) } }
            dt { "Looked at" }
            dd { @match &elsewhere.checked_at {
                Some(at) => { (moment(at)) " UTC" },
                None => "not yet",
            } }
            dt { "Webhook" } dd.mono { (elsewhere.webhook) }
        }
        p.hint { "The platform looks at it in intervals, and at once when its forge sends the webhook." }
    }
}
