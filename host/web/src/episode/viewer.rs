//! The page of a session: its rewards, its transcript, and what can be done with it.

use maud::{Markup, html};

use super::data::{ShownDetail, ShownSteps, Step};
use super::list::{shown_id, state};
use super::plot::plot;
use super::step::step;
use crate::layout::Frame;
use crate::pages::{EnvironmentHead, Tab, head};
use crate::parts::{code, duration, encode, moment_ms, reward, short, token_field};

/// Sessions that were created by a fork.
#[derive(Clone, Debug)]
pub struct Fork {
    /// Their ids.
    pub sessions: Vec<String>,
    /// The address of the page of each.
    pub addresses: Vec<String>,
    /// The number of calls that they share with this session; all if absent.
    pub at: Option<u64>,
}

/// What the page of a session shows.
#[derive(Clone, Debug, Default)]
pub struct EpisodePage {
    /// The environment.
    pub head: EnvironmentHead,
    /// The session with the summary of its steps.
    pub detail: ShownDetail,
    /// The steps of this page with their content.
    pub steps: ShownSteps,
    /// Where this page of steps begins; the first if absent.
    pub from: Option<String>,
    /// The address of the page of the session.
    pub address: String,
    /// Whether sessions can be forked here.
    pub may_fork: bool,
    /// What a fork created.
    pub fork: Option<Fork>,
    /// The address of the platform.
    pub base: String,
}

/// Renders the page of a session.
pub fn episode(frame: &Frame, page: &EpisodePage) -> String {
    let (name, detail) = (page.head.full_name(), &page.detail);
    let summary = &detail.summary;
    let first = page.steps.steps.first().map_or(0, |step| step.record);
    let last = page.steps.steps.last().map_or(0, |step| step.record);
    // A record of this page is a place on it, and any other begins a page.
    let address = |record: u64| match (first..=last).contains(&record) {
        true => permalink(page, record),
        false => format!("{}?from={record}#r{record}", page.address),
    };
    let total: f64 = detail.steps.iter().filter_map(|step| step.reward).sum();
    let has_reward = detail.steps.iter().any(|step| step.reward.is_some());
    let calls = detail
        .steps
        .iter()
        .filter(|step| step.step.is_some())
        .count();
    let cpu: u64 = page.steps.steps.iter().filter_map(|step| step.cpu_us).sum();
    let ended = summary
        .ended_ms
        .or_else(|| detail.steps.last().map(|step| step.at_ms));
    let content = html! {
        (head(frame, &page.head, Tab::Sessions))
        div.head {
            h2 { "Session " span.mono title=(summary.session) { (shown_id(&summary.session)) } }
            div.row { (state(&summary.state)) (actions(frame, page)) }
        }
        @if let Some(fork) = &page.fork { (forked(page, fork)) }
        section.card.stack aria-label="Summary" {
            (plot(&detail.steps, address))
            dl.facts {
                @if has_reward { dt { "Reward" } dd.mono { b { (reward(total)) } " in sum" } }
                dt { "Calls" } dd { (calls) }
                dt { "Began" } dd { (moment_ms(summary.created_ms)) " UTC"
                    @if let Some(ended) = ended { ", " (duration(ended.saturating_sub(summary.created_ms))) " to its last step" } }
                @if cpu > 0 { dt { "CPU" } dd { (duration(cpu / 1000)) " in the steps below" } }
                dt { "Variant" } dd.mono { (summary.environment) }
                dt { "Seed" } dd.mono { (detail.seed) }
                dt { "Component" } dd.mono title=(summary.component) { (short(&summary.component)) }
                dt { "Replay" } dd { @if detail.replayable { "It can be replayed and forked." }
                                     @else { "It cannot be replayed." } }
            }
        }
        section.stack aria-labelledby="transcript" {
            div.head {
                h2 #transcript { "Transcript" }
                p.muted.small { "Keys: j and k go from step to step" }
            }
            @if page.steps.steps.is_empty() { p.muted { "It has no steps yet." } }
            @if page.from.is_some() { a href=(page.address) { "← From the beginning" } }
            ol.steps { @for found in &page.steps.steps {
                (step(found, summary.created_ms, &permalink(page, found.record), &fork_here(frame, page, found)))
            } }
            @if let Some(next) = &page.steps.next {
                a rel="next" href={ (page.address) "?from=" (encode(next)) } { "More steps →" }
            }
        }
    };
    frame.page(
        &format!("Session {} of {name}", shown_id(&summary.session)),
        &content,
    )
}

/// Returns the address of a step, which stays the same.
fn permalink(page: &EpisodePage, record: u64) -> String {
    match &page.from {
        None => format!("{}#r{record}", page.address),
        Some(from) => format!("{}?from={}#r{record}", page.address, encode(from)),
    }
}

fn actions(frame: &Frame, page: &EpisodePage) -> Markup {
    html! {
        a.button href={ (page.address) "/receipt" } download { "Receipt" }
        a.button href={ (page.address) "/steps.json" } download { "Export steps" }
        @if page.may_fork && page.detail.replayable {
            form method="post" action={ (page.address) "/fork" } {
                (token_field(&frame.token))
                button.main { "Fork" }
            }
        }
    }
}

/// A button that forks the session after a call.
fn fork_here(frame: &Frame, page: &EpisodePage, found: &Step) -> Markup {
    html! {
        @if let Some(number) = found.step.filter(|_| page.may_fork && page.detail.replayable) {
            form method="post" action={ (page.address) "/fork" } {
                (token_field(&frame.token))
                input type="hidden" name="at" value=(number);
                button.quiet aria-label={ "fork from here, after call " (number) } { "fork from here" }
            }
        }
    }
}

fn forked(page: &EpisodePage, fork: &Fork) -> Markup {
    let Some(id) = fork.sessions.first() else {
        return html! {};
    };
    let call = format!(
        "curl -N {}/call -H \"X-API-Key: $OPENREWARD_API_KEY\" \\\n     \
         -H 'X-Session-ID: {id}' -H 'Content-Type: application/json' \\\n     \
         -d '{{\"name\": \"TOOL\", \"input\": {{}}}}'\n",
        page.base
    );
    html! {
        section.note.stack.tight role="status" {
            h2 { "A new session with the same past" }
            p { @match fork.at {
                Some(at) => { "It shares the first " (at) @if at == 1 { " call" } @else { " calls" } " with this one." }
                None => { "It shares all calls with this one." }
            } " This one continues unchanged." }
            ul { @for (id, address) in fork.sessions.iter().zip(&fork.addresses) {
                li { a.mono href=(address) { (shown_id(id)) } }
            } }
            p { "Go on with it:" }
            (code(&call))
        }
    }
}
