//! Programs, compiled so that they end. The parser and the compiler go one level deeper
//! with each token, so a program that nests too deeply is refused first. Then a step is
//! put wherever a program may go on without end: into each definition, the arguments of
//! calls, the second of two alternatives, and the turns of `reduce` and `foreach`.

use std::collections::HashSet;

use jaq_core::compile::Undefined;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::path::Part;
use jaq_core::{Compiler, Filter};

use super::lexer::{Kind as TokenKind, Lexer};
use super::natives::{self, Kind};
use super::text::surrogates::join_pairs;

/// The cost of the longest path from the outside of a program to its innermost term.
const MAX_COST: usize = 1200;

/// The cost of a block, such as parentheses.
const BLOCK_COST: usize = 12;

/// Bytes of a program.
const MAX_PROGRAM: usize = 256 << 10;

/// Why a program cannot run.
const TOO_DEEP: &str =
    "jq: error: the program nests too deeply; split it into several calls of jq\n";

/// Definitions of the libraries that are replaced by functions, or need such that are.
const REPLACED: [&str; 17] = [
    "nan",
    "infinite",
    "isnan",
    "isinfinite",
    "isnormal",
    "type",
    "split",
    "splits",
    "capture_of_match",
    "test",
    "scan_",
    "match",
    "capture",
    "sub",
    "gsub",
    "scan",
    "join",
];

/// Compiles a program, which may use these variables. Returns what is wrong with it.
pub(crate) fn compile(program: &str, variables: &[String]) -> Result<Filter<Kind>, String> {
    if program.len() > MAX_PROGRAM || is_too_deep(program) {
        return Err(TOO_DEEP.to_owned());
    }
    let text = if program.trim().is_empty() {
        "."
    } else {
        program
    };
    let text = &*join_pairs(text);
    let term = parse(text)?;
    let own = load::parse(include_str!("defs.jq"), |p| p.defs()).unwrap_or_default();
    let library = jaq_core::defs().chain(jaq_std::defs());
    let library = library.filter(|def| !REPLACED.contains(&def.name));
    let mut steps = Steps::default();
    let mut defs: Vec<_> = library.chain(own).map(|def| steps.def(def)).collect();
    let mut steps = Steps::of_program(&term);
    defs.push(Def {
        name: "_main",
        args: Vec::new(),
        body: steps.term(term),
    });
    let arena = Arena::default();
    let main = File {
        code: "_main",
        path: (),
    };
    let modules = Loader::new(defs).load(&arena, main);
    let modules = modules.map_err(|_| "jq: error: the program cannot be loaded\n".to_owned())?;
    let compiler = Compiler::default()
        .with_funs(natives::functions())
        .with_global_vars(variables.iter().map(String::as_str));
    compiler.compile(modules).map_err(|errors| {
        let mut report = String::new();
        let mut count = 0;
        for (name, undefined) in errors.iter().flat_map(|(_, errors)| errors) {
            let name = match undefined {
                Undefined::Filter(arity) => format!("{name}/{arity}"),
                Undefined::Label => format!("$*label-{}", name.trim_start_matches('$')),
                _ => (*name).to_owned(),
            };
            report +=
                &format!("jq: error: {name} is not defined at <top-level>, line 1:\n{text}\n");
            count += 1;
        }
        report + &summary(count)
    })
}

fn summary(count: usize) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("jq: {count} compile error{s}\n")
}

fn parse(text: &str) -> Result<Term<&str>, String> {
    let report = |found: &str| {
        let found = match found {
            "" => "$end",
            found => found.lines().next().unwrap_or_default(),
        };
        format!(
            "jq: error: syntax error, unexpected {found} (Unix shell quoting issues?) \
             at <top-level>, line 1:\n{text}\n{}",
            summary(1)
        )
    };
    let tokens = load::Lexer::new(text).lex();
    let tokens = tokens.map_err(|errors| report(errors.first().map_or("", |(_, rest)| *rest)))?;
    let term = load::Parser::new(&tokens).parse(|p| p.term());
    term.map_err(|errors| {
        let found = errors.first().and_then(|(_, found)| found.as_ref());
        report(found.map_or("", |token| token.0))
    })
}

