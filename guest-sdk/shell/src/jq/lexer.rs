//! Tokens of `jq` programs, as far as the guard needs them.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or the name of a function.
    Word,
    /// `(`, `[`, `{`, or `\(` inside a string.
    Open,
    /// The end of such a block.
    Close,
    Colon,
    Semicolon,
    Comma,
    /// All others: operators, numbers, variables, fields, parts of strings.
    Other,
}

/// A token and the bytes that it takes in the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// The offset of the first byte after it.
    #[cfg(test)]
    pub(crate) end: usize,
}

/// The tokens of a program. A program that is no `jq` has some tokens too.
pub(crate) struct Lexer<'a> {
    program: &'a str,
    at: usize,
    /// The open blocks: whether each is an interpolation, after whose end a string
    /// continues.
    blocks: Vec<bool>,
    /// Whether the next token continues a string.
    in_string: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(program: &'a str) -> Self {
        Self {
            program,
            at: 0,
            blocks: Vec::new(),
            in_string: false,
        }
    }

    fn rest(&self) -> &'a str {
        self.program.get(self.at..).unwrap_or_default()
    }

    /// Takes this many bytes, which end at a character.
    fn take(&mut self, kind: Kind, length: usize) -> Token<'a> {
        let text = self.rest().get(..length).unwrap_or_else(|| self.rest());
        self.at += text.len();
        Token {
            kind,
            text,
            #[cfg(test)]
            end: self.at,
        }
    }

    /// Takes characters as long as they match, after the first ones.
    fn take_while(&mut self, kind: Kind, skip: usize, is: impl Fn(char) -> bool) -> Token<'a> {
        let rest = self.rest();
        let tail = rest.get(skip..).unwrap_or_default();
        let length = skip + tail.find(|c| !is(c)).unwrap_or(tail.len());
        self.take(kind, length)
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            // A backslash before the end of the line continues the comment.
            let mut length = 0;
            for line in trimmed.split_inclusive('\n') {
                length += line.len();
                let text = line.trim_end_matches(['\n', '\r']);
                let slashes = text.chars().rev().take_while(|c| *c == '\\').count();
                if slashes.is_multiple_of(2) {
                    break;
                }
            }
            self.at += length;
        }
    }

    /// Takes the rest of a string, up to its end or the next interpolation.
    fn string(&mut self, skip: usize) -> Token<'a> {
        let rest = self.rest();
        let mut escaped = false;
        for (offset, c) in rest.char_indices().skip(skip) {
            match c {
                '(' if escaped => {
                    self.blocks.push(true);
                    return self.take(Kind::Open, offset + 1);
                }
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return self.take(Kind::Other, offset + 1),
                _ => {}
            }
        }
        self.take(Kind::Other, rest.len())
    }
}

/// Whether a character continues a name.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if std::mem::take(&mut self.in_string) {
            return Some(self.string(0));
        }
        self.skip_space();
        let mut chars = self.rest().chars();
        let first = chars.next()?;
        let second = chars.next();
        Some(match first {
            '(' | '[' | '{' => {
                self.blocks.push(false);
                self.take(Kind::Open, 1)
            }
            ')' | ']' | '}' => {
                self.in_string = self.blocks.pop() == Some(true);
                self.take(Kind::Close, 1)
            }
            ':' if second != Some(':') => self.take(Kind::Colon, 1),
            ';' => self.take(Kind::Semicolon, 1),
            ',' => self.take(Kind::Comma, 1),
            '"' => self.string(1),
            '.' if second.is_some_and(is_name) => self.take_while(Kind::Other, 1, is_name),
            '$' | '@' => self.take_while(Kind::Other, 1, is_name),
            c if c.is_ascii_alphabetic() || c == '_' => self.take_while(Kind::Word, 0, is_name),
            c if c.is_ascii_digit() => self.take_while(Kind::Other, 0, |c| is_name(c) || c == '.'),
            c => self.take(Kind::Other, c.len_utf8()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Lexer};

    fn words(program: &str) -> Vec<&str> {
        let tokens = Lexer::new(program).filter(|token| token.kind == Kind::Word);
        tokens.map(|token| token.text).collect()
    }

    #[test]
    fn words_are_found_outside_strings_fields_and_comments() {
        assert_eq!(
            words("def f: .def | $def, @def # def\n| g"),
            ["def", "f", "g"]
        );
        assert_eq!(words(r#""def \"def" | f"#), ["f"]);
        assert_eq!(words("# def \\\n def\nf"), ["f"]);
    }

    #[test]
    fn an_interpolation_is_a_block_of_its_string() {
        assert_eq!(
            words(r#""a \(f | "b \(g)" | h) def" | i"#),
            ["f", "g", "h", "i"]
        );
        let kinds: Vec<Kind> = Lexer::new(r#""\(1)\(2)" "(" "#)
            .map(|token| token.kind)
            .collect();
        let count = |kind| kinds.iter().filter(|found| **found == kind).count();
        assert_eq!((count(Kind::Open), count(Kind::Close)), (2, 2));
    }

    #[test]
    fn any_text_has_tokens_that_end_with_it() {
        for program in [
            "\"",
            "\"\\",
            "\"\\(",
            ")))",
            "é\"é\\(é",
            "#",
            "a::b",
            "1.5e3.x",
            "...",
        ] {
            let last = Lexer::new(program).last();
            assert!(
                last.is_none_or(|token| token.end == program.len()),
                "{program}"
            );
        }
    }
}
