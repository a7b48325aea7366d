//! The attributes of `orwd-sdk`, which documents them.
//!
//! Each reads an `impl` block and leaves it as it was written, but for the
//! marks; what it learns goes into an `impl` of its own. What an author got
//! wrong is reported where it is, all of it at once, and in terms of what is to
//! be written instead.

mod environment;
mod tools;

use proc_macro::TokenStream;

/// Marks the `impl Environment for …` block. Which functions are in it says
/// what the environment supports.
///
/// Needed are `prompt` or `messages`, and `tasks` or `num_tasks` with `task`.
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
