//! The settings of an environment.

use maud::html;

use super::environment::{EnvironmentHead, Tab, head};
use crate::layout::Frame;
use crate::parts::token_field;

/// The settings, as they are or as they were entered.
#[derive(Clone, Debug, Default)]
pub struct SettingsForm {
    /// The environment.
    pub head: EnvironmentHead,
    /// Processes that stay loaded.
    pub min_scale: String,
    /// Largest number of instances.
    pub max_scale: String,
    /// Sessions of an instance.
    pub concurrency: String,
    /// The size of an instance, such as `1-4`.
    pub cpu_memory: String,
    /// What it is deployed from.
    pub repository: Option<String>,
    /// What was wrong.
    pub problem: Option<String>,
    /// Whether the settings were changed just now.
    pub is_saved: bool,
}

/// Renders the settings of an environment.
pub fn settings(frame: &Frame, form: &SettingsForm) -> String {
    let name = form.head.full_name();
    let numbers = [
        (
            "minScale",
            "Smallest number of instances",
            &form.min_scale,
            "With 1 or more the process of the served version stays loaded. With 0 it stops after 30 minutes \
          without requests, and starts again with the next one.",
        ),
        (
            "maxScale",
            "Largest number of instances",
            &form.max_scale,
            "0 pauses the environment: open sessions continue, and new ones are refused.",
        ),
        (
            "concurrency",
            "Sessions of an instance",
            &form.concurrency,
            "This times the largest number of instances is how many sessions may be open at once.",
        ),
    ];
    let content = html! {
        (head(frame, &form.head, Tab::Settings))
        @if let Some(problem) = &form.problem { p.note.bad role="alert" { (problem) } }
        @if form.is_saved { p.note role="status" { "Saved. Running versions use the new settings." } }
        form.stack.narrow method="post" action={ "/" (name) "/settings" } {
            (token_field(&frame.token))
            section.card.stack {
                h2 { "Description and visibility" }
                div {
                    label for="description" { "Description" }
                    textarea #description name="description" { (form.head.description) }
                }
                div.choice {
                    input #private type="checkbox" name="private" value="yes" checked[form.head.is_private];
                    label for="private" { b { "Private" } " – only members of its namespace know that it exists" }
                }
            }
            section.card.stack {
                h2 { "Scaling" }
                @for (field, label, value, hint) in numbers { div {
                    label for=(field) { (label) }
                    p.hint id={ (field) "-hint" } { (hint) }
                    input id=(field) type="number" name=(field) value=(value) min="0"
                        aria-describedby={ (field) "-hint" } required;
                } }
                div {
                    label for="cpuMemory" { "CPUs and memory" }
                    p.hint #cpuMemory-hint { "Kept for clients that ask for it. It has no effect here: sessions \
                                              are sandboxes of one process, each with limits of its own." }
                    input #cpuMemory.mono type="text" name="cpuMemory" value=(form.cpu_memory)
                        aria-describedby="cpuMemory-hint" required;
                }
            }
            div { button.main { "Save" } }
        }
        section.card.stack.narrow aria-labelledby="repository" {
            h2 #repository { "Repository" }
            p { @match &form.repository {
                Some(repository) => { "Deployed from " span.mono { (repository) } "." },
                None => "Not linked to a repository.",
            } }
            div { a.button href={ "/" (name) "/repository" } { "Repository and webhook" } }
        }
        section.card.stack.narrow.danger aria-labelledby="danger" {
            h2 #danger { "Danger zone" }
            form.stack.tight method="post" action={ "/" (name) "/rename" } {
                (token_field(&frame.token))
                label for="new-name" { "New name" }
                p.hint #new-name-hint { "Git, programs and links that use the old name go on, until another \
                                         environment takes it." }
                div.row {
                    div.search {
                        input #new-name.mono type="text" name="name" value=(form.head.name) minlength="3"
                            maxlength="64" pattern="[A-Za-z0-9_\\-]+" autocapitalize="none" spellcheck="false"
                            aria-describedby="new-name-hint" required;
                    }
                    button.danger { "Rename" }
                }
            }
            form.stack.tight method="post" action={ "/" (name) "/delete" } {
                (token_field(&frame.token))
                label for="confirm" { "Delete: type " span.mono { (name) } " to confirm" }
                p.hint #confirm-hint { "It is hidden at once, with its sessions. You can restore it under "
                    a href="/settings/deleted" { "Deleted environments" } " for a time, and then it is removed." }
                div.row {
                    div.search {
                        input #confirm.mono type="text" name="confirm" autocomplete="off" autocapitalize="none"
                            spellcheck="false" aria-describedby="confirm-hint" required;
                    }
                    button.danger { "Delete" }
                }
            }
        }
    };
    frame.page(&format!("Settings of {name}"), &content)
}
