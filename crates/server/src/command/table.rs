//! A table of texts, aligned in columns and cut to the width of a terminal.
//!
//! **Invariant:** a cell is one line, without control characters.

use console::{measure_text_width, truncate_str};

use super::output::{Output, plain};

/// Rows under a header.
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// The widths that a former page had, so that the columns stay where they are.
    widths: Vec<usize>,
    /// So many columns at the beginning are never cut.
    whole: usize,
}

/// Between two columns.
const GAP: &str = "  ";

/// A column is not made narrower than this.
const COLUMN_COLUMNS_MIN: usize = 8;

impl Table {
    /// A table without rows. Its first column says what a row is, and is never cut.
    pub(crate) fn new(header: impl IntoIterator<Item = &'static str>) -> Table {
        let header: Vec<&'static str> = header.into_iter().collect();
        let widths = header.iter().map(|name| measure_text_width(name)).collect();
        Table { header, rows: Vec::new(), widths, whole: 1 }
    }

    /// The same with so many columns at the beginning that are never cut.
    pub(crate) fn whole(self, columns: usize) -> Table {
        Table { whole: columns, ..self }
    }

    /// Adds a row, with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell).into_owned()).collect());
    }

    /// The header's line for a table as wide as `columns`, if given.
    pub(crate) fn header(&mut self, columns: Option<usize>) -> String {
        self.measure();
        let widths = fit(&self.widths, self.whole, columns);
        line(self.header.iter().copied(), &widths)
    }

    /// Takes the rows out, as lines no wider than `columns`, if given.
    pub(crate) fn lines(&mut self, columns: Option<usize>) -> Vec<String> {
        self.measure();
        let widths = fit(&self.widths, self.whole, columns);
        self.rows.drain(..).map(|row| line(row.iter().map(String::as_str), &widths)).collect()
    }

    /// Prints the header and all rows.
    pub(crate) fn print(mut self, columns: Option<usize>, out: &mut Output) -> anyhow::Result<()> {
        out.line(&self.header(columns))?;
        self.lines(columns).iter().try_for_each(|line| out.line(line))
    }

    fn measure(&mut self) {
        for row in &self.rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(cell));
            }
        }
    }
}

fn line<'c>(cells: impl Iterator<Item = &'c str>, widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.zip(widths) {
        let cell = truncate_str(cell, *width, "…");
        line.push_str(&cell);
        let missing = width.saturating_sub(measure_text_width(&cell));
        line.extend(std::iter::repeat_n(' ', missing));
        line.push_str(GAP);
    }
    line.truncate(line.trim_end().len());
    line
}

/// The widths of columns that together fit: the widest give way first, and never the first `whole`.
fn fit(natural: &[usize], whole: usize, columns: Option<usize>) -> Vec<usize> {
    let mut widths = natural.to_vec();
    let Some(columns) = columns else {
        return widths;
    };
    let available = columns.saturating_sub(GAP.len() * widths.len().saturating_sub(1));
    let mut excess = widths.iter().sum::<usize>().saturating_sub(available);
    while excess > 0 {
        let Some(widest) = widths.iter_mut().skip(whole).filter(|width| **width > COLUMN_COLUMNS_MIN).max() else {
            break;
        };
        *widest -= 1;
        excess -= 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["time", "actor", "target"]);
        table.row(["09:46:08", "iku@example.com", "flag New checkout"].map(str::to_owned));
        table.row(["09:46:09", "東京", "a\nb"].map(str::to_owned));
        table
    }

    #[test]
    fn columns_are_aligned_by_what_is_shown() {
        let mut table = table();
        assert_eq!(table.header(None), "time      actor            target");
        assert_eq!(
            table.lines(None),
            ["09:46:08  iku@example.com  flag New checkout", "09:46:09  東京             a\u{fffd}b"]
        );
    }

    #[test]
    fn a_table_is_cut_to_the_width_of_the_terminal() {
        let mut table = table();
        for line in table.lines(Some(36)) {
            assert!(measure_text_width(&line) <= 36, "{line}");
        }
        assert_eq!(fit(&[20, 4, 40, 30], 1, Some(76)), [20, 4, 23, 23]);
        assert_eq!(fit(&[20, 4, 40], 1, Some(5)), [20, 4, 8]);
        assert_eq!(fit(&[20, 20, 40], 2, Some(5)), [20, 20, 8]);
        assert_eq!(fit(&[20, 4, 40], 1, None), [20, 4, 40]);
    }

    #[test]
    fn columns_of_a_later_page_are_not_narrower() {
        let mut table = table();
        let first = table.lines(None);
        table.row(["x", "y", "z"].map(str::to_owned));
        let second = table.lines(None);
        let at = |lines: &[String], text| lines.first().and_then(|line| line.find(text));
        assert_eq!(at(&second, "z"), at(&first, "flag"));
    }
}
