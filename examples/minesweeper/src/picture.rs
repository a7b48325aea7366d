//! The board as text for the agent.

use std::fmt;

use crate::board::{Board, View};

/// The legend of the signs, for the prompt.
pub(crate) const LEGEND: &str =
    "`#` hidden, `F` flagged, `.` open without a mine near it, a digit the number of mines near it";

/// A drawing of a board with one line for each row, spaces between cells and
/// numbers at the edges.
pub(crate) struct Picture<'a>(pub(crate) &'a Board);

impl fmt::Display for Picture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.0.rules();
        let (edge, width) = (digits(rules.rows()), digits(rules.columns()));
        write!(f, "{:edge$} |", "")?;
        for column in 0..rules.columns() {
            write!(f, " {column:>width$}")?;
        }
        write!(
            f,
            "\n{:-<edge$}-+{:-<line$}",
            "",
            "",
            line = rules.columns() * (width + 1)
        )?;
        for row in 0..rules.rows() {
            write!(f, "\n{row:>edge$} |")?;
            for cell in self.0.row(row) {
                write!(f, " {:>width$}", sign(self.0.view(cell)))?;
            }
        }
        Ok(())
    }
}

/// Returns the number of digits of the last of `count` indices.
fn digits(count: usize) -> usize {
    if count > 10 { 2 } else { 1 }
}

fn sign(view: View) -> char {
    match view {
        View::Hidden => '#',
        View::Flagged => 'F',
        View::Open(0) => '.',
        View::Open(near) => char::from_digit(u32::from(near), 10).unwrap_or('?'),
        View::Mine => '*',
        View::Exploded => 'X',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Rules;

    fn board(rows: usize, columns: usize) -> Board {
        let mut board = Board::new(Rules::new(rows, columns, 1).unwrap(), 3);
        board.toggle_flag(board.at(0, 0).unwrap()).unwrap();
        board
    }

    #[test]
    fn a_small_board_has_one_digit_at_its_edges() {
        assert_eq!(
            Picture(&board(2, 3)).to_string(),
            "  | 0 1 2\n--+------\n0 | F # #\n1 | # # #"
        );
    }

    #[test]
    fn a_large_board_keeps_its_columns_aligned() {
        let text = Picture(&board(11, 12)).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "   |  0  1  2  3  4  5  6  7  8  9 10 11");
        assert_eq!(lines[2], " 0 |  F  #  #  #  #  #  #  #  #  #  #  #");
        assert_eq!(lines.len(), 13);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    }
}
