//! What is around the content of every page.

use maud::{DOCTYPE, Markup, html};

use crate::assets::VERSION;
use crate::parts::token_field;

/// The colours that a user chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Those that the browser prefers.
    #[default]
    Preferred,
    /// Dark text on light.
    Light,
    /// Light text on dark.
    Dark,
}

impl Theme {
    /// Returns the theme with this name.
    pub fn of(name: &str) -> Theme {
        match name {
            "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => Theme::Preferred,
        }
    }

    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Theme::Preferred => "preferred",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// What every page shows around its content.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Who is signed in.
    pub user: Option<String>,
    /// The token that forms send back.
    pub token: String,
    /// The colours.
    pub theme: Theme,
    /// The path and the query of the page.
    pub path: String,
}

impl Frame {
    /// Renders a page.
    pub(crate) fn page(&self, title: &str, content: &Markup) -> String {
        let version = &*VERSION;
        let theme = (self.theme != Theme::Preferred).then(|| self.theme.as_str());
        let here = |path: &str| (self.path == path).then_some("page");
        let markup = html! {
            (DOCTYPE)
            html lang="en" data-theme=[theme] {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="same-origin";
                    title { (title) " – orwd" }
                    link rel="icon" href={ "/static/icon.svg?" (version) };
                    link rel="stylesheet" href={ "/static/app.css?" (version) };
                    script src={ "/static/app.js?" (version) } defer {}
                }
                body {
                    a.skip href="#content" { "Skip to the content" }
                    header.bar { div {
                        a.mark href="/" { (mark()) "orwd" }
                        nav aria-label="Site" {
                            a href="/" aria-current=[here("/")] { "Environments" }
                            @if let Some(user) = &self.user {
                                a href="/new" aria-current=[here("/new")] { "+ New environment" }
                                a.end href="/settings" aria-current=[here("/settings")] { (user) }
                                form method="post" action="/logout" {
                                    (token_field(&self.token))
                                    button.quiet { "Sign out" }
                                }
                            } @else {
                                a.end href="/login" aria-current=[here("/login")] { "Sign in" }
                            }
                        }
                    } }
                    main #content { (content) }
                    footer {
                        span { "orwd " (env!("CARGO_PKG_VERSION")) }
                        (self.theme_switch())
                    }
                }
            }
        };
        markup.into_string()
    }

    fn theme_switch(&self) -> Markup {
        html! {
            form.row method="post" action="/settings/theme" {
                (token_field(&self.token))
                input type="hidden" name="next" value=(self.path);
                span #theme { "Colours" }
                @for (theme, label) in [
                    (Theme::Preferred, "as the system"), (Theme::Light, "light"), (Theme::Dark, "dark"),
                ] {
                    button.quiet name="theme" value=(theme.as_str()) aria-describedby="theme"
                        aria-pressed=(self.theme == theme) {
                        @if self.theme == theme { "✓ " } (label)
                    }
                }
            }
        }
    }
}

/// The mark: rewards that rise by steps.
fn mark() -> Markup {
    html! {
        svg viewBox="0 0 24 24" aria-hidden="true" {
            path d="M3 19h6v-6h6V7h3" {}
            circle cx="19.5" cy="5.5" r="2.5" {}
        }
    }
}
