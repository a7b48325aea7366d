//! Reads modules, imports, definitions and paths from one source file.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The content of one module. A file is a module and can contain inline modules.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) modules: Vec<Module>,
    pub(super) imports: Vec<Import>,
    /// Names of types, functions, constants and macros.
    pub(super) items: BTreeSet<String>,
    /// Macros with `#[macro_export]`, which are items of the crate's root too.
    pub(super) exported_macros: BTreeSet<String>,
    /// Paths of two or more segments outside `use`.
    pub(super) paths: Vec<Mention>,
    /// Single names and their first line; a glob import may define them.
    pub(super) names: BTreeMap<String, usize>,
}

/// A `mod` declaration.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) name: String,
    /// The value of a `path` attribute.
    pub(super) path: Option<String>,
    /// The content in braces; without it the module is a file.
    pub(super) inline: Option<Scope>,
}

/// One name that a `use` declaration brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// The name in this module; `None` for a glob import.
    pub(super) name: Option<String>,
    pub(super) line: usize,
}

/// A path and where it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mention {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

impl Scope {
    /// Reads a source text.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let stream: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
        let mut scope = Self::default();
        scope.walk(stream, true);
        Ok(scope)
    }

    /// Reads tokens. `top` is true for the items of this module, and false inside
    /// an item.
    fn walk(&mut self, stream: TokenStream, top: bool) {
        let mut tokens = Tokens::new(stream);
        let mut path_attribute = None;
        let mut is_exported = false;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let inner = tokens.take_punct('!');
                    let Some(attribute) = tokens.take_group(Delimiter::Bracket) else {
                        continue;
                    };
                    let line = punct.span().start().line;
                    if is_for_tests(&attribute) {
                        if inner {
                            *self = Self::default();
                            return;
                        }
                        tokens.skip_item();
                    } else if let Some(path) = path_value(&attribute) {
                        path_attribute = Some(path);
                    } else {
                        is_exported |= attribute.to_string().starts_with("macro_export");
                        self.attribute(attribute, line);
                    }
                }
                TokenTree::Group(group) => self.walk(group.stream(), false),
                TokenTree::Ident(ident) => {
                    let word = ident.to_string();
                    let line = ident.span().start().line;
                    match word.as_str() {
                        "mod" if top => self.module(&mut tokens, path_attribute.take()),
                        // `use<'a>` in a type captures lifetimes.
                        "use" if !tokens.is_punct('<') => {
                            self.import(&mut tokens, Vec::new(), line);
                        }
                        "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const"
                        | "static"
                            if top =>
                        {
                            self.define(&mut tokens);
                        }
                        "macro_rules" if top => {
                            tokens.take_punct('!');
                            if let Some(name) = tokens.take_ident() {
                                if std::mem::take(&mut is_exported) {
                                    self.exported_macros.insert(name.clone());
                                }
                                self.items.insert(name);
                            }
                        }
                        _ => self.path(&mut tokens, word, line),
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == '.' => {
                    // A field or a method; two dots are a range or a base.
                    if !tokens.take_punct('.') {
                        tokens.take_ident();
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    // `::std::…` names another crate.
                    if punct.spacing() == proc_macro2::Spacing::Joint && tokens.take_punct(':') {
                        while tokens.take_ident().is_some() && tokens.take_separator() {}
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn module(&mut self, tokens: &mut Tokens, path: Option<String>) {
        let Some(name) = tokens.take_ident() else {
            return;
        };
        let inline = tokens.take_group(Delimiter::Brace).map(|content| {
            let mut scope = Self::default();
            scope.walk(content, true);
            scope
        });
        self.modules.push(Module { name, path, inline });
    }

    /// Takes the name after a keyword. `const fn` and `const _` define nothing
    /// here: the former is taken at `fn`.
    fn define(&mut self, tokens: &mut Tokens) {
        let next = match tokens.peek() {
            Some(TokenTree::Ident(ident)) => ident.to_string(),
            _ => return,
        };
        if !matches!(
            next.as_str(),
            "fn" | "unsafe" | "async" | "extern" | "mut" | "_"
        ) {
            tokens.next();
            self.items.insert(next);
        } else if next == "mut" {
            tokens.next();
            self.define(tokens);
        }
    }

    /// Reads the tree of a `use` declaration.
    fn import(&mut self, tokens: &mut Tokens, mut path: Vec<String>, line: usize) {
        tokens.take_separator();
        loop {
            if let Some(group) = tokens.take_group(Delimiter::Brace) {
                let mut inner = Tokens::new(group);
                while inner.peek().is_some() {
                    let line = inner.line().unwrap_or(line);
                    self.import(&mut inner, path.clone(), line);
                    inner.take_punct(',');
                }
                return;
            }
            if tokens.take_punct('*') {
                self.imports.push(Import {
                    path,
                    name: None,
                    line,
                });
                return;
            }
            let Some(segment) = tokens.take_ident() else {
                // A variable of a macro: no path can be known.
                tokens.next();
                return;
            };
            if segment == "as" {
                let name = tokens.take_ident();
                self.imports.push(Import { path, name, line });
                return;
            }
            if segment != "self" || path.is_empty() {
                path.push(segment);
            }
            if tokens.take_separator() {
                continue;
            }
            if !tokens.is_ident("as") {
                let name = path.last().cloned();
                self.imports.push(Import { path, name, line });
                return;
            }
        }
    }

    /// Reads the rest of a path that starts with a word.
    fn path(&mut self, tokens: &mut Tokens, first: String, line: usize) {
        let mut path = vec![first];
        while tokens.is_separator() {
            // A separator before `<` belongs to type arguments.
            tokens.take_separator();
            match tokens.take_ident() {
                Some(segment) => path.push(segment),
                None => break,
            }
        }
        match path.as_slice() {
            [name] => {
                self.names.entry(name.clone()).or_insert(line);
            }
            _ => self.paths.push(Mention { path, line }),
        }
    }

    /// Reads an attribute: its tokens, and paths in strings as serde takes them.
    fn attribute(&mut self, content: TokenStream, line: usize) {
        let is_doc = matches!(content.clone().into_iter().next(),
            Some(TokenTree::Ident(ident)) if ident == "doc");
        if is_doc {
            return;
        }
        for text in strings(content.clone()) {
            let path: Vec<String> = text.split("::").map(str::to_owned).collect();
            let relative = matches!(
                path.first().map(String::as_str),
                Some("crate" | "self" | "super")
            );
            if relative && path.len() > 1 {
                self.paths.push(Mention { path, line });
            }
        }
        self.walk(content, false);
    }
}

/// Returns whether an attribute limits an item to builds of tests.
fn is_for_tests(attribute: &TokenStream) -> bool {
    let mut tokens = attribute.clone().into_iter();
    let is_cfg = matches!(tokens.next(), Some(TokenTree::Ident(ident)) if ident == "cfg");
    match tokens.next() {
        Some(TokenTree::Group(group)) if is_cfg => names_test(group.stream()),
        Some(_) => false,
        // The attribute `#[test]`.
        None => matches!(attribute.clone().into_iter().next(),
            Some(TokenTree::Ident(ident)) if ident == "test"),
    }
}

/// Returns whether a condition contains `test` outside `not(…)`.
fn names_test(condition: TokenStream) -> bool {
    let mut negated = false;
    for token in condition {
        match token {
            TokenTree::Ident(ident) if ident == "test" => return true,
            TokenTree::Ident(ident) => negated = ident == "not",
            TokenTree::Group(group) if !negated && names_test(group.stream()) => return true,
            TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    false
}

/// Returns the value of `path = "…"`.
fn path_value(attribute: &TokenStream) -> Option<String> {
    match attribute.clone().into_iter().next() {
        Some(TokenTree::Ident(ident)) if ident == "path" => strings(attribute.clone()).pop(),
        _ => None,
    }
}

/// Returns the string literals of an attribute, without escapes.
fn strings(stream: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in stream {
        match token {
            TokenTree::Group(group) => found.extend(strings(group.stream())),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let inside = text
                    .strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'));
                found.extend(inside.map(str::to_owned));
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
    found
}

/// A stream of tokens with one token of lookahead.
struct Tokens {
    rest: std::iter::Peekable<proc_macro2::token_stream::IntoIter>,
}

impl Tokens {
    fn new(stream: TokenStream) -> Self {
        Self {
            rest: stream.into_iter().peekable(),
        }
    }

    fn next(&mut self) -> Option<TokenTree> {
        self.rest.next()
    }

    fn peek(&mut self) -> Option<&TokenTree> {
        self.rest.peek()
    }

    fn line(&mut self) -> Option<usize> {
        self.peek().map(|token| token.span().start().line)
    }

    fn is_punct(&mut self, sign: char) -> bool {
        matches!(self.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    }

    fn take_punct(&mut self, sign: char) -> bool {
        let found = self.is_punct(sign);
        if found {
            self.next();
        }
        found
    }

    fn is_ident(&mut self, word: &str) -> bool {
        matches!(self.peek(), Some(TokenTree::Ident(ident)) if ident == word)
    }

    fn take_ident(&mut self) -> Option<String> {
        match self.peek() {
            Some(TokenTree::Ident(ident)) => {
                let word = ident.to_string();
                self.next();
                Some(word)
            }
            _ => None,
        }
    }

    /// Whether `::` follows. A lone colon is never joint with another sign that
    /// could follow a path.
    fn is_separator(&mut self) -> bool {
        matches!(self.peek(), Some(TokenTree::Punct(punct))
            if punct.as_char() == ':' && punct.spacing() == proc_macro2::Spacing::Joint)
    }

    fn take_separator(&mut self) -> bool {
        let found = self.is_separator();
        if found {
            self.next();
            self.take_punct(':');
        }
        found
    }

    fn take_group(&mut self, delimiter: Delimiter) -> Option<TokenStream> {
        match self.peek() {
            Some(TokenTree::Group(group)) if group.delimiter() == delimiter => {
                let content = group.stream();
                self.next();
                Some(content)
            }
            _ => None,
        }
    }

    /// Skips the target of an attribute: an item, a statement, a field or an arm.
    fn skip_item(&mut self) {
        let mut to_semicolon = false;
        while let Some(token) = self.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ';' => return,
                TokenTree::Punct(punct) if punct.as_char() == ',' && !to_semicolon => return,
                TokenTree::Group(group)
                    if group.delimiter() == Delimiter::Brace && !to_semicolon =>
                {
                    return;
                }
                TokenTree::Ident(ident) => match ident.to_string().as_str() {
                    "use" | "let" | "static" | "const" | "type" => to_semicolon = true,
                    "fn" => to_semicolon = false,
                    _ => {}
                },
                TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> Vec<String> {
        let scope = Scope::read(text).unwrap();
        let mut lines: Vec<String> = scope
            .imports
            .iter()
            .map(|import| {
                let name = import.name.as_deref().unwrap_or("*");
                format!("{} {} {}", import.line, import.path.join("::"), name)
            })
            .collect();
        lines.extend(
            scope
                .paths
                .iter()
                .map(|mention| format!("{} {}", mention.line, mention.path.join("::"))),
        );
        lines
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(imports(text), expected, "{text}");
    }

    #[test]
    fn reads_use_declarations() {
        check("use a::b;", &["1 a::b b"]);
        check("pub(crate) use a::b as c;", &["1 a::b c"]);
        check(
            "use a::{self, b,\n c::{d, e as _}};",
            &["1 a a", "1 a::b b", "2 a::c::d d", "2 a::c::e _"],
        );
        check("use super::*;", &["1 super *"]);
        check("use self::a;", &["1 self::a a"]);
        check("fn f() { use crate::a::B; }", &["1 crate::a::B B"]);
        check("fn f() -> impl A + use<'_> {}", &[]);
    }

    #[test]
    fn reads_paths_in_code_and_in_macros() {
        check(
            "fn f() { let x: a::B<c::D> = e::<F>(); x.g(); }",
            &["1 a::B", "1 c::D"],
        );
        check("fn f() { S { a, ..a::b() }; x.a.b() }", &["1 a::b"]);
        check(
            "fn f() { info!(\"x\", crate::a::b()); ::std::mem::drop(1); }",
            &["1 crate::a::b"],
        );
        check("#[serde(with = \"crate::a\")] struct S;", &["1 crate::a"]);
        check("/// crate::a\nstruct S { a: u8 }", &[]);
    }

    #[test]
    fn skips_what_is_for_tests() {
        check(
            "#[cfg(test)] mod tests { use super::*; } use a::b;",
            &["1 a::b b"],
        );
        check("#[cfg(test)] use a::{b}; use c::d;", &["1 c::d d"]);
        check(
            "#[cfg(all(test, unix))] mod tests; use c::d;",
            &["1 c::d d"],
        );
        check("#[cfg(not(test))] use c::d;", &["1 c::d d"]);
        check("struct S { #[cfg(test)] a: b::C, d: e::F }", &["1 e::F"]);
        check("#![cfg(test)] use a::b;", &[]);
        check("#[test] fn f() { a::b() }", &[]);
    }

    #[test]
    fn reads_definitions_and_modules() {
        let scope = Scope::read(
            "pub struct A; const fn b() { fn inner() {} } static mut C: u8 = 1; macro_rules! d { () => {} }
             mod e; mod f { pub enum G {} } #[path = \"x/y.rs\"] mod h; impl A { fn i() {} }",
        )
        .unwrap();
        assert_eq!(scope.items.iter().collect::<Vec<_>>(), ["A", "C", "b", "d"]);
        let modules: Vec<_> = scope
            .modules
            .iter()
            .map(|module| {
                (
                    module.name.as_str(),
                    module.path.as_deref(),
                    module.inline.is_some(),
                )
            })
            .collect();
        assert_eq!(
            modules,
            [
                ("e", None, false),
                ("f", None, true),
                ("h", Some("x/y.rs"), false)
            ]
        );
    }
}
