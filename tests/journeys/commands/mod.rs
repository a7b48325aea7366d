//! The commands besides `serve`: `new`, `build`, `play`, `inspect`, and the recipes
//! in `deploy/`.

mod authoring;
mod deploy_recipes;
mod inspect;
mod play;
