//! Ways for the arrows of data between two drawings: out of a box, along a lane, into a box.
//!
//! An arrow leaves its box downwards, goes to the column of its target in a lane of its own, and arrives from
//! above. Where other boxes stand in that way, it leaves or arrives at the side instead.

use std::ops::Range;

use super::canvas::{Canvas, Ink};
use super::{FigureBox, FigureLabel};
use crate::forest::label::width;

/// Columns at the left that the heading of the second drawing takes, and a blank.
const HEADING: usize = 6;

/// Columns beside a box where an arrow may go up or down.
const BESIDE: usize = 5;

/// Arrows between two drawings.
#[derive(Debug, Default)]
pub(super) struct Routes {
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    from: FigureBox,
    into: FigureBox,
    label: String,
    out: Port,
    end: Port,
}

/// Where an arrow leaves or enters: at a column above or below the box, or beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Port {
    col: usize,
    beside: bool,
}

/// Line of a box where arrows of data go in and out at its sides: below the name.
fn side(at: &FigureBox) -> usize {
    at.row + 2
}

impl Routes {
    /// An arrow from a box of the upper drawing to one of the lower drawing.
    pub(super) fn add(&mut self, from: FigureBox, into: FigureBox, label: &str) {
        let (out, end) = (Port::default(), Port::default());
        self.routes.push(Route { from, into, label: label.to_owned(), out, end });
    }

    /// Lines the arrows need between the drawings.
    pub(super) fn lanes(&self) -> usize {
        self.routes.len()
    }

    /// Finds the ways. Lanes are in such an order that those of one direction never cross.
    pub(super) fn settle(&mut self, upper: &Canvas, lower: &Canvas) {
        let key = |route: &Route| match route.into.col < route.from.col {
            true => (0, route.from.col),
            false => (1, usize::MAX - route.from.col),
        };
        self.routes.sort_by_key(key);
        let mut used = Vec::new();
        for Route { from, into, out, end, .. } in &mut self.routes {
            let right = from.col + from.width;
            let ports = upright(from).chain(beside(from, upper, right..right + BESIDE, |col| right..col + 1));
            *out = best(ports, from.trunk(), &used, |port| {
                let start = if port.beside { side(from) + 1 } else { from.bottom() + 1 };
                (start..upper.height()).map(|row| cost(upper, row, port.col)).sum()
            });
            used.push(out.col);
            // As far from where it comes from as the box is wide: there is more room for the words.
            let far = if into.col < from.col { into.col } else { into.col + into.width };
            let left = into.col.saturating_sub(BESIDE)..into.col.saturating_sub(2);
            let ports = upright(into).chain(beside(into, lower, left, |col| col..into.col));
            *end = best(ports, far, &used, |port| {
                let to = if port.beside { side(into) } else { into.row };
                (0..to).map(|row| cost(lower, row, port.col)).sum()
            });
            used.push(end.col);
        }
    }

    /// Draws the arrows: the first lane is line `zone`, the lower drawing begins at `row`.
    pub(super) fn draw(&self, canvas: &mut Canvas, zone: usize, row: usize) -> Vec<FigureLabel> {
        let labels = (0..self.routes.len()).filter_map(|lane| self.lane(canvas, zone, lane)).collect();
        for (lane, route) in self.routes.iter().enumerate() {
            let (lane, from) = (zone + lane, &route.from);
            let into = FigureBox { row: route.into.row + row, ..route.into };
            let start = if route.out.beside { side(from) } else { from.bottom() };
            if route.out.beside {
                let right = from.col + from.width;
                canvas.line(start, right, &format!("{}.", "-".repeat(route.out.col - right)));
            }
            (start + 1..lane).for_each(|row| canvas.cross(row, route.out.col));
            let head = if route.end.beside { side(&into) } else { into.row - 1 };
            (lane + 1..head).for_each(|row| canvas.cross(row, route.end.col));
            let dashes = into.col.saturating_sub(route.end.col + 2);
            let arrive = if route.end.beside { format!("'{}>", "-".repeat(dashes)) } else { "v".to_owned() };
            canvas.line(head, route.end.col, &arrive);
        }
        labels
    }

