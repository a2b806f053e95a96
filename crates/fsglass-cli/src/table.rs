//! Text in columns.

use std::fmt::{self, Display};

/// Rows of cells; a column is as wide as its widest cell, the last as wide as it likes.
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Columns that begin with this one have numbers, which end at the right.
    numbers: usize,
}

impl Table {
    /// With a row of headings.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(ToString::to_string).collect()],
            numbers: usize::MAX,
        }
    }

    /// The columns from `column` on, from 0, have numbers.
    #[must_use]
    pub fn with_numbers_from(mut self, column: usize) -> Self {
        self.numbers = column;
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column < self.numbers {
                    line.push_str(&format!("{cell:width$}  "));
                } else {
                    line.push_str(&format!("{cell:>width$}  "));
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
