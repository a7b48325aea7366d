//! What the children of a fork share: the history of their parent up to a step.
//!
//! It is read a page at a time, up to that step and no further, and nothing of its
//! content is held.

use orwd_journal::{CreatedRecord, EpisodeId, Journal, Record, ScannedRecord, SealedSecrets};

use crate::api::error::AdminError;
use crate::episode::journal_steps::PAGE_BYTES;

/// The history of a parent up to a step.
pub(super) struct SharedPast {
    pub(super) episode: EpisodeId,
    pub(super) created: Box<CreatedRecord>,
    /// The slot of the last outcome; 0 if no step is shared.
    pub(super) last: u64,
    /// The records of steps that another host ran.
    pub(super) foreign_records: u64,
    /// The bytes of the records up to there, about.
    pub(super) bytes: u64,
    /// Whether nothing but the first record lies before and between the steps.
    is_contiguous: bool,
}

impl SharedPast {
    /// Returns the slot up to which the children can share the parent's records.
    /// `None` if the steps must be copied: there are none, or records of no step lie
    /// between them.
    pub(super) fn shared_until(&self) -> Option<u64> {
        (self.last > 0 && self.is_contiguous).then_some(self.last)
    }

    /// Returns the episode that the records are sealed for. The records that a
    /// child adds must be sealed for the same one.
    pub(super) fn sealed_for(&self) -> Option<EpisodeId> {
        let sealed = matches!(self.created.secrets, SealedSecrets::Sealed(_));
        sealed.then(|| self.created.sealed_for(self.episode))
    }
}

/// Reads the history of an episode up to and including this many of its calls, or
/// all steps that have an outcome.
pub(super) async fn read(
    journal: &Journal,
    episode: EpisodeId,
    at: Option<u64>,
) -> Result<SharedPast, AdminError> {
    let mut reader = PastReader::new(at);
    let mut pages = journal.pages(episode).await?;
    loop {
        let (rest, records) = journal.next_page(pages, PAGE_BYTES).await?;
        pages = rest;
        if records.is_empty() || !records.into_iter().all(|record| reader.add(record)) {
            break;
        }
    }
    let created = reader.created.ok_or(AdminError::NoSession)?;
    if at.is_some_and(|at| reader.calls < at) {
        return Err(AdminError::NoSuchStep(reader.calls));
    }
    Ok(SharedPast {
        episode,
        created,
        last: reader.last,
        foreign_records: reader.foreign_records,
        bytes: pages.bytes(),
        is_contiguous: reader.is_contiguous,
    })
}

/// Follows the steps of a parent.
struct PastReader {
    at: Option<u64>,
    created: Option<Box<CreatedRecord>>,
    /// The last request if it has no outcome yet.
    open: Option<OpenStep>,
    /// The calls with an outcome.
    calls: u64,
    last: u64,
    foreign_records: u64,
    is_contiguous: bool,
}

/// A request without an outcome.
struct OpenStep {
    seq: u64,
    is_call: bool,
    /// The HTTP requests of the guest so far.
    exchanges: u64,
}

impl PastReader {
    fn new(at: Option<u64>) -> PastReader {
        PastReader {
            at,
            created: None,
            open: None,
            calls: 0,
            last: 0,
            foreign_records: 0,
            is_contiguous: true,
        }
    }

    /// Takes the next record. Returns whether further ones may be shared.
    fn add(&mut self, scanned: ScannedRecord) -> bool {
        match scanned.record {
            Record::Created(created) => self.created = Some(created),
            Record::Request(request) => {
                let is_call = request.request.is_run();
                let enough = is_call && self.at == Some(self.calls);
                if enough || self.open.is_some() {
                    return false;
                }
                self.open = Some(OpenStep {
                    seq: scanned.seq,
                    is_call,
                    exchanges: 0,
                });
            }
            Record::Outcome(outcome) => {
                if let Some(open) = self.open.take_if(|open| open.seq == outcome.of) {
                    let records = 2 + open.exchanges;
                    self.is_contiguous &=
                        open.seq == self.last + 1 && scanned.seq == self.last + records;
                    self.last = scanned.seq;
                    self.calls += u64::from(open.is_call);
                    if scanned.seq < scanned.imported {
                        self.foreign_records += records;
                    }
                }
            }
            Record::Exchange(made) => {
                if let Some(open) = self.open.as_mut().filter(|open| open.seq == made.of) {
                    open.exchanges += 1;
                }
            }
            Record::Ended(_) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use orwd_journal::{
        ChainLink, ExchangeRecord, GuestOutcome, GuestRequest, OutcomeRecord, RequestRecord,
    };
    use orwd_model::{Json, Timestamp};

    use super::*;

    fn scanned(seq: u64, record: Record) -> ScannedRecord {
        ScannedRecord {
            seq,
            record,
            link: ChainLink::initial(EpisodeId::new()),
            imported: 3,
        }
    }

    fn request(request: GuestRequest) -> Record {
        Record::Request(Box::new(RequestRecord {
            at: Timestamp::from_nanos(0),
            request,
            run: None,
            sealed: None,
        }))
    }

    fn call() -> Record {
        request(GuestRequest::Call {
            tool: "act".to_owned(),
            input: Json::object("{}".to_owned()).unwrap(),
        })
    }

    fn done(of: u64) -> Record {
        Record::Outcome(Box::new(OutcomeRecord::new(of, GuestOutcome::Done, 0)))
    }

    /// Setup, two calls, a prompt, a call without an outcome.
    fn records() -> Vec<ScannedRecord> {
        let records = [
            request(GuestRequest::Setup),
            done(1),
            call(),
            done(3),
            call(),
            done(5),
            request(GuestRequest::Prompt),
            done(7),
            call(),
        ];
        (1..)
            .zip(records)
            .map(|(seq, record)| scanned(seq, record))
            .collect()
    }

    #[test]
    fn a_past_ends_before_the_next_call_or_with_the_last_outcome() {
        for (at, last, calls, read) in [
            (Some(0), 2, 0, 3),
            (Some(1), 4, 1, 5),
            (Some(2), 8, 2, 9),
            (Some(3), 8, 2, 9),
            (None, 8, 2, 9),
        ] {
            let mut reader = PastReader::new(at);
            let mut taken = 0;
            for record in records() {
                taken += 1;
                if !reader.add(record) {
                    break;
                }
            }
            assert_eq!(
                (reader.last, reader.calls, taken),
                (last, calls, read),
                "{at:?}"
            );
            assert!(reader.is_contiguous);
            assert_eq!(reader.foreign_records, 2, "{at:?}");
        }
    }

    #[test]
    fn http_requests_belong_to_their_step() {
        let made = |of| {
            Record::Exchange(Box::new(ExchangeRecord {
                of,
                exchange: None,
                sealed: None,
            }))
        };
        let mut reader = PastReader::new(None);
        let records = [
            request(GuestRequest::Setup),
            made(1),
            done(1),
            call(),
            made(4),
            made(4),
            done(4),
        ];
        for (seq, record) in (1..).zip(records) {
            let imported = 4;
            reader.add(ScannedRecord {
                imported,
                ..scanned(seq, record)
            });
        }
        assert_eq!((reader.last, reader.calls), (7, 1));
        assert!(reader.is_contiguous);
        assert_eq!(reader.foreign_records, 3);
    }
}
