//! `#[environment]`: records which functions of the trait are implemented.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ImplItem, ItemImpl, parse_quote, spanned::Spanned};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let block: ItemImpl = match syn::parse2(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            let error = Error::new(
                error.span(),
                "`#[environment]` marks an `impl Environment for …` block",
            )
            .into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut block = block;
    let errors = problems(&arguments, &block);
    let has = |name: &str| functions(&block).any(|function| function == name);
    let prompts = has("prompt");
    let messages = has("messages");
    let task_tools = has("task_tools");
    let score_group = has("score_group");
    let listing = has("tasks");
    let counts = has("num_tasks");
    let looks_up = has("task");
    block.items.push(parse_quote! {
        #[doc(hidden)]
        const MARKED_WITH_ENVIRONMENT: ::orwd_sdk::__private::EnvironmentInfo = ::orwd_sdk::__private::EnvironmentInfo {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
            capabilities: ::orwd_sdk::Capabilities {
                prompts: #prompts,
                messages: #messages,
                task_tools: #task_tools,
                score_group: #score_group,
                listing: #listing,
            },
            counts: #counts,
            looks_up: #looks_up,
        };
    });
    quote!(#errors #block)
}

fn functions(block: &ItemImpl) -> impl Iterator<Item = String> {
    block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) => Some(function.sig.ident.to_string()),
        _ => None,
    })
}

fn problems(arguments: &TokenStream, block: &ItemImpl) -> TokenStream {
    let mut errors = TokenStream::new();
    let mut report = |error: Error| errors.extend(error.into_compile_error());
    if !arguments.is_empty() {
        report(Error::new(
            arguments.span(),
            "`#[environment]` takes no arguments",
        ));
    }
    if block.trait_.is_none() {
        report(Error::new(
            block.self_ty.span(),
            "`#[environment]` marks an `impl Environment for …` block; \
             the block with the tools is marked with `#[tools]`",
        ));
        return errors;
    }
    let has = |name: &str| functions(block).any(|function| function == name);
    if !has("prompt") && !has("messages") {
        report(Error::new(
            block.self_ty.span(),
            "an environment begins the conversation: add \
             `fn prompt(&mut self) -> Result<Vec<Block>>` or \
             `fn messages(&mut self) -> Result<Vec<Message>>`",
        ));
    }
    let listed = has("tasks");
    let looked_up = has("num_tasks") && has("task");
    if !listed && !looked_up {
        report(Error::new(
            block.self_ty.span(),
            "an environment has tasks: add `fn tasks(split: &str) -> Result<Vec<Self::Task>>`, or both \
             `fn num_tasks(split: &str) -> Result<u64>` and \
             `fn task(split: &str, index: i64) -> Result<Option<Self::Task>>`",
        ));
    }
    errors
}
