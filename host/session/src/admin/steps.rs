//! Pages of steps with their content.

use orwd_journal::{EpisodeHistory, EpisodeStep};

use crate::admin::summary::{detail, ended_session, is_counted, summarize};
use crate::api::content::{StepContent, StepInput, StepOutput, StepPage};
use crate::api::summary::SessionDetail;

/// The most steps of one page.
const MAX_STEPS: usize = 256;

/// The bytes of content after which a page ends. A single step may be larger.
const PAGE_BYTES: usize = 1 << 20;

/// Returns the steps of a history from this record on, as many as a page holds.
pub fn step_page(history: &EpisodeHistory, from: u64) -> StepPage {
    let (skipped, rest) = split(history.steps(), from);
    let mut count = skipped.iter().filter(|step| is_counted(step)).count() as u64;
    let mut page = StepPage {
        steps: Vec::new(),
        next: None,
    };
    let mut bytes = 0;
    for step in rest {
        if page.steps.len() >= MAX_STEPS || bytes >= PAGE_BYTES {
            page.next = Some(step.seq);
            break;
        }
        bytes += step_bytes(step);
        page.steps
            .push(content(step, !history.ran_here(step), &mut count));
    }
    page
}

/// Returns a session as its history shows it, without a server.
pub fn history_detail(history: &EpisodeHistory) -> SessionDetail {
    detail(ended_session(history), history, Vec::new())
}

fn split(steps: &[EpisodeStep], from: u64) -> (&[EpisodeStep], &[EpisodeStep]) {
    let at = steps.partition_point(|step| step.seq < from);
    steps.split_at_checked(at).unwrap_or((steps, &[]))
}

fn content(step: &EpisodeStep, imported: bool, count: &mut u64) -> StepContent {
    let answer = step.outcome.as_ref().map(|outcome| &outcome.record);
    let outcome = answer.and_then(|answer| answer.outcome.as_ref());
    let sealed = step.record.sealed.is_some() || (answer.is_some() && outcome.is_none());
    StepContent {
        summary: summarize(step, imported, count),
        cpu_us: answer.map(|answer| answer.cpu_micros),
        // The input of a sealed request is a placeholder.
        input: StepInput::of(&step.record.request).filter(|_| !sealed),
        output: outcome.map(StepOutput::of),
        sealed,
    }
}

/// Returns about how many bytes a step has.
fn step_bytes(step: &EpisodeStep) -> usize {
    use orwd_journal::{GuestOutcome, GuestRequest};
    use orwd_model::Block;
    let blocks = |blocks: &[Block]| -> usize {
        let size = |block: &Block| match block {
            Block::Text { text, .. } => text.len(),
            Block::Image { .. } => 0,
        };
        blocks.iter().map(size).sum()
    };
    let input = match &step.record.request {
        GuestRequest::Call { input, .. } => input.as_str().len(),
        // As large as the body of a request may be.
        GuestRequest::Score { .. } => PAGE_BYTES / 4,
        _ => 0,
    };
    let answer = step.outcome.as_ref();
    let output = match answer.and_then(|answer| answer.record.outcome.as_ref()) {
        Some(GuestOutcome::Output(output)) => {
            let metadata = output
                .metadata
                .as_ref()
                .map_or(0, |json| json.as_str().len());
            blocks(&output.blocks) + metadata
        }
        Some(GuestOutcome::Blocks(prompt)) => blocks(prompt),
        Some(GuestOutcome::Messages(_) | GuestOutcome::Scores(_)) => PAGE_BYTES / 4,
        _ => 0,
    };
    input + output
}
