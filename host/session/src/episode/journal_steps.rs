//! The steps of a journaled episode, read in pages while they are replayed.

use std::collections::VecDeque;

use orwd_journal::{
    EpisodePages, EpisodeStep, Journal, JournalError, Record, ScannedRecord, StepExchange,
    StepOutcome,
};

use crate::episode::replay::StepSource;

/// The bytes of a page.
pub(crate) const PAGE_BYTES: usize = 1 << 20;

/// Reads the steps of an episode; holds a page, or a single larger step.
pub(crate) struct JournalSteps {
    journal: Journal,
    /// `None` when there are no more records.
    pages: Option<EpisodePages>,
    read: VecDeque<EpisodeStep>,
}

impl JournalSteps {
    /// Begins with the first step.
    pub(crate) fn new(journal: Journal, pages: EpisodePages) -> JournalSteps {
        JournalSteps {
            journal,
            pages: Some(pages),
            read: VecDeque::new(),
        }
    }

    fn add(&mut self, scanned: ScannedRecord) {
        let ScannedRecord {
            seq, record, link, ..
        } = scanned;
        match record {
            Record::Request(record) => {
                self.read.push_back(EpisodeStep::new(seq, *record, link));
            }
            Record::Exchange(record) => {
                if let Some(step) = self.read.back_mut().filter(|step| step.seq == record.of) {
                    step.exchanges.push(StepExchange {
                        seq,
                        record: *record,
                    });
                }
            }
            Record::Outcome(record) => {
                let found = self.read.binary_search_by_key(&record.of, |step| step.seq);
                if let Some(step) = found.ok().and_then(|at| self.read.get_mut(at)) {
                    step.outcome = Some(StepOutcome {
                        seq,
                        record: *record,
                        link,
                    });
                }
            }
            Record::Created(_) | Record::Ended(_) => {}
        }
    }
}

impl StepSource for JournalSteps {
    type Step = EpisodeStep;

    async fn next(&mut self) -> Result<Option<EpisodeStep>, JournalError> {
        // A step is complete with its outcome.
        while self.read.front().is_none_or(|step| step.outcome.is_none())
            && let Some(pages) = self.pages.take()
        {
            let (pages, records) = self.journal.next_page(pages, PAGE_BYTES).await?;
            if !records.is_empty() {
                self.pages = Some(pages);
            }
            records.into_iter().for_each(|record| self.add(record));
        }
        Ok(self.read.pop_front())
    }
}
