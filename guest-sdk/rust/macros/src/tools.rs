//! `#[tools]`: generates a table of the methods that are marked with `#[tool]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Lit, LitStr,
    Meta, ReceiverKind, Result, ReturnType, Token, Type, parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut block: ItemImpl = match syn::parse2(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            let error = Error::new(
                error.span(),
                "`#[tools]` marks the `impl` block that holds the tools",
            )
            .into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = TokenStream::new();
    let mut report = |error: Error| errors.extend(error.into_compile_error());

    let toolsets = syn::parse2(arguments).unwrap_or_else(|error| {
        report(error);
        Toolsets::default()
    });
    if let Some((path, _)) = &block.trait_ {
        report(Error::new(
            path.span(),
            "`#[tools]` marks the type's own `impl` block, not that of a trait",
        ));
    }
    if !block.generics.params.is_empty() {
        report(Error::new(
            block.generics.span(),
            "the type of an environment or a toolset has no parameters",
        ));
    }

    let mut tools: Vec<Tool> = Vec::new();
    let mut broken = false;
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let marks: Vec<Attribute> = {
            let (marks, rest) = method
                .attrs
                .drain(..)
                .partition(|a| a.path().is_ident("tool"));
            method.attrs = rest;
            marks
        };
        let Some(mark) = marks.first() else { continue };
        match Tool::read(mark, method) {
            Ok(tool) => {
                if tools.iter().any(|other| other.name == tool.name) {
                    report(Error::new(
                        tool.method.span(),
                        format!("two tools are called `{}`", tool.name),
                    ));
                }
                let terminal = |tool: &Tool| matches!(tool.visibility, Visibility::Terminal(_));
                if terminal(&tool) && tools.iter().any(terminal) {
                    report(Error::new(
                        mark.span(),
                        "an environment has one terminal tool at most",
                    ));
                }
                tools.push(tool);
            }
            Err(error) => {
                broken = true;
                report(error);
            }
        }
    }
    if tools.is_empty() && toolsets.fields.is_empty() && !broken {
        report(Error::new(
            block.self_ty.span(),
            "no method in this block is a tool: mark one with `#[tool]`",
        ));
    }

    let table = table(&block.self_ty, &tools, &toolsets);
    quote!(#errors #block #table)
}

