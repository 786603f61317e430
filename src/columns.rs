//! Tables in the terminal: every one of them has its columns from here.

/// Columns with two spaces between them, the first ones flush left, numbers flush right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    widths: Vec<usize>,
    /// How many of them are flush left.
    left: usize,
}

impl Columns {
    /// Of these widths, in characters; wider cells push the rest of their line to the right. For
    /// lines that are printed before the next are known.
    pub fn of(widths: &[usize], left: usize) -> Columns {
        Columns { widths: widths.to_vec(), left }
    }

    /// As wide as the widest cell of `lines`.
    pub fn fitting<'a, Line: AsRef<[Cell]> + 'a, Cell: AsRef<str>>(
        lines: impl IntoIterator<Item = &'a Line>,
        left: usize,
    ) -> Columns {
        let mut widths = Vec::new();
        for line in lines {
            let cells = line.as_ref();
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.as_ref().chars().count());
            }
        }
        Columns { widths, left }
    }

    /// How many characters a line has, trailing spaces included.
    pub fn width(&self) -> usize {
        (self.widths.iter().map(|width| width + 2).sum::<usize>()).saturating_sub(2)
    }

    /// A line of these cells, as wide as all the columns, without an end of line.
    pub fn line<Cell: AsRef<str>>(&self, cells: &[Cell]) -> String {
        let mut line = String::new();
        for (place, (cell, width)) in cells.iter().zip(&self.widths).enumerate() {
            let cell = cell.as_ref();
            if place > 0 {
                line += "  ";
            }
            line += &if place < self.left {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            };
        }
        line
    }

    /// As [`Columns::line`], without the spaces at its end, and with an end of line.
    pub fn row<Cell: AsRef<str>>(&self, cells: &[Cell]) -> String {
        self.line(cells).trim_end().to_owned() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_the_widest_cell_and_characters_count_not_bytes() {
        let lines = [vec!["name", "µs"], vec!["a", "12345"], vec!["é", "1"]];
        let columns = Columns::fitting(&lines, 1);
        let rows: String = lines.iter().map(|line| columns.row(line)).collect();
        assert_eq!(rows, "name     µs\na     12345\né         1\n");
        assert_eq!(columns.width(), 11);
        assert_eq!(Columns::of(&[4, 3], 2).row(&["a", "b"]), "a     b\n");
    }
}
