//! Edits a line: cursor keys, history, and completion of the first word.
//!
//! It keeps the state of the line and draws it. The terminal is in raw mode
//! meanwhile, which is the caller's part.

use std::fmt::Write;

use termion::event::Key;

/// Earlier lines that are kept.
const MAX_HISTORY: usize = 1000;

/// What a key leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    /// The line is edited further.
    Edited,
    /// Several words are possible.
    Choices(Vec<String>),
    /// The screen is to be cleared.
    Clear,
    /// The line is complete.
    Line(String),
    /// There is no further line.
    End,
}

/// Editor of lines, with those before.
#[derive(Debug, Default)]
pub(super) struct LineEditor {
    history: Vec<String>,
    /// The place in the history; at its end is the new line.
    place: usize,
    /// The new line, while an earlier one is shown.
    new_line: Vec<char>,
    line: Vec<char>,
    cursor: usize,
}

impl LineEditor {
    /// Begins a new line.
    pub(super) fn begin(&mut self) {
        self.line.clear();
        self.new_line.clear();
        self.cursor = 0;
        self.place = self.history.len();
    }

    /// Applies a key. `words` are those that the first word may be.
    pub(super) fn press(&mut self, key: Key, words: &[String]) -> Pressed {
        match key {
            Key::Char('\n' | '\r') => return self.submit(),
            Key::Char('\t') => return self.complete(words),
            Key::Char(c) if !c.is_control() => {
                self.line.insert(self.cursor, c);
                self.cursor += 1;
            }
            Key::Ctrl('c') => return Pressed::End,
            Key::Ctrl('d') if self.line.is_empty() => return Pressed::End,
            Key::Ctrl('l') => return Pressed::Clear,
            Key::Backspace | Key::Ctrl('h') if self.cursor > 0 => self.remove(self.cursor - 1),
            Key::Delete | Key::Ctrl('d') => self.remove(self.cursor),
            Key::Left | Key::Ctrl('b') => self.cursor = self.cursor.saturating_sub(1),
            Key::Right | Key::Ctrl('f') => self.cursor = (self.cursor + 1).min(self.line.len()),
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = self.line.len(),
            Key::CtrlLeft | Key::Alt('b') => self.cursor = self.word_before(),
            Key::CtrlRight | Key::Alt('f') => self.cursor = self.word_after(),
            Key::Ctrl('u') => {
                self.line.drain(..self.cursor);
                self.cursor = 0;
            }
            Key::Ctrl('k') => self.line.truncate(self.cursor),
            Key::Ctrl('w') => {
                let from = self.word_before();
                self.line.drain(from..self.cursor);
                self.cursor = from;
            }
            Key::Up | Key::Ctrl('p') => self.show(self.place.checked_sub(1)),
            Key::Down | Key::Ctrl('n') => self.show(Some(self.place + 1)),
            _ => {}
        }
        Pressed::Edited
    }

    /// Returns the characters that draw the line in this many columns. A line that
    /// is too long is shown around the cursor.
    pub(super) fn draw(&self, prompt: &str, columns: usize) -> String {
        let before = prompt.chars().count();
        let room = columns.saturating_sub(before + 1).max(1);
        let start = (self.cursor + 1).saturating_sub(room);
        let shown: String = self.line.iter().skip(start).take(room).collect();
        let mut out = format!("\r\x1b[K{prompt}{shown}\r");
        let column = before + self.cursor - start;
        if column > 0 {
            write!(out, "\x1b[{column}C").ok();
        }
        out
    }

    fn submit(&mut self) -> Pressed {
        let line: String = self.line.iter().collect();
        let repeated = self.history.last() == Some(&line);
        if !line.trim().is_empty() && !repeated {
            self.history.push(line.clone());
            let more = self.history.len().saturating_sub(MAX_HISTORY);
            self.history.drain(..more);
        }
        Pressed::Line(line)
    }

    /// Completes the first word as far as it is certain.
    fn complete(&mut self, words: &[String]) -> Pressed {
        let before: String = self.line.iter().take(self.cursor).collect();
        let typed = before.trim_start();
        if typed.contains(char::is_whitespace) {
            return Pressed::Edited;
        }
        let mut fitting: Vec<&String> = words
            .iter()
            .filter(|word| word.starts_with(typed))
            .collect();
        fitting.sort();
        fitting.dedup();
        let (Some(first), Some(last)) = (fitting.first(), fitting.last()) else {
            return Pressed::Edited;
        };
        // They are sorted, so what these two share, all do.
        let shared = first.chars().zip(last.chars());
        let shared = shared.take_while(|(a, b)| a == b).count();
        let mut added: Vec<char> = first
            .chars()
            .take(shared)
            .skip(typed.chars().count())
            .collect();
        if fitting.len() == 1 && self.line.get(self.cursor) != Some(&' ') {
            added.push(' ');
        }
        if added.is_empty() {
            return Pressed::Choices(fitting.into_iter().cloned().collect());
        }
        let length = added.len();
        self.line.splice(self.cursor..self.cursor, added);
        self.cursor += length;
        Pressed::Edited
    }

    /// Shows the line at this place of the history.
    fn show(&mut self, place: Option<usize>) {
        let Some(place) = place.filter(|place| *place <= self.history.len()) else {
            return;
        };
        if self.place == self.history.len() {
            self.new_line = std::mem::take(&mut self.line);
        }
        self.line = match self.history.get(place) {
            Some(line) => line.chars().collect(),
            None => std::mem::take(&mut self.new_line),
        };
        self.place = place;
        self.cursor = self.line.len();
    }

