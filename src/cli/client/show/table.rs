//! Tables whose columns have the width of what is in them. A long list is printed page by page; columns only grow.

use clap::builder::styling::Style;
use unicode_width::UnicodeWidthStr as _;

use super::{BOLD, line, painted};

/// A column: its heading, and where its cells are put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    is_number: bool,
}

impl Column {
    /// Makes a column of words, which begin at its left.
    pub(crate) const fn words(heading: &'static str) -> Self {
        Self { heading, is_number: false }
    }

    /// Makes a column of numbers, which end at its right.
    pub(crate) const fn numbers(heading: &'static str) -> Self {
        Self { heading, is_number: true }
    }
}

/// A table that is printed piece by piece.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    columns: &'a [Column],
    widths: Vec<usize>,
    has_begun: bool,
}

impl<'a> Table<'a> {
    pub(crate) fn new(columns: &'a [Column]) -> Self {
        let widths = columns.iter().map(|column| column.heading.width()).collect();
        Self { columns, widths, has_begun: false }
    }

    /// Makes a table whose columns have no headings.
    pub(crate) fn without_headings(columns: &'a [Column]) -> Self {
        Self { columns, widths: vec![0; columns.len()], has_begun: true }
    }

    /// Writes further rows, the first time below the headings. Each cell has a style.
    pub(crate) fn rows(&mut self, rows: &[Vec<(String, Style)>]) -> String {
        let rows: Vec<Vec<_>> = rows
            .iter()
            .map(|row| row.iter().map(|(cell, style)| (line(cell), *style)).collect())
            .collect();
        for row in &rows {
            for (width, (cell, _)) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let mut out = String::new();
        if !std::mem::replace(&mut self.has_begun, true) {
            let headings = self.columns.iter().map(|column| (column.heading.into(), BOLD));
            self.row(&headings.collect::<Vec<_>>(), &mut out);
        }
        for row in &rows {
            self.row(row, &mut out);
        }
        out
    }

    fn row(&self, cells: &[(std::borrow::Cow<'_, str>, Style)], out: &mut String) {
        let columns = self.columns.iter().zip(&self.widths);
        let mut gap = 0;
        for (at, ((cell, style), (column, width))) in cells.iter().zip(columns).enumerate() {
            let pad = width.saturating_sub(cell.width());
            let (before, after) = if column.is_number { (pad, 0) } else { (0, pad) };
            if at > 0 {
                gap += 2;
            }
            gap += before;
            if !cell.is_empty() {
                out.extend(std::iter::repeat_n(' ', gap));
                out.push_str(&painted(cell, *style));
                gap = 0;
            } else {
                gap += cell.width();
            }
            // Nothing stands behind the last word of a line.
            gap += after;
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 3]) -> Vec<(String, Style)> {
        cells.map(|cell| (cell.to_owned(), Style::new())).to_vec()
    }

    #[test]
    fn columns_have_the_width_of_their_cells_and_only_grow() {
        let columns = [Column::words("NAME"), Column::numbers("N"), Column::words("WHY")];
        let mut table = Table::new(&columns);
        let first = table.rows(&[row(["ä🦀", "7", "a\nb"]), row(["x", "1000", ""])]);
        let first = anstream::adapter::strip_str(&first).to_string();
        assert_eq!(first, "NAME     N  WHY\nä🦀      7  a b\nx     1000\n");
        let second = table.rows(&[row(["longer", "", "c"])]);
        assert_eq!(second, "longer        c\n");
    }
}
