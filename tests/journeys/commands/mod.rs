//! The commands besides `serve`: `new`, `build`, `check`, `play`, `inspect`, and the recipes
//! in `deploy/`.

mod authoring;
mod check;
mod configuration;
mod deploy_recipes;
mod inspect;
mod keys;
mod play;
mod sessions;
mod watch;
