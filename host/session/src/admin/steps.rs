//! Pages of steps with their content.

use std::sync::Arc;

use orwd_journal::{
    EpisodeHistory, EpisodeId, EpisodePages, GuestOutcome, GuestRequest, Journal, JournalError,
    JournalStore, OutcomeRecord, Record, RequestRecord, ScannedRecord, SealKey,
};
use orwd_model::{Block, Json};

use crate::admin::summary::{summarize_outcome, summarize_request, whole_history};
use crate::api::content::{StepContent, StepCursor, StepInput, StepOutput, StepPage};
use crate::api::summary::SessionDetail;
use crate::limits::history_reader::HistoryPermit;

/// The most steps of one page.
const MAX_STEPS: usize = 256;

/// The bytes of content after which a page ends. A single step may be larger.
const PAGE_BYTES: usize = 1 << 20;

/// Reads a page of steps of an episode. Only what the page has is read, and what
/// lies before if the cursor does not say how many calls that are.
pub(super) async fn read_page(
    journal: &Journal,
    episode: EpisodeId,
    cursor: StepCursor,
    permit: HistoryPermit,
) -> Result<StepPage, JournalError> {
    let mut collector = PageCollector::new(cursor);
    let mut pages = journal.pages(episode).await?.holding(permit);
    if cursor.counted.is_some() {
        pages = journal.skip_to(pages, cursor.record).await?;
    }
    loop {
        let (rest, records) = journal.next_page(pages, PAGE_BYTES).await?;
        if !collector.add_all(records) {
            return Ok(collector.page);
        }
        pages = rest;
    }
}

/// The same from a store without a server.
pub fn step_page(
    store: &dyn JournalStore,
    episode: EpisodeId,
    seal: Option<Arc<SealKey>>,
    cursor: StepCursor,
) -> Result<StepPage, JournalError> {
    let mut collector = PageCollector::new(cursor);
    let mut pages = EpisodePages::open(store, episode, seal)?;
    if cursor.counted.is_some() {
        pages.skip_to(store, cursor.record)?;
    }
    while collector.add_all(pages.read(store, PAGE_BYTES)?) {}
    Ok(collector.page)
}

/// Returns a session as its history shows it, without a server.
pub fn history_detail(history: &EpisodeHistory) -> SessionDetail {
    whole_history(history)
}

/// A page that is being read.
struct PageCollector {
    page: StepPage,
    from: u64,
    /// Calls and scorings so far.
    counted: u64,
    bytes: usize,
}

impl PageCollector {
    fn new(cursor: StepCursor) -> PageCollector {
        PageCollector {
            page: StepPage {
                steps: Vec::new(),
                next: None,
            },
            from: cursor.record,
            counted: cursor.counted.unwrap_or_default(),
            bytes: 0,
        }
    }

    /// Takes the next records. Returns whether the page may have more.
    fn add_all(&mut self, records: Vec<ScannedRecord>) -> bool {
        !records.is_empty() && records.into_iter().all(|record| self.add(record))
    }

    fn add(&mut self, scanned: ScannedRecord) -> bool {
        let imported = scanned.seq < scanned.imported;
        match scanned.record {
            Record::Request(request) => self.add_request(scanned.seq, &request, imported),
            Record::Outcome(outcome) => {
                self.add_outcome(&outcome, imported);
                true
            }
            Record::Created(_) | Record::Exchange(_) | Record::Ended(_) => true,
        }
    }

    fn add_request(&mut self, seq: u64, request: &RequestRecord, imported: bool) -> bool {
        let is_run = request.request.is_run();
        if seq >= self.from {
            if self.page.steps.len() >= MAX_STEPS || self.bytes >= PAGE_BYTES {
                let cursor = StepCursor {
                    record: seq,
                    counted: Some(self.counted),
                };
                self.page.next = Some(cursor.to_string());
                return false;
            }
            let number = is_run.then_some(self.counted + 1);
            let sealed = request.sealed.is_some();
            self.page.steps.push(StepContent {
                summary: summarize_request(seq, request, number, imported),
                cpu_us: None,
                // The input of a sealed request is a placeholder.
                input: StepInput::of(&request.request).filter(|_| !sealed),
                output: None,
                sealed,
            });
            self.bytes += request_bytes(&request.request);
        }
        self.counted += u64::from(is_run);
        true
    }

