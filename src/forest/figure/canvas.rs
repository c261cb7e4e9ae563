//! Lines made of pieces at columns.

use super::super::label::width;

/// A drawing that grows. Its pieces never overlap.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    rows: Vec<Vec<Piece>>,
}

#[derive(Debug)]
struct Piece {
    col: usize,
    width: usize,
    text: String,
    /// Of a line between boxes: ASCII, one character a column.
    line: bool,
}

/// What is drawn at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Blank,
    /// A horizontal line, which another line may cross.
    Dash,
    /// Anything else of a line between boxes.
    Line,
    /// A box, or words.
    Solid,
}

impl Canvas {
    /// Draws a part of a box, or words.
    pub(super) fn put(&mut self, row: usize, col: usize, text: &str) {
        self.add_piece(row, Piece { col, width: width(text), text: text.to_owned(), line: false });
    }

    /// Draws a part of a line between boxes, in ASCII.
    pub(super) fn line(&mut self, row: usize, col: usize, text: &str) {
        self.add_piece(row, Piece { col, width: text.len(), text: text.to_owned(), line: true });
    }

    fn add_piece(&mut self, row: usize, piece: Piece) {
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, Vec::new);
        }
        self.rows[row].push(piece);
    }

    /// Lines so far.
    pub(super) fn height(&self) -> usize {
        self.rows.len()
    }

    /// What is at a place.
    pub(super) fn ink(&self, row: usize, col: usize) -> Ink {
        let pieces = self.rows.get(row).map_or(&[][..], Vec::as_slice);
        match pieces.iter().find(|piece| piece.holds(col)) {
            None => Ink::Blank,
            Some(piece) if !piece.line => Ink::Solid,
            Some(piece) if piece.text.as_bytes().get(col - piece.col) == Some(&b'-') => Ink::Dash,
            Some(_) => Ink::Line,
        }
    }

    /// Draws a vertical line through a place; behind whatever cannot be crossed.
    pub(super) fn cross(&mut self, row: usize, col: usize) {
        match self.ink(row, col) {
            Ink::Blank => self.line(row, col, "|"),
            Ink::Dash => {
                let piece = self.rows.get_mut(row).and_then(|row| row.iter_mut().find(|p| p.holds(col)));
                if let Some(Piece { col: from, text, .. }) = piece {
                    text.replace_range(col - *from..=col - *from, "|");
                }
            }
            Ink::Line | Ink::Solid => {}
        }
    }

    /// Whether another drawing, moved down by `row`, would stay clear of this one.
    pub(super) fn has_room_for(&self, other: &Self, row: usize) -> bool {
        let apart = |a: &Piece, b: &Piece| a.col + a.width < b.col || b.col + b.width < a.col;
        other.rows.iter().zip(self.rows.iter().skip(row)).all(|(new, old)| {
            let span = |pieces: &[Piece]| {
                let from = pieces.iter().map(|p| p.col).min()?;
                let to = pieces.iter().map(|p| p.col + p.width).max()?;
                Some(Piece { col: from, width: to - from, text: String::new(), line: true })
            };
            span(new).zip(span(old)).is_none_or(|(new, old)| apart(&new, &old))
        })
    }

    /// Takes over everything of `other`, moved down by `row`.
    pub(super) fn add(&mut self, other: Self, row: usize) {
        for (i, pieces) in other.rows.into_iter().enumerate() {
            pieces.into_iter().for_each(|piece| self.add_piece(row + i, piece));
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        let line = |mut pieces: Vec<Piece>| {
            pieces.sort_by_key(|piece| piece.col);
            let (mut line, mut at) = (String::new(), 0);
            for piece in pieces {
                line.extend(std::iter::repeat_n(' ', piece.col.saturating_sub(at)));
                at = piece.col + piece.width;
                line.push_str(&piece.text);
            }
            line
        };
        self.rows.into_iter().map(line).collect()
    }
}

impl Piece {
    fn holds(&self, col: usize) -> bool {
        self.col <= col && col < self.col + self.width
    }
}
