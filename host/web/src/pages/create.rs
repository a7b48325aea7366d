//! The form for a new environment.

use maud::html;

use crate::layout::Frame;
use crate::parts::token_field;

/// What was entered into the form.
#[derive(Clone, Debug, Default)]
pub struct NewEnvironmentForm {
    /// The namespace.
    pub owner: String,
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// Whether only members see it.
    pub is_private: bool,
    /// The namespaces that the user may choose.
    pub owners: Vec<String>,
    /// What was wrong.
    pub problem: Option<String>,
}

/// Renders the form for a new environment.
pub fn create(frame: &Frame, form: &NewEnvironmentForm) -> String {
    let content = html! {
        div.stack.narrow {
            h1 { "New environment" }
            @if let Some(problem) = &form.problem { p.note.bad role="alert" { (problem) } }
            form.card.stack method="post" action="/new" {
                (token_field(&frame.token))
                @if form.owners.len() > 1 {
                    div {
                        label for="owner" { "Owner" }
                        select #owner name="owner" {
                            @for owner in &form.owners {
                                option value=(owner) selected[*owner == form.owner] { (owner) }
                            }
                        }
                    }
                } @else {
                    input type="hidden" name="owner" value=(form.owner);
                }
                div {
                    label for="name" { "Name" }
                    p.hint #name-hint { "3 to 64 letters, digits, “-” and “_”." }
                    input #name.mono type="text" name="name" value=(form.name) minlength="3"
                        maxlength="64" pattern="[A-Za-z0-9_\\-]+" autocapitalize="none"
                        spellcheck="false" aria-describedby="name-hint" required;
                }
                div {
                    label for="description" { "Description" }
                    textarea #description name="description" { (form.description) }
                }
                fieldset.stack.tight.bare {
                    legend.sr { "Visibility" }
                    div.choice {
                        input #public type="radio" name="visibility" value="public" checked[!form.is_private];
                        label for="public" { b { "Public" } " – everyone finds it, and every key plays it" }
                    }
                    div.choice {
                        input #private type="radio" name="visibility" value="private" checked[form.is_private];
                        label for="private" { b { "Private" } " – only members of its namespace know that it exists" }
                    }
                }
                div { button.main { "Create environment" } }
            }
        }
    };
    frame.page("New environment", &content)
}
