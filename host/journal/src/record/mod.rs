//! Records of an episode: their types, their encoding and the chain over them.

mod chain;
mod codec;
mod id;
mod request;
mod types;

pub use chain::ChainLink;
pub use id::{EpisodeId, Hash};
pub use request::{GuestOutcome, GuestRequest};
pub use types::{
    CreatedRecord, CreationContent, EndReason, EndedRecord, ExchangeRecord, ForkOrigin,
    OutcomeRecord, Record, RequestRecord, RunIdentity, SealedSecrets,
};

pub(crate) use codec::{
    decode, decode_outcome, decode_request, decode_request_with_body, decode_request_with_key,
    decode_value, encode, encode_value,
};
