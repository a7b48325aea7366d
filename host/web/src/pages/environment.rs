//! The card of an environment, and the head of all of its pages.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::layout::Frame;
use crate::markdown;
use crate::parts::{code, moment, short, size};

/// A page of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// The card.
    Overview,
    /// The tasks.
    Tasks,
    /// The sessions.
    Sessions,
    /// The deployments.
    Deployments,
    /// The settings.
    Settings,
}

/// What all pages of an environment show.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentHead {
    /// The namespace.
    pub owner: String,
    /// The name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether only members see it.
    pub is_private: bool,
    /// Whether the viewer may change it.
    pub may_change: bool,
}

impl EnvironmentHead {
    /// Returns the name with the owner.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// Renders the head of a page of an environment.
pub(crate) fn head(frame: &Frame, environment: &EnvironmentHead, tab: Tab) -> Markup {
    let (owner, name) = (&environment.owner, &environment.name);
    let base = format!("/{owner}/{name}");
    let is_known = frame.user.is_some();
    let tabs = [
        (Tab::Overview, "", "Overview", true),
        (Tab::Tasks, "/tasks", "Tasks", is_known),
        (Tab::Sessions, "/sessions", "Sessions", is_known),
        (
            Tab::Deployments,
            "/deployments",
            "Deployments",
            environment.may_change,
        ),
        (
            Tab::Settings,
            "/settings",
            "Settings",
            environment.may_change,
        ),
    ];
    html! {
        div.stack {
            div {
                div.row {
                    h1.name { a href={ "/" (owner) } { (owner) } "/" (name) }
                    @if environment.is_private { span.badge { "private" } }
                }
                @if tab == Tab::Overview && !environment.description.is_empty() {
                    p.lead { (environment.description) }
                }
            }
            nav.tabs aria-label="Environment" {
                @for (known, path, label, is_shown) in tabs { @if is_shown {
                    a href={ (base) (path) } aria-current=[(known == tab).then_some("page")] { (label) }
                } }
            }
        }
    }
}

/// What `orwd inspect` says of an environment, as far as pages show it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct About {
    /// The name.
    pub name: String,
    /// The version that it gives itself.
    pub version: String,
    /// Bytes of the component.
    pub size: u64,
    /// What the component imports.
    pub imports: Vec<AboutImport>,
    /// The secrets that it declares.
    pub secrets: Vec<String>,
    /// What it may reach by HTTP.
    pub network: AboutNetwork,
    /// The splits of its tasks.
    pub splits: Vec<AboutSplit>,
    /// The tools.
    pub tools: Vec<AboutTool>,
}

/// An import of a component.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AboutImport {
    /// The interface.
    pub name: String,
    /// Whether it is granted.
    pub grant: String,
}

/// What an environment may reach by HTTP.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AboutNetwork {
    /// What the manifest asks for.
    pub requested: Vec<String>,
    /// What the operator allows of it.
    pub granted: Vec<String>,
}

/// A split of the tasks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AboutSplit {
    /// The name.
    pub name: String,
    /// The number of tasks, if it is known.
    pub num_tasks: Option<u64>,
}

/// A tool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AboutTool {
    /// The name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON Schema of its input.
    pub input_schema: Option<Value>,
}

/// What the card shows.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentPage {
    /// The environment.
    pub head: EnvironmentHead,
    /// The README, in Markdown.
    pub readme: Option<String>,
    /// The environments of the served version; none if nothing is served.
    pub about: Vec<About>,
    /// The commit of the served version.
    pub commit: String,
    /// The digest of the served components.
    pub digest: String,
    /// When the served version was deployed.
    pub deployed_at: String,
    /// Whether a version is served.
    pub is_deployed: bool,
    /// Whether the environment is linked to a repository.
    pub is_linked: bool,
    /// The address of the platform.
    pub base: String,
    /// The name and the address of each page about it.
    pub links: Vec<(&'static str, String)>,
}

/// Renders the card of an environment.
pub fn environment(frame: &Frame, page: &EnvironmentPage) -> String {
    let full_name = page.head.full_name();
    let content = html! {
        (head(frame, &page.head, Tab::Overview))
        @if !page.is_deployed { (next_steps(page)) } @else {
            div.split {
                div.stack {
                    @if let Some(readme) = &page.readme {
                        article.card.prose aria-label="README" { (markdown::render(readme)) }
                    }
                    (snippets(page))
                    @for about in &page.about { (tools(about, page.about.len() > 1)) }
                }
                aside.stack aria-label="About" {
                    (facts(page))
                    (reach(page))
                }
            }
        }
    };
    frame.page(&full_name, &content)
}

fn facts(page: &EnvironmentPage) -> Markup {
    html! {
        section.card {
            h2 { "Served version" }
            dl.facts {
                dt { "Commit" } dd.mono title=(page.commit) { (short(&page.commit)) }
                dt { "Component" } dd.mono title=(page.digest) { (short(&page.digest)) }
                dt { "Deployed" } dd { (moment(&page.deployed_at)) }
                @for about in &page.about {
                    @if page.about.len() > 1 { dt { "Variant" } dd.mono { (about.name) } }
                    dt { "Size" } dd { (size(about.size)) }
                    @for split in &about.splits {
                        dt { "Tasks, " (split.name) }
                        dd { @match split.num_tasks { Some(count) => (count), None => "unknown" } }
                    }
                }
                @for (name, address) in &page.links {
                    dt { (name) } dd { a rel="nofollow noopener" href=(address) { (address) } }
                }
            }
        }
    }
}