fn is_too_deep(program: &str) -> bool {
    // The cost where each open block begins, and whether commas separate its terms.
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut cost = 0;
    for token in Lexer::new(program) {
        cost += 1;
        match token.kind {
            TokenKind::Open => {
                cost += BLOCK_COST;
                open.push((cost, token.text == "{"));
            }
            // A block is one term of what is around it.
            TokenKind::Close => cost = open.pop().map_or(0, |(cost, _)| cost - BLOCK_COST),
            TokenKind::Semicolon => cost = open.last().map_or(0, |(cost, _)| *cost),
            TokenKind::Comma => {
                if let Some((start, true)) = open.last() {
                    cost = *start;
                }
            }
            _ => {}
        }
        if cost > MAX_COST {
            return true;
        }
    }
    false
}

type Parsed<'s> = Term<&'s str>;

/// Puts steps into terms.
#[derive(Default)]
struct Steps<'s> {
    /// The definitions of the program that take closures, by name and number of
    /// arguments.
    with_closures: HashSet<(&'s str, usize)>,
}

impl<'s> Steps<'s> {
    /// Returns steps of a program.
    fn of_program(term: &Parsed<'s>) -> Self {
        let mut steps = Self::default();
        steps.find_closures(term);
        steps
    }

    /// Returns a term that takes a step first.
    fn step(term: Parsed<'s>) -> Parsed<'s> {
        let step = Box::new(Term::Call("_step", Vec::new()));
        Term::BinOp(step, BinaryOp::Pipe(None), Box::new(term))
    }

    fn def(&mut self, def: Def<&'s str>) -> Def<&'s str> {
        Def {
            name: def.name,
            args: def.args,
            body: Self::step(self.term(def.body)),
        }
    }

    fn argument(&mut self, term: Parsed<'s>) -> Parsed<'s> {
        match term {
            Term::Id | Term::Num(_) | Term::Var(_) => term,
            term => Self::step(self.term(term)),
        }
    }

    fn call(&mut self, name: &'s str, arguments: Vec<Parsed<'s>>) -> Parsed<'s> {
        let key = (name, arguments.len());
        let arguments = arguments.into_iter().map(|term| self.argument(term));
        let call = Term::Call(name, arguments.collect());
        if self.with_closures.contains(&key) {
            // No tail call: each closure holds the one before, and a chain of them may
            // be as long as the stack is deep, but no longer.
            return Term::BinOp(Box::new(call), BinaryOp::Pipe(None), Box::new(Term::Id));
        }
        call
    }

    fn boxed(&mut self, term: Parsed<'s>) -> Box<Parsed<'s>> {
        Box::new(self.term(term))
    }

    fn term(&mut self, term: Parsed<'s>) -> Parsed<'s> {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => term,
            Term::Str(format, parts) => {
                let parts = parts.into_iter().map(|part| match part {
                    StrPart::Term(term) => StrPart::Term(self.term(term)),
                    part => part,
                });
                Term::Str(format, parts.collect())
            }
            Term::Arr(term) => Term::Arr(term.map(|term| self.boxed(*term))),
            Term::Obj(entries) => {
                let entries = entries.into_iter();
                let entries = entries.map(|(key, value)| match (key, value) {
                    // `{$x}` is named by its variable.
                    (key @ Term::Var(_), None) => (key, None),
                    (key, value) => (self.term(key), value.map(|value| self.term(value))),
                });
                Term::Obj(entries.collect())
            }
            Term::Neg(term) => Term::Neg(self.boxed(*term)),
            Term::BinOp(left, BinaryOp::Comma, right) => {
                let right = Self::step(self.term(*right));
                Term::BinOp(self.boxed(*left), BinaryOp::Comma, Box::new(right))
            }
            Term::BinOp(left, BinaryOp::Pipe(pattern), right) => {
                let pattern = pattern.map(|pattern| self.pattern(pattern));
                let (left, right) = (self.boxed(*left), self.boxed(*right));
                Term::BinOp(left, BinaryOp::Pipe(pattern), right)
            }
            Term::BinOp(left, operator, right) => {
                let left = self.boxed(*left);
                Term::BinOp(left, operator, self.boxed(*right))
            }
            Term::Label(name, term) => Term::Label(name, self.boxed(*term)),
            Term::Fold(name, values, pattern, terms) => {
                let values = self.boxed(*values);
                let pattern = self.pattern(pattern);
                let terms = terms.into_iter().enumerate();
                let terms = terms.map(|(i, term)| match i {
                    1 => Self::step(self.term(term)),
                    _ => self.term(term),
                });
                Term::Fold(name, values, pattern, terms.collect())
            }
            Term::TryCatch(term, catch) => {
                let catch = catch.map(|catch| self.boxed(*catch));
                Term::TryCatch(self.boxed(*term), catch)
            }
            Term::IfThenElse(branches, other) => {
                let branches = branches.into_iter();
                let branches = branches.map(|(is, then)| (self.term(is), self.term(then)));
                let branches = branches.collect();
                Term::IfThenElse(branches, other.map(|other| self.boxed(*other)))
            }
            Term::Def(defs, term) => {
                let defs = defs.into_iter().map(|def| self.def(def)).collect();
                Term::Def(defs, self.boxed(*term))
            }
            Term::Call(name, arguments) => self.call(name, arguments),
            Term::Path(term, path) => {
                let term = self.boxed(*term);
                let parts = path.0.into_iter().map(|(part, opt)| {
                    let part = match part {
                        Part::Index(index) => Part::Index(self.term(index)),
                        Part::Range(from, to) => Part::Range(
                            from.map(|from| self.term(from)),
                            to.map(|to| self.term(to)),
                        ),
                    };
                    (part, opt)
                });
                Term::Path(term, jaq_core::path::Path(parts.collect()))
            }
        }
    }

    fn pattern(&mut self, pattern: Pattern<&'s str>) -> Pattern<&'s str> {
        match pattern {
            Pattern::Var(name) => Pattern::Var(name),
            Pattern::Arr(parts) => {
                Pattern::Arr(parts.into_iter().map(|part| self.pattern(part)).collect())
            }
            Pattern::Obj(parts) => {
                let parts = parts.into_iter().map(|(key, part)| {
                    let key = match key {
                        key @ Term::Var(_) => key,
                        key => self.term(key),
                    };
                    (key, self.pattern(part))
                });
                Pattern::Obj(parts.collect())
            }
        }
    }

    /// Finds the definitions that take closures, in all of a term.
    fn find_closures(&mut self, term: &Parsed<'s>) {
        let mut all =
            |terms: &[&Parsed<'s>]| terms.iter().for_each(|term| self.find_closures(term));
        match term {
            Term::Def(defs, rest) => {
                for def in defs {
                    if def.args.iter().any(|name| !name.starts_with('$')) {
                        self.with_closures.insert((def.name, def.args.len()));
                    }
                    self.find_closures(&def.body);
                }
                self.find_closures(rest);
            }
            Term::Str(_, parts) => {
                for part in parts {
                    if let StrPart::Term(term) = part {
                        self.find_closures(term);
                    }
                }
            }
            Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) => all(&[term]),
            Term::Obj(entries) => {
                for (key, value) in entries {
                    self.find_closures(key);
                    value.iter().for_each(|value| self.find_closures(value));
                }
            }
            Term::BinOp(left, _, right) => all(&[left, right]),
            Term::Fold(_, values, _, terms) => {
                all(&[values]);
                terms.iter().for_each(|term| self.find_closures(term));
            }
            Term::TryCatch(term, catch) => {
                all(&[term]);
                catch.iter().for_each(|catch| self.find_closures(catch));
            }
            Term::IfThenElse(branches, other) => {
                for (is, then) in branches {
                    self.find_closures(is);
                    self.find_closures(then);
                }
                other.iter().for_each(|other| self.find_closures(other));
            }
            Term::Call(_, terms) => terms.iter().for_each(|term| self.find_closures(term)),
            Term::Path(term, path) => {
                all(&[term]);
                for (part, _) in &path.0 {
                    match part {
                        Part::Index(index) => self.find_closures(index),
                        Part::Range(from, to) => {
                            from.iter()
                                .chain(to)
                                .for_each(|term| self.find_closures(term));
                        }
                    }
                }
            }
            _ => {}
        }
    }
}
