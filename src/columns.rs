//! Tables in the terminal. All of them get their columns from here.

/// Columns with two spaces between them. The first ones are flush left, the others flush right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    widths: Vec<usize>,
    /// How many columns are flush left.
    left: usize,
}

impl Columns {
    /// Columns of these widths, in characters. A wider cell moves the rest of its line to the
    /// right. For lines that are printed before the next ones are known.
    pub fn of(widths: &[usize], left: usize) -> Columns {
        Columns { widths: widths.to_vec(), left }
    }

    /// Columns as wide as the widest cells of `lines`.
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

    /// The width of a line in characters, trailing spaces included.
    pub fn width(&self) -> usize {
        (self.widths.iter().map(|width| width + 2).sum::<usize>()).saturating_sub(2)
    }

    /// One line with these cells, as wide as all the columns, without a line end.
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

    /// As [`Columns::line`], without trailing spaces and with a line end.
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