/// What its code can do, by what it imports.
fn reach(page: &EnvironmentPage) -> Markup {
    let imports = |wanted: &str| {
        let mut found: Vec<&str> = page
            .about
            .iter()
            .flat_map(|about| &about.imports)
            .filter(|import| import.grant == wanted)
            .map(|import| import.name.as_str())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let (granted, denied) = (imports("granted"), imports("denied"));
    let has = |part: &str| granted.iter().any(|name| name.contains(part));
    let rules: Vec<&String> = page
        .about
        .iter()
        .flat_map(|about| &about.network.granted)
        .collect();
    let asked: Vec<&String> = page
        .about
        .iter()
        .flat_map(|about| &about.network.requested)
        .filter(|rule| !rules.contains(rule))
        .collect();
    let secrets: Vec<&String> = page.about.iter().flat_map(|about| &about.secrets).collect();
    html! {
        section.card {
            h2 { "What it can reach" }
            dl.facts {
                dt { "Network" }
                dd {
                    @if rules.is_empty() { "nothing" }
                    @for rule in &rules { div.mono { (rule) } }
                    @for rule in &asked { div.muted { span.mono { (rule) } " – asked for, not allowed" } }
                }
                dt { "Files" }
                dd { @if has("wasi:filesystem") { "its own copy of its data, for each session" } @else { "none" } }
                dt { "Secrets" }
                dd {
                    @if secrets.is_empty() { "none" }
                    @for name in &secrets { div.mono { (name) } }
                }
                dt { "Clock" } dd { @if has("wasi:clocks") { "a virtual one" } @else { "none" } }
            }
            details.small {
                summary { (granted.len()) " imports" @if !denied.is_empty() { ", " (denied.len()) " more denied" } }
                ul.mono { @for name in &granted { li { (name) } }
                          @for name in &denied { li.muted { (name) " (denied)" } } }
            }
        }
    }
}

fn tools(about: &About, is_named: bool) -> Markup {
    html! {
        section.card {
            h2 { "Tools" @if is_named { " of " span.mono { (about.name) } } }
            @if about.tools.is_empty() { p.muted { "Its tools depend on the task." } }
            @else { div { @for tool in &about.tools {
                details.tool {
                    summary { b.mono { (tool.name) } }
                    @if !tool.description.is_empty() { p { (tool.description) } }
                    @if let Some(schema) = &tool.input_schema {
                        (code(&serde_json::to_string_pretty(schema).unwrap_or_default()))
                    } @else { p.muted { "It takes no input." } }
                }
            } } }
        }
    }
}

/// How a program plays the environment.
fn snippets(page: &EnvironmentPage) -> Markup {
    let (base, name) = (&page.base, page.head.full_name());
    let split = page.about.iter().flat_map(|about| &about.splits).next();
    let split = split.map_or("train", |split| split.name.as_str());
    let variables = format!(
        "export OPENREWARD_URL={base} OPENREWARD_API_URL={base}\n\
         export OPENREWARD_SESSION_URL={base} OPENREWARD_API_KEY=…"
    );
    let tool = page.about.iter().flat_map(|about| &about.tools).next();
    let tool = tool.map_or("tool", |tool| tool.name.as_str());
    let python = format!(
        "from openreward import OpenReward\n\n\
         environment = OpenReward().environments.get({name:?})\n\
         task = environment.list_tasks({split:?})[0]\n\
         with environment.session(task=task) as session:\n    \
             print(session.get_prompt())\n    \
             print(session.call_tool({tool:?}, {{}}))\n"
    );
    let curl = format!(
        "curl -H \"X-API-Key: $OPENREWARD_API_KEY\" -H 'X-Deployment: {name}' \\\n     {base}/tools\n"
    );
    let command = format!("orwd get {name}\norwd logs {name}\n");
    html! {
        section.card.stack aria-labelledby="use" {
            h2 #use { "Use it" }
            p { "Its name is " code { (name) } ", at " code { (base) } ". Make an "
                a href="/settings" { "API key" } " first." }
            (code(&variables))
            h3 { "Python" } (code(&python))
            h3 { "curl" } (code(&curl))
            h3 { "Command line" } (code(&command))
        }
    }
}

/// What to do with an environment that serves nothing yet.
fn next_steps(page: &EnvironmentPage) -> Markup {
    let (base, name) = (&page.base, page.head.full_name());
    let push = format!(
        "git init -b main && git add . && git commit -m \"First version\"\n\
         git remote add orwd {base}/git/{name}.git\n\
         git push orwd main        # the password is an API key\n"
    );
    let deploy = format!("orwd build\norwd deploy env.wasm {name}\n");
    html! {
        @if page.head.may_change {
            div.stack {
                p.note.wait role="status" data-wait={ "/" (name) "/events" } {
                    span.pulse { "Waiting for your first push" }
                }
                section.card.stack aria-labelledby="next" {
                    h2 #next { "Deploy it by a push" }
                    p { "In the folder with your " code { "orwd.toml" } " and the component that "
                        code { "orwd build" } " makes; "
                        code { "orwd new my-env" } " writes an example. You need an "
                        a href="/settings" { "API key" } "." }
                    (code(&push))
                    @if !page.is_linked {
                        p.note.bad { "The environment is not linked to its repository. Run "
                                     code { "orwd link " (name) " " (name) } "." }
                    }
                }
                section.card.stack {
                    h2 { "Or upload a component" }
                    (code(&deploy))
                }
            }
        } @else {
            div.empty { h2 { "Nothing is deployed yet" }
                        p { "Its owner has to push a first version." } }
        }
    }
}
