//! Receipts of episodes in a store, which are read without holding their content.

use std::sync::Arc;

use super::body::{ReceiptBody, ReceiptCall};
use super::key::ReceiptSigner;
use super::signed::Receipt;
use crate::error::JournalError;
use crate::history::{EpisodeStep, drop_content, read_history};
use crate::record::{EpisodeId, Record};
use crate::sealing::SealKey;
use crate::store::JournalStore;

impl Receipt {
    /// Signs the summary of what this host ran of an episode so far. One request
    /// with its content is held at a time.
    ///
    /// # Errors
    ///
    /// [`JournalError::Imported`] if it ran nothing of it.
    pub(crate) fn sign_stored(
        store: &dyn JournalStore,
        episode: EpisodeId,
        seal: Option<Arc<SealKey>>,
        signer: &ReceiptSigner,
    ) -> Result<Receipt, JournalError> {
        // With the last slot of each, since it is known at the end which were run
        // here.
        let mut calls: Vec<(u64, ReceiptCall)> = Vec::new();
        let mut add = |step: &EpisodeStep| {
            let outcome = step.outcome.as_ref();
            let last = outcome.map_or(step.seq, |outcome| outcome.seq);
            calls.extend(ReceiptCall::of(step).map(|call| (last, call)));
        };
        let mut history = read_history(store, episode, seal, &mut |record, steps| {
            match record {
                Record::Request(_) => steps.drain(..).for_each(|step| add(&step)),
                Record::Outcome(outcome) => {
                    if let Some(outcome) = &mut outcome.outcome {
                        // A receipt has the hash of the outcome, which is recorded.
                        drop_content(outcome);
                    }
                }
                // The chain, which a receipt has the end of, commits to it.
                Record::Exchange(_) => return false,
                Record::Created(_) | Record::Ended(_) => {}
            }
            true
        })?;
        history.steps().iter().for_each(&mut add);
        history.forget_steps();
        let imported = history.imported();
        if imported >= history.next() {
            return Err(JournalError::Imported(episode));
        }
        let here = calls.into_iter().filter(|(last, _)| *last >= imported);
        let body = ReceiptBody::with_calls(&history, here.map(|(_, call)| call).collect());
        Ok(Receipt::sign_body(body, signer))
    }
}
