//! The history of an episode: its records, checked and paired, for a replay.
//!
//! Reading follows the chain from the first record, decodes every record and
//! pairs outcomes with requests. A record that does not fit is refused by its
//! number.

use orwd_model::HttpExchange;

use crate::error::JournalError;
use crate::record::{
    self, ChainLink, CreatedRecord, EndedRecord, EpisodeId, ExchangeRecord, OutcomeRecord, Record,
    RequestRecord,
};
use crate::sealing::{self, SealKey};
use crate::store::{IndexedEpisode, StoredRecord};

/// All records of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeHistory {
    pub(super) episode: EpisodeId,
    pub(super) created: CreatedRecord,
    pub(super) steps: Vec<EpisodeStep>,
    pub(super) ended: Option<EndedRecord>,
    pub(super) next: u64,
    pub(super) tip: ChainLink,
    pub(super) bytes: u64,
    pub(super) imported: u64,
}

/// A request of an episode, with its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeStep {
    /// The slot of the request.
    pub seq: u64,
    /// The request.
    pub record: RequestRecord,
    /// The chain after the request.
    pub link: ChainLink,
    /// The HTTP requests that the guest made during it, in order.
    pub exchanges: Vec<StepExchange>,
    /// The outcome; `None` if the host stopped before there was one.
    pub outcome: Option<StepOutcome>,
}

/// An HTTP request that the guest made during a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepExchange {
    /// The slot.
    pub seq: u64,
    /// The record.
    pub record: ExchangeRecord,
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutcome {
    /// The slot of the outcome.
    pub seq: u64,
    /// The outcome.
    pub record: OutcomeRecord,
    /// The chain after the outcome.
    pub link: ChainLink,
}

impl EpisodeStep {
    /// Creates a step without an outcome.
    pub fn new(seq: u64, record: RequestRecord, link: ChainLink) -> EpisodeStep {
        EpisodeStep {
            seq,
            record,
            link,
            exchanges: Vec::new(),
            outcome: None,
        }
    }

    /// Returns the HTTP requests that the guest made, with their results; none if
    /// they are not kept.
    pub fn recorded_exchanges(&self) -> Option<Vec<HttpExchange>> {
        let exchanges = self.exchanges.iter();
        exchanges
            .map(|exchange| exchange.record.exchange.clone())
            .collect()
    }
}

impl EpisodeHistory {
    /// Checks the records of an episode, which must be complete from the first.
    pub fn read(
        episode: EpisodeId,
        records: &[StoredRecord],
    ) -> Result<EpisodeHistory, JournalError> {
        let Some((first, rest)) = records.split_first() else {
            return Err(JournalError::Unknown(episode));
        };
        let mut reader = ChainReader {
            episode,
            next: 0,
            tip: ChainLink::initial(episode),
        };
        let Record::Created(created) = reader.take(first)? else {
            return Err(JournalError::damaged(
                episode,
                0,
                "it does not say how the episode began",
            ));
        };
        let mut history = EpisodeHistory {
            episode,
            created: *created,
            steps: Vec::new(),
            ended: None,
            next: 0,
            tip: reader.tip,
            bytes: records.iter().map(|record| record.bytes.len() as u64).sum(),
            imported: 0,
        };
        for stored in rest {
            let record = reader.take(stored)?;
            history
                .add(stored.seq, record, reader.tip)
                .map_err(|what| JournalError::damaged(episode, stored.seq, what))?;
        }
        history.next = reader.next;
        history.tip = reader.tip;
        Ok(history)
    }

    /// Checks the records of an episode, and that none is missing that the index
    /// knows of.
    pub(crate) fn read_indexed(
        index: &IndexedEpisode,
        records: &[StoredRecord],
    ) -> Result<EpisodeHistory, JournalError> {
        let imported = index.header.import.as_ref();
        let history = EpisodeHistory::read(index.id, records)?
            .with_imported(imported.map_or(0, |import| import.records));
        // Records may have been added since the index was read.
        let last = usize::try_from(index.head)
            .ok()
            .and_then(|at| records.get(at));
        match last {
            Some(record) if record.link == index.tip => Ok(history),
            Some(_) => Err(JournalError::damaged(
                index.id,
                index.head,
                "it is not the one that the index names",
            )),
            None => Err(JournalError::damaged(
                index.id,
                history.next,
                "it is missing",
            )),
        }
    }

