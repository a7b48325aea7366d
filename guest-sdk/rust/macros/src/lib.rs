//! The attributes of `orwd-sdk`, which documents them.
//!
//! Each attribute reads an `impl` block and removes only its own marks; the
//! generated code is a separate `impl`. All errors are reported together, each
//! at its place, and say what to write instead.

mod environment;
mod tools;

use proc_macro::TokenStream;

/// Marks the `impl Environment for …` block. The functions in it determine the
/// capabilities of the environment.
///
/// Required are `prompt` or `messages`, and `tasks` or `num_tasks` with `task`.
#[proc_macro_attribute]
pub fn environment(arguments: TokenStream, item: TokenStream) -> TokenStream {
    environment::expand(arguments.into(), item.into()).into()
}

/// Marks the `impl` block that holds the tools of an environment or a toolset.
///
/// The methods in it that are marked with `#[tool]` are tools: they take
/// `&self` or `&mut self` and at most one argument. `#[tool(…)]` takes
/// `unlisted`, `terminal`, `terminal = "argument"`, `concurrent`, `exclusive`
/// and `name = "…"`.
///
/// `#[tools(toolsets(field: Type, …))]` adds the tools of fields.
#[proc_macro_attribute]
pub fn tools(arguments: TokenStream, item: TokenStream) -> TokenStream {
    tools::expand(arguments.into(), item.into()).into()
}
