//! The forest as boxes and arrows: bases on the left, overlays to the right, branches below.
//!
//! | file | concern |
//! |---|---|
//! | `drawing` | trees as boxes and arrows |
//! | `change` | a forest before and after, and the data that flows between |
//! | `routes` | ways for the arrows of data, around the boxes |
//! | `canvas` | lines made of pieces |

mod canvas;
mod change;
mod drawing;
mod routes;

pub use change::{DataFlow, change};

use drawing::{Drawing, spare};

use super::{Forest, NodeId, label};

/// A drawing and where its boxes are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figure {
    /// The drawing, escaped and safe to print; no trailing blanks.
    pub lines: Vec<String>,
    /// One box for each image drawn, bases before what is based on them.
    pub boxes: Vec<FigureBox>,
    /// Words outside of boxes.
    pub labels: Vec<FigureLabel>,
}

/// Where the box of one image is in a [`Figure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FigureBox {
    /// The image, in the forest that the box is drawn of.
    pub node: NodeId,
    /// Line of the top border, from 0.
    pub row: usize,
    /// Terminal column of the left border, from 0.
    pub col: usize,
    /// Columns, borders included.
    pub width: usize,
    /// Lines, borders included.
    pub height: usize,
    /// Whether the change that is drawn concerns it.
    pub touched: bool,
}

/// Words outside of boxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FigureLabel {
    /// Line, from 0.
    pub row: usize,
    /// Terminal column of the first character, from 0.
    pub col: usize,
    /// Columns.
    pub width: usize,
    /// Whether it heads a part of the drawing; otherwise it says what flows.
    pub heading: bool,
}

impl FigureBox {
    fn bottom(&self) -> usize {
        self.row + self.height - 1
    }

    /// Line with the name, where arrows arrive.
    fn name_row(&self) -> usize {
        self.row + 1
    }

    /// Column where branches leave downwards.
    fn trunk(&self) -> usize {
        self.col + (self.width - 1) / 2
    }
}

impl Figure {
    /// Terminal columns of the widest line.
    pub fn width(&self) -> usize {
        self.lines.iter().map(|line| label::width(line)).max().unwrap_or(0)
    }

    /// The lines cut at `columns`, the cut marked, so that a narrow terminal does not wrap them.
    pub fn cut(self, columns: usize, ascii: bool) -> Vec<String> {
        let glyphs = label::Glyphs::new(ascii);
        self.lines.into_iter().map(|line| glyphs.cut(line, columns)).collect()
    }
}

/// The forest as lines of boxes and arrows.
pub fn figure(forest: &Forest, ascii: bool) -> Vec<String> {
    layout(forest, ascii).lines
}

/// Draws the forest, one tree below the other. `ascii` avoids everything outside ASCII but what the
/// names contain.
///
/// Images deeper than [`MAX_DEPTH`](crate::chain::MAX_DEPTH) are counted in the box of the last one drawn.
pub fn layout(forest: &Forest, ascii: bool) -> Figure {
    let drawing = Drawing::new(forest, ascii).stacked();
    Figure { lines: drawing.canvas.into_lines(), boxes: drawing.boxes, labels: Vec::new() }
}

/// The same with one box for several images of a long chain that follow one another, unless they are near one of
/// `keep` or have something to say.
pub fn layout_around(forest: &Forest, keep: &[NodeId], ascii: bool) -> Figure {
    let drawing = Drawing::new(forest, ascii).sparing(spare(forest, |id| keep.contains(&id))).stacked();
    Figure { lines: drawing.canvas.into_lines(), boxes: drawing.boxes, labels: Vec::new() }
}

#[cfg(test)]
mod tests;
