//! Random episodes of every environment, replayed by other processes.
//!
//! A seeded player lists tasks and tools, opens sessions and makes calls: most
//! fit the schemas, some do not. Then the server is killed, `orwd replay`
//! replays its journal, and sessions that are still open continue on a new
//! server. Every step must have the same outcome. A failure names the session,
//! and its name is enough to play it again.
//!
//! Variables: `ORWD_REPLAY_EPISODES` is the number of episodes per environment,
//! `ORWD_REPLAY_SEED` the seed, and `ORWD_REPLAY_ONLY` the only environment to
//! play.

mod changed_data;
mod environments;
mod player;
mod random_episodes;
mod replay_cli;
mod replay_command;
mod replay_server;
mod restart;
mod script;