    /// Draws the part of an arrow that lies in its lane; gives its words.
    fn lane(&self, canvas: &mut Canvas, zone: usize, lane: usize) -> Option<FigureLabel> {
        let Route { label, out, end, .. } = self.routes.get(lane)?;
        let row = zone + lane;
        let (left, right) = (out.col.min(end.col), out.col.max(end.col));
        let crossing: Vec<usize> = self.crossing(lane).collect();
        let long = width(label);
        let clear = |at: &usize| crossing.iter().all(|col| col + 1 < *at || *col > at + long);
        let centre = ((left + right + 1).saturating_sub(long)) / 2;
        let inside = (left + 2..(right + 1).saturating_sub(long + 1)).filter(clear);
        let inside = inside.min_by_key(|at| at.abs_diff(centre));
        let beside = [Some(right + 2), left.checked_sub(long + 1)].into_iter().flatten().find(clear);
        let mut line = match (left == right, out.col < end.col) {
            (true, _) => "|".to_owned(),
            (false, true) => format!("'{}.", "-".repeat(right - left - 1)),
            (false, false) => format!(".{}'", "-".repeat(right - left - 1)),
        };
        if let Some(at) = inside {
            canvas.line(row, at + long, &line.split_off(at + long - left));
            line.truncate(at - left);
        }
        canvas.line(row, left, &line);
        let col = inside.or(beside)?;
        canvas.put(row, col, label);
        Some(FigureLabel { row, col, width: long, heading: false })
    }

    /// Columns where other arrows pass through a lane.
    fn crossing(&self, lane: usize) -> impl Iterator<Item = usize> {
        let above = self.routes.iter().take(lane).map(|route| route.end.col);
        above.chain(self.routes.iter().skip(lane + 1).map(|route| route.out.col))
    }
}

/// Ports above or below a box.
fn upright(at: &FigureBox) -> impl Iterator<Item = Port> + use<> {
    let first = if at.col < HEADING { HEADING.max(at.col + 2) } else { at.col + 2 };
    (first..(at.col + at.width).saturating_sub(2)).map(|col| Port { col, beside: false })
}

/// Ports at the side of a box: at one of `cols`, where all of `way(col)` is blank.
fn beside(
    at: &FigureBox,
    canvas: &Canvas,
    cols: Range<usize>,
    way: impl Fn(usize) -> Range<usize>,
) -> impl Iterator<Item = Port> {
    let (row, high) = (side(at), at.height > 3);
    let free = move |col: &usize| high && way(*col).all(|col| canvas.ink(row, col) == Ink::Blank);
    cols.filter(free).map(|col| Port { col, beside: true })
}

/// What it costs to lead an arrow through a place.
fn cost(canvas: &Canvas, row: usize, col: usize) -> usize {
    let beside = |ink| usize::from(matches!(ink, Ink::Line | Ink::Solid));
    match canvas.ink(row, col) {
        Ink::Blank => beside(canvas.ink(row, col + 1)) + beside(canvas.ink(row, col.saturating_sub(1))),
        Ink::Dash => 1,
        Ink::Line => 50,
        Ink::Solid => 1000,
    }
}

/// The cheapest port, as near as possible to the column `wanted`.
fn best(
    ports: impl Iterator<Item = Port>,
    wanted: usize,
    used: &[usize],
    way: impl Fn(&Port) -> usize,
) -> Port {
    let dear = |port: &Port| {
        let crowd = used.iter().map(|col| match col.abs_diff(port.col) {
            0 => 40_000,
            1 => 12,
            _ => 0,
        });
        way(port) * 4 + crowd.sum::<usize>() + port.col.abs_diff(wanted) + 8 * usize::from(port.beside)
    };
    ports.min_by_key(dear).unwrap_or(Port { col: wanted, beside: false })
}
