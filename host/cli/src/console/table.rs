//! Columns of text.

use std::fmt::Write;

use super::terminal::{BOLD, escape_control, styled};

/// Formats rows as columns below a heading. The last column is not padded.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| escape_control(cell)))
        .collect();
    let mut widths = heading.map(|cell| cell.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let heading = line(&heading.map(str::to_owned), &widths);
    writeln!(out, "{}", styled(BOLD, &heading)).ok();
    for row in &rows {
        writeln!(out, "{}", line(row, &widths)).ok();
    }
    out
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut out = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        write!(out, "{cell:width$}  ").ok();
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_columns() {
        let rows = [
            ["a".to_owned(), "bé\u{1b}".to_owned()],
            ["long".to_owned(), "c".to_owned()],
        ];
        let text = table(["NAME", "X"], &rows);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "NAME  X\na     bé\\u{1b}\nlong  c\n");
    }
}