fn table(this: &Type, tools: &[Tool], toolsets: &Toolsets) -> TokenStream {
    let name = toolsets.name.clone().or_else(|| match this {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    });
    let name = name.unwrap_or_else(|| quote!(#this).to_string());
    let rows = tools.iter().map(Tool::row);
    let types = toolsets.fields.iter().map(|field| &field.ty);
    let arms = toolsets.fields.iter().enumerate().map(|(place, field)| {
        let name = &field.name;
        quote!(#place => ::core::option::Option::Some(&mut self.#name),)
    });
    quote! {
        // Errors about a type without tools do not offer this type in its place.
        #[diagnostic::do_not_recommend]
        impl ::orwd_sdk::Tools for #this {
            const NAME: &'static str = #name;
            const TOOLS: &'static [::orwd_sdk::__private::Tool<Self>] = &[#(#rows),*];
            const TOOLSETS: &'static [::orwd_sdk::__private::Toolset] =
                &[#(::orwd_sdk::__private::toolset::<#types>()),*];
            fn toolset(
                &mut self,
                place: usize,
            ) -> ::core::option::Option<&mut dyn ::orwd_sdk::__private::Dispatch> {
                match place {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    }
}

struct Tool {
    method: Ident,
    name: String,
    description: String,
    access: &'static str,
    visibility: Visibility,
    input: Option<Type>,
    output: Type,
}

enum Visibility {
    Listed,
    Unlisted,
    Terminal(Option<String>),
}

impl Tool {
    fn read(mark: &Attribute, method: &ImplItemFn) -> Result<Self> {
        let options = Options::read(mark)?;
        let signature = &method.sig;
        if let Some(word) = &signature.asyncness {
            return Err(Error::new(
                word.span(),
                "a tool is not async: the calls of an episode run in sequence",
            ));
        }
        if !signature.generics.params.is_empty() {
            return Err(Error::new(
                signature.generics.span(),
                "a tool has no generic parameters: the agent cannot choose them",
            ));
        }
        let mut inputs = signature.inputs.iter();
        match inputs.next() {
            Some(FnArg::Receiver(receiver))
                if matches!(receiver.kind, ReceiverKind::Reference(..)) => {}
            other => {
                let span = other.map_or(signature.ident.span(), Spanned::span);
                return Err(Error::new(
                    span,
                    "the first argument of a tool is `&self` or `&mut self`: the episode",
                ));
            }
        }
        let input = match (inputs.next(), inputs.next()) {
            (Some(FnArg::Typed(input)), None) => Some((*input.ty).clone()),
            (None, _) => None,
            (_, extra) => {
                return Err(Error::new(
                    extra.map_or(signature.ident.span(), Spanned::span),
                    "a tool takes one argument at most: put what it needs into one struct \
                     that derives `Deserialize` and `JsonSchema`",
                ));
            }
        };
        let output = match &signature.output {
            ReturnType::Type(_, output) => (**output).clone(),
            ReturnType::Default => {
                return Err(Error::new(
                    signature.ident.span(),
                    "a tool gives the agent something: add `-> Result<Output>`",
                ));
            }
        };
        if let Visibility::Terminal(argument) = &options.visibility
            && argument.is_some() != input.is_some()
        {
            return Err(Error::new(
                mark.span(),
                match argument {
                    Some(_) => {
                        "this terminal tool takes no argument: \
                         write `#[tool(terminal)]`, or give it an argument with that field"
                    }
                    None => {
                        "say which field of the argument takes the agent's final message: \
                         `#[tool(terminal = \"answer\")]`"
                    }
                },
            ));
        }
        Ok(Self {
            name: options.name.unwrap_or_else(|| unraw(&signature.ident)),
            method: signature.ident.clone(),
            description: description(&method.attrs),
            access: options.access,
            visibility: options.visibility,
            input,
            output,
        })
    }

    fn row(&self) -> TokenStream {
        let Self {
            method,
            name,
            description,
            ..
        } = self;
        let access = Ident::new(self.access, Span::call_site());
        let visibility = match &self.visibility {
            Visibility::Listed => quote!(Listed),
            Visibility::Unlisted => quote!(Unlisted),
            Visibility::Terminal(None) => quote!(Terminal(::core::option::Option::None)),
            Visibility::Terminal(Some(argument)) => {
                quote!(Terminal(::core::option::Option::Some(#argument)))
            }
        };
        // Errors about a type point to where the author wrote it.
        let output = Span::call_site().located_at(self.output.span());
        let (schema, run) = match &self.input {
            None => {
                let gives = quote_spanned! {output=>
                    ::orwd_sdk::IntoOutput::into_output(this.#method())
                };
                (
                    quote!(::core::option::Option::None),
                    quote!(|this, _| ::core::result::Result::Ok(#gives?)),
                )
            }
            Some(ty) => {
                let input = Span::call_site().located_at(ty.span());
                let schema = quote_spanned!(input=> ::orwd_sdk::__private::schema::<#ty>);
                let read = quote_spanned!(input=> ::orwd_sdk::__private::read::<#ty>);
                let gives = quote_spanned! {output=>
                    ::orwd_sdk::IntoOutput::into_output(this.#method(input))
                };
                (
                    quote!(::core::option::Option::Some(#schema)),
                    quote! {
                        |this, input| {
                            let input = #read(input)?;
                            ::core::result::Result::Ok(#gives?)
                        }
                    },
                )
            }
        };
        quote! {
            ::orwd_sdk::__private::Tool {
                name: #name,
                description: #description,
                access: ::orwd_sdk::Access::#access,
                visibility: ::orwd_sdk::Visibility::#visibility,
                schema: #schema,
                run: #run,
            }
        }
    }
}

/// The arguments of `#[tool(…)]`.
struct Options {
    name: Option<String>,
    access: &'static str,
    visibility: Visibility,
}

impl Options {
    fn read(mark: &Attribute) -> Result<Self> {
        let mut name = None;
        let mut access = None;
        let mut visibility = None;
        let empty = matches!(mark.meta, Meta::Path(_));
        let metas = match empty {
            true => Punctuated::new(),
            false => mark.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?,
        };
        for meta in metas {
            let word = meta
                .path()
                .get_ident()
                .map(Ident::to_string)
                .unwrap_or_default();
            let clash = match (word.as_str(), &meta) {
                ("unlisted", Meta::Path(_)) => visibility.replace(Visibility::Unlisted).is_some(),
                ("terminal", Meta::Path(_)) => {
                    visibility.replace(Visibility::Terminal(None)).is_some()
                }
                ("terminal", Meta::NameValue(pair)) => {
                    let argument = Some(string(&pair.value)?);
                    visibility.replace(Visibility::Terminal(argument)).is_some()
                }
                ("concurrent", Meta::Path(_)) => access.replace("Concurrent").is_some(),
                ("exclusive", Meta::Path(_)) => access.replace("Exclusive").is_some(),
                ("name", Meta::NameValue(pair)) => name.replace(string(&pair.value)?).is_some(),
                _ => {
                    return Err(Error::new(
                        meta.span(),
                        "expected `unlisted`, `terminal`, `terminal = \"argument\"`, \
                         `concurrent`, `exclusive` or `name = \"…\"`",
                    ));
                }
            };
            if clash {
                return Err(Error::new(
                    meta.span(),
                    format!("`{word}` contradicts what stands before it"),
                ));
            }
        }
        if name.as_deref() == Some("") {
            return Err(Error::new(
                mark.span(),
                "the name of a tool cannot be empty",
            ));
        }
        Ok(Self {
            name,
            access: access.unwrap_or("Serial"),
            visibility: visibility.unwrap_or(Visibility::Listed),
        })
    }
}

fn string(value: &Expr) -> Result<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Ok(text.value()),
        other => Err(Error::new(other.span(), "expected a string")),
    }
}

/// The arguments of `#[tools(…)]`.
#[derive(Default)]
struct Toolsets {
    /// The name of this toolset; that of the type if there is none.
    name: Option<String>,
    fields: Vec<ToolsetField>,
}

struct ToolsetField {
    name: Ident,
    ty: Type,
}

impl Parse for Toolsets {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Ok(Self::default());
        }
        let word: Ident = input.parse()?;
        if word == "name" {
            input.parse::<Token![=]>()?;
            let name: LitStr = input.parse()?;
            return Ok(Self {
                name: Some(name.value()),
                fields: Vec::new(),
            });
        }
        if word != "toolsets" {
            return Err(Error::new(
                word.span(),
                "expected `toolsets(field: Type, …)`, `name = \"…\"` or nothing",
            ));
        }
        let fields;
        parenthesized!(fields in input);
        let fields = Punctuated::<ToolsetField, Token![,]>::parse_terminated(&fields)?;
        Ok(Self {
            name: None,
            fields: fields.into_iter().collect(),
        })
    }
}

impl Parse for ToolsetField {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![:]>()?;
        Ok(Self {
            name,
            ty: input.parse()?,
        })
    }
}

/// Returns the lines of the doc comment, unchanged.
fn description(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        if !pair.path.is_ident("doc") {
            return None;
        }
        let text: LitStr = syn::parse2(quote_value(&pair.value)).ok()?;
        let text = text.value();
        Some(
            text.strip_prefix(' ')
                .unwrap_or(&text)
                .trim_end()
                .to_owned(),
        )
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn quote_value(value: &Expr) -> TokenStream {
    quote!(#value)
}

fn unraw(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}