    fn add_outcome(&mut self, answer: &OutcomeRecord, imported: bool) {
        let steps = &mut self.page.steps;
        let found = steps.binary_search_by_key(&answer.of, |step| step.summary.record);
        let Some(step) = found.ok().and_then(|at| steps.get_mut(at)) else {
            return;
        };
        summarize_outcome(&mut step.summary, answer, imported);
        step.cpu_us = Some(answer.cpu_micros);
        step.output = answer.outcome.as_ref().map(StepOutput::of);
        if answer.outcome.is_none() {
            step.sealed = true;
            step.input = None;
        }
        self.bytes += answer.outcome.as_ref().map_or(0, outcome_bytes);
    }
}

/// Returns about how many bytes of a request a page shows.
fn request_bytes(request: &GuestRequest) -> usize {
    match request {
        GuestRequest::Call { tool, input } => tool.len() + input.as_str().len(),
        // As large as the body of a request may be.
        GuestRequest::Score { .. } => PAGE_BYTES / 4,
        GuestRequest::Setup
        | GuestRequest::Prompt
        | GuestRequest::Messages
        | GuestRequest::TaskTools
        | GuestRequest::Teardown => 0,
    }
}

/// Returns about how many bytes of an outcome a page shows. Every text of a guest
/// counts.
fn outcome_bytes(outcome: &GuestOutcome) -> usize {
    let json = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
    let blocks = |blocks: &[Block]| -> usize {
        let size = |block: &Block| match block {
            Block::Text { text, detail } => text.len() + json(detail),
            // The bytes of an image are not shown.
            Block::Image {
                mime_type, detail, ..
            } => mime_type.len() + json(detail),
        };
        blocks.iter().map(size).sum()
    };
    match outcome {
        GuestOutcome::Output(output) => blocks(&output.blocks) + json(&output.metadata),
        GuestOutcome::Blocks(prompt) => blocks(prompt),
        GuestOutcome::Failed(message) => message.len(),
        GuestOutcome::Refused(refusal) => refusal.message.len(),
        GuestOutcome::Tools(tools) => tools.iter().map(|tool| tool.name.len()).sum(),
        GuestOutcome::Messages(_) | GuestOutcome::Scores(_) => PAGE_BYTES / 4,
        // A message of the host, at most once in an episode.
        GuestOutcome::Faulted(_) | GuestOutcome::Done | GuestOutcome::Published { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use orwd_model::{Refusal, ToolOutput};

    use super::*;

    /// A page could otherwise hold any number of long texts.
    #[test]
    fn every_text_of_a_guest_counts_for_the_size_of_a_page() {
        let text = "x".repeat(5000);
        let json = Json::object(format!("{{\"a\":\"{text}\"}}")).unwrap();
        let with = |blocks, metadata| {
            GuestOutcome::Output(ToolOutput {
                blocks,
                metadata,
                reward: None,
                finished: false,
            })
        };
        let output = |block| with(vec![block], None);
        for outcome in [
            GuestOutcome::Failed(text.clone()),
            GuestOutcome::Refused(Refusal {
                message: text.clone(),
                ..Refusal::not_found("x")
            }),
            output(Block::Text {
                text: text.clone(),
                detail: None,
            }),
            output(Block::Text {
                text: String::new(),
                detail: Some(json.clone()),
            }),
            output(Block::Image {
                data: Vec::new(),
                mime_type: text.clone(),
                detail: None,
            }),
            output(Block::Image {
                data: Vec::new(),
                mime_type: String::new(),
                detail: Some(json.clone()),
            }),
            with(Vec::new(), Some(json)),
        ] {
            assert!(outcome_bytes(&outcome) >= 5000, "{}", outcome.as_str());
        }
        let named = GuestRequest::Call {
            tool: text,
            input: Json::object("{}".to_owned()).unwrap(),
        };
        assert!(request_bytes(&named) >= 5000);
    }
}
