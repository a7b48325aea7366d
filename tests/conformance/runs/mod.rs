//! Tool calls and scoring: results, streams, order, resumption.

mod calls;
mod finished_episode;
mod order;
mod resume;
mod scoring;
mod stream;
mod text;