    fn remove(&mut self, at: usize) {
        if at < self.line.len() {
            self.line.remove(at);
            self.cursor = at;
        }
    }

    /// Returns where the word before the cursor begins.
    fn word_before(&self) -> usize {
        let before = self.line.get(..self.cursor).unwrap_or_default();
        let end = before.iter().rposition(|c| !c.is_whitespace());
        let word = before
            .get(..end.map_or(0, |end| end + 1))
            .unwrap_or_default();
        word.iter()
            .rposition(|c| c.is_whitespace())
            .map_or(0, |space| space + 1)
    }

    /// Returns where the word after the cursor ends.
    fn word_after(&self) -> usize {
        let after = self.line.get(self.cursor..).unwrap_or_default();
        let begin = after.iter().position(|c| !c.is_whitespace());
        let begin = begin.unwrap_or(after.len());
        let word = after.get(begin..).unwrap_or_default();
        let length = word.iter().position(|c| c.is_whitespace());
        self.cursor + begin + length.unwrap_or(word.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Vec<String> {
        ["add", "address", "look"].map(str::to_owned).to_vec()
    }

    /// Types characters, and then presses keys.
    fn edit(editor: &mut LineEditor, text: &str, keys: &[Key]) -> (String, usize) {
        editor.begin();
        let typed = text.chars().map(Key::Char);
        for key in typed.chain(keys.iter().copied()) {
            editor.press(key, &words());
        }
        (editor.line.iter().collect(), editor.cursor)
    }

    fn line(text: &str, keys: &[Key]) -> (String, usize) {
        edit(&mut LineEditor::default(), text, keys)
    }

    #[test]
    fn keys_edit_the_line() {
        use Key::{Backspace, Char, Ctrl, CtrlLeft, CtrlRight, Delete, End, Home, Left, Right};
        for (text, keys, expected, cursor) in [
            ("ab", vec![Left, Char('é')], "aéb", 2),
            ("ab", vec![Left, Backspace], "b", 0),
            ("ab", vec![Home, Delete, Delete, Delete], "", 0),
            ("ab", vec![Home, Right, Ctrl('k')], "a", 1),
            ("ab cd", vec![Ctrl('w')], "ab ", 3),
            ("ab cd", vec![CtrlLeft, Ctrl('u')], "cd", 0),
            ("ab cd", vec![Home, CtrlRight, Char('x')], "abx cd", 3),
            ("ab", vec![Home, Left, Backspace, End, Right], "ab", 2),
            ("a", vec![Ctrl('x'), Char('\u{7}')], "a", 1),
        ] {
            assert_eq!(line(text, &keys), (expected.to_owned(), cursor), "{keys:?}");
        }
    }

    #[test]
    fn the_first_word_is_completed() {
        let tab = Key::Char('\t');
        assert_eq!(line("lo", &[tab]), ("look ".to_owned(), 5));
        assert_eq!(line("a", &[tab]), ("add".to_owned(), 3));
        assert_eq!(line("addr", &[tab]), ("address ".to_owned(), 8));
        assert_eq!(line("x", &[tab]).0, "x");
        assert_eq!(line("look l", &[tab]).0, "look l");
        let mut editor = LineEditor::default();
        edit(&mut editor, "a", &[tab]);
        let both = vec!["add".to_owned(), "address".to_owned()];
        assert_eq!(editor.press(tab, &words()), Pressed::Choices(both));
    }

    #[test]
    fn earlier_lines_come_back() {
        let mut editor = LineEditor::default();
        for text in ["one", "two", "two", " "] {
            edit(&mut editor, text, &[]);
            let entered = editor.press(Key::Char('\n'), &[]);
            assert_eq!(entered, Pressed::Line(text.to_owned()));
        }
        use Key::{Down, Up};
        assert_eq!(edit(&mut editor, "new", &[Up]).0, "two");
        assert_eq!(edit(&mut editor, "new", &[Up, Up]).0, "one");
        assert_eq!(edit(&mut editor, "new", &[Up, Up, Up]).0, "one");
        assert_eq!(edit(&mut editor, "new", &[Up, Up, Down]).0, "two");
        assert_eq!(edit(&mut editor, "new", &[Up, Down]).0, "new");
        assert_eq!(edit(&mut editor, "new", &[Down]).0, "new");
    }

    #[test]
    fn a_line_ends_and_the_input_too() {
        let mut editor = LineEditor::default();
        editor.begin();
        assert_eq!(editor.press(Key::Ctrl('d'), &[]), Pressed::End);
        assert_eq!(editor.press(Key::Ctrl('c'), &[]), Pressed::End);
        edit(&mut editor, "a", &[Key::Home]);
        assert_eq!(editor.press(Key::Ctrl('d'), &[]), Pressed::Edited);
        assert_eq!(
            editor.press(Key::Char('\n'), &[]),
            Pressed::Line(String::new())
        );
    }

    #[test]
    fn a_long_line_is_shown_around_the_cursor() {
        let mut editor = LineEditor::default();
        edit(&mut editor, "abcdefgh", &[]);
        assert_eq!(editor.draw("> ", 80), "\r\x1b[K> abcdefgh\r\x1b[10C");
        assert_eq!(editor.draw("> ", 8), "\r\x1b[K> efgh\r\x1b[6C");
        editor.press(Key::Home, &[]);
        assert_eq!(editor.draw("> ", 8), "\r\x1b[K> abcde\r\x1b[2C");
        assert_eq!(editor.draw("", 8), "\r\x1b[Kabcdefg\r");
    }
}