    pub(super) fn add(
        &mut self,
        seq: u64,
        record: Record,
        link: ChainLink,
    ) -> Result<(), &'static str> {
        if self.ended.is_some() {
            return Err("it follows the end of the episode");
        }
        match record {
            Record::Created(_) => return Err("the episode began before"),
            Record::Request(record) => self.steps.push(EpisodeStep::new(seq, *record, link)),
            Record::Exchange(record) => {
                let step = self.steps.last_mut();
                let step = step.filter(|step| step.seq == record.of && step.outcome.is_none());
                let step = step.ok_or("it belongs to no request that was made before it")?;
                step.exchanges.push(StepExchange {
                    seq,
                    record: *record,
                });
            }
            Record::Outcome(record) => {
                let place = self.steps.binary_search_by_key(&record.of, |step| step.seq);
                let step = place.ok().and_then(|at| self.steps.get_mut(at));
                let step = step.ok_or("it answers nothing that was asked")?;
                if step.outcome.is_some() {
                    return Err("it answers what was answered before");
                }
                step.outcome = Some(StepOutcome {
                    seq,
                    record: *record,
                    link,
                });
            }
            Record::Ended(ended) => self.ended = Some(ended),
        }
        Ok(())
    }

    /// States that this host did not run this many of the first records.
    #[must_use]
    pub fn with_imported(mut self, records: u64) -> EpisodeHistory {
        self.imported = records;
        self
    }

    /// Unseals the sealed content. Without this, there is no task, calls have no
    /// input and their outcomes are missing.
    pub fn unseal(&mut self, key: &SealKey) -> Result<(), JournalError> {
        sealing::unseal_created(&mut self.created, key, self.episode)?;
        let line = self.created.sealed_for(self.episode);
        for step in &mut self.steps {
            sealing::unseal_request(&mut step.record, key, line, step.seq)?;
            for made in &mut step.exchanges {
                sealing::unseal_exchange(&mut made.record, key, line, made.seq)?;
            }
            if let Some(outcome) = &mut step.outcome {
                sealing::unseal_outcome(&mut outcome.record, key, line, outcome.seq)?;
            }
        }
        Ok(())
    }

    /// Returns the id of the episode.
    pub fn episode(&self) -> EpisodeId {
        self.episode
    }

    /// Returns the first record.
    pub fn created(&self) -> &CreatedRecord {
        &self.created
    }

    /// Returns the requests in order, with their outcomes.
    pub fn steps(&self) -> &[EpisodeStep] {
        &self.steps
    }

    /// Drops all steps, for a caller that needs only what the episode began with
    /// and where it ends.
    pub fn forget_steps(&mut self) {
        self.steps = Vec::new();
    }

    /// Returns the last record of an episode that has ended.
    pub fn ended(&self) -> Option<&EndedRecord> {
        self.ended.as_ref()
    }

    /// Returns the number of its first records that this host did not run. A file
    /// states nothing of that kind, so it is zero for a history from a file.
    pub fn imported(&self) -> u64 {
        self.imported
    }

    /// Whether this host ran the request of a step, or is to run it. A request
    /// that an imported file left without an outcome is run here.
    pub fn ran_here(&self, step: &EpisodeStep) -> bool {
        let last = step
            .outcome
            .as_ref()
            .map_or(step.seq, |outcome| outcome.seq);
        last >= self.imported
    }

    /// Returns the bytes of all records.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the slot of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns the last link of the chain.
    pub fn tip(&self) -> ChainLink {
        self.tip
    }
}

/// Follows the chain.
pub(super) struct ChainReader {
    pub(super) episode: EpisodeId,
    pub(super) next: u64,
    pub(super) tip: ChainLink,
}

impl ChainReader {
    pub(super) fn take(&mut self, stored: &StoredRecord) -> Result<Record, JournalError> {
        let damaged = |what: String| JournalError::damaged(self.episode, self.next, what);
        if stored.seq != self.next {
            return Err(damaged(format!(
                "record {} stands in its place",
                stored.seq
            )));
        }
        let link = self.tip.extend(stored.seq, &stored.bytes);
        if link != stored.link {
            return Err(damaged("its hash is not that of what is there".to_owned()));
        }
        let record = record::decode(&stored.bytes).map_err(|error| damaged(error.to_string()))?;
        self.tip = link;
        self.next += 1;
        Ok(record)
    }
}
