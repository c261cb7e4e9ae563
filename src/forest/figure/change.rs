//! A forest before and after an operation, one below the other, and the data that flows between.

use std::collections::HashSet;
use std::path::Path;

use super::canvas::Canvas;
use super::drawing::{Drawing, spare};
use super::routes::Routes;
use super::{Figure, FigureBox, FigureLabel};
use crate::forest::{Forest, NodeId};

/// Data of one image that goes into another one, or into a later state of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataFlow<'a> {
    /// Where it comes from.
    pub from: &'a Path,
    /// Where it goes.
    pub into: &'a Path,
    /// What is written on the arrow: `commit data`.
    pub label: &'a str,
}

/// Draws both forests, each image in the same column, with an arrow for each flow.
pub fn change(before: &Forest, after: &Forest, flows: &[DataFlow<'_>], ascii: bool) -> Figure {
    let (was, is) = (touched(before, after, flows), touched(after, before, flows));
    let (spared_before, spared_after) =
        (spare(before, |id| was.contains(&id)), spare(after, |id| is.contains(&id)));
    // What has no box before must have none after, or arrows and columns would not meet.
    let both = |one: &HashSet<NodeId>, of: &Forest, other: &HashSet<NodeId>, there: &Forest| -> HashSet<_> {
        let twin = |id: &NodeId| there.find(&of.get(*id)?.path).filter(|id| other.contains(id));
        one.iter().filter(|id| twin(id).is_some()).copied().collect()
    };
    let old =
        Drawing::new(before, ascii).sparing(both(&spared_before, before, &spared_after, after)).stacked();
    let same = |at: &FigureBox| Some((after.find(&before.get(at.node)?.path)?, at.col));
    let new = Drawing::new(after, ascii).sparing(both(&spared_after, after, &spared_before, before));
    let new = new.placed(old.boxes.iter().filter_map(same).collect());

    let mut canvas = Canvas::default();
    let mut labels = vec![heading(&mut canvas, 0, "now")];
    canvas.add(old.canvas, 1);
    let moved = |boxes: Vec<FigureBox>, by: usize, touched: HashSet<NodeId>| -> Vec<_> {
        let place = |at: FigureBox| FigureBox { row: at.row + by, touched: touched.contains(&at.node), ..at };
        boxes.into_iter().map(place).collect()
    };
    let mut boxes = moved(old.boxes, 1, was);
    let mut routes = Routes::default();
    for flow in flows {
        let at = |forest: &Forest, boxes: &[FigureBox], path: &Path| {
            let id = forest.find(path)?;
            boxes.iter().find(|at| at.node == id).copied()
        };
        if let Some((from, into)) = at(before, &boxes, flow.from).zip(at(after, &new.boxes, flow.into)) {
            routes.add(from, into, flow.label);
        }
    }
    routes.settle(&canvas, &new.canvas);
    let zone = canvas.height() + 1;
    let row = zone + routes.lanes() + 1;
    labels.push(heading(&mut canvas, row - 1, "after"));
    canvas.add(new.canvas, row);
    boxes.extend(moved(new.boxes, row, is));
    labels.extend(routes.draw(&mut canvas, zone, row));
    Figure { lines: canvas.into_lines(), boxes, labels }
}

fn heading(canvas: &mut Canvas, row: usize, text: &str) -> FigureLabel {
    canvas.put(row, 0, text);
    FigureLabel { row, col: 0, width: text.len(), heading: true }
}

/// The images of a forest that are not, or not in the same way, in the other one, and those of the flows.
fn touched(forest: &Forest, other: &Forest, flows: &[DataFlow<'_>]) -> HashSet<NodeId> {
    let base = |forest: &Forest, id: NodeId| {
        forest.parent(id).and_then(|id| forest.get(id)).map(|node| node.path.clone())
    };
    let changed = |id: &NodeId| {
        let Some(node) = forest.get(*id) else { return false };
        flows.iter().any(|flow| [flow.from, flow.into].contains(&node.path.as_path()))
            || other.find(&node.path).is_none_or(|there| base(other, there) != base(forest, *id))
    };
    forest.ids().filter(changed).collect()
}
