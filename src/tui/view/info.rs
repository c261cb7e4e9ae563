//! The facts about the selected image or snapshot.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::rows::RowId;
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};
use super::super::words;
use super::parts::{self, fact, styled_fact};
use crate::forest::{Backing, Forest, Node, NodeId, SnapshotNode};
use crate::text::{Shown, human_size};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    parts::tab(frame, area, model, lines);
}

/// The selected image or snapshot in at most five lines.
pub(super) fn summary(model: &Model, width: usize) -> Vec<Line<'static>> {
    let (Some(forest), Some(row)) = (&model.forest, model.pane.selected()) else { return Vec::new() };
    let (Some(node), glyphs) = (forest.get(row.image()), model.glyphs) else { return Vec::new() };
    let fit = |text: String| text_fit::fit(&text, width, glyphs.cut);
    let (title, facts) = match row {
        RowId::Snapshot(_, at) => match node.snapshots.get(at as usize) {
            Some(one) => snapshot_summary(node, one, glyphs),
            None => return Vec::new(),
        },
        RowId::Image(id) => (words::short_path(forest, node), image_summary(forest, id, node)),
    };
    let mut out = vec![Line::styled(fit(title), Theme::BOLD)];
    out.extend(joined(&facts, &format!(" {} ", glyphs.dot), width).into_iter().take(3).map(Line::raw));
    match (node.problems.first(), &node.in_use) {
        (Some(problem), _) => {
            let text = format!("{} {}", glyphs.problem, words::problem_words(problem.kind));
            out.push(Line::styled(fit(text), Theme::DANGER));
        }
        (None, Some(user)) => {
            let text = format!("{} {}", glyphs.in_use, words::in_use(user));
            out.push(Line::styled(fit(text), Theme::LIVE));
        }
        (None, None) => {}
    }
    out
}

/// Facts in lines, broken only between two of them.
fn joined(facts: &[String], between: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for fact in facts {
        match lines.last_mut() {
            Some(line)
                if text_fit::width(line) + text_fit::width(between) + text_fit::width(fact) <= width =>
            {
                line.push_str(between);
                line.push_str(fact);
            }
            _ => lines.push(fact.clone()),
        }
    }
    lines
}

fn image_summary(forest: &Forest, id: NodeId, node: &Node) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(format) = node.format {
        facts.push(format.name().to_owned());
        facts.push(format!("{} virtual", text_fit::size(node.virtual_size)));
    }
    facts.push(format!("{} on disk", text_fit::size(node.disk_size)));
    match forest.parent(id).and_then(|id| forest.get(id)) {
        Some(parent) => facts.push(format!("based on {}", words::name(parent))),
        None if node.backing.is_none() => facts.push("a base".to_owned()),
        None => {}
    }
    match node.children.len() {
        0 => facts.push("nothing is based on it".to_owned()),
        n => facts.push(text_fit::count(n, "overlay")),
    }
    if !node.snapshots.is_empty() {
        facts.push(text_fit::count(node.snapshots.len(), "snapshot"));
    }
    facts
}

fn snapshot_summary(node: &Node, one: &SnapshotNode, glyphs: Glyphs) -> (String, Vec<String>) {
    let name = Shown::new(&words::snapshot_name(one)).into_string();
    let mut facts = vec![format!("internal snapshot of {}", words::name(node)), date(&one.date)];
    facts.extend(one.exclusive_bytes.map(|own| format!("{} of its own", text_fit::size(own))));
    (format!("{} {name}", glyphs.snapshot), facts)
}

fn lines(model: &Model, width: usize) -> Vec<Line<'static>> {
    let (Some(forest), Some(row)) = (&model.forest, model.pane.selected()) else { return Vec::new() };
    let Some(node) = forest.get(row.image()) else { return Vec::new() };
    match row {
        RowId::Image(id) => image(forest, id, node, model.glyphs, width),
        RowId::Snapshot(_, at) => match node.snapshots.get(at as usize) {
            Some(one) => snapshot(forest, node, one, model.glyphs, width),
            None => Vec::new(),
        },
    }
}

fn image(forest: &Forest, id: NodeId, node: &Node, glyphs: Glyphs, width: usize) -> Vec<Line<'static>> {
    let mut out = vec![Line::default(), parts::heading(words::short_path(forest, node)), Line::default()];
    out.extend(fact("format", node.format.map_or("not recognised", |f| f.name()), width));
    if node.format.is_some() {
        out.extend(fact("virtual size", &human_size(node.virtual_size), width));
    }
    out.extend(fact("on disk", &human_size(node.disk_size), width));
    if let Some(own) = node.exclusive_bytes {
        out.extend(fact("own", &format!("{} that nothing else holds", human_size(own)), width));
    }
    if node.cluster_size > 0 {
        out.extend(fact("cluster", &human_size(node.cluster_size), width));
    }
    out.extend(match &node.in_use {
        Some(user) => styled_fact("in use", &words::in_use(user), width, Theme::LIVE),
        None => fact("in use", "no", width),
    });
    for one in &node.domains {
        let who = format!("domain {} ({})", Shown::new(&one.domain), Shown::path(&one.from));
        out.extend(fact("named by", &who, width));
    }
    let marks =
        [(node.dirty, "not closed cleanly"), (node.corrupt, "corrupt"), (node.encrypted, "encrypted")];
    let marked: Vec<_> = marks.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
    if !marked.is_empty() {
        out.extend(styled_fact("marked", &marked.join(", "), width, Theme::WARN));
    }
    let folder = node.path.parent().unwrap_or(&node.path);
    out.extend(fact("folder", Shown::path(folder).as_str(), width));
    out.push(Line::default());
    out.extend(chain(forest, id, node, glyphs, width));
    if !node.snapshots.is_empty() {
        out.push(Line::default());
        out.extend(snapshots(node, glyphs, width));
    }
    out
}

fn backing(backing: &Backing, width: usize) -> Vec<Line<'static>> {
    let format = match &backing.format {
        Some(format) => Shown::new(format).into_string(),
        None => "format not recorded".to_owned(),
    };
    let text = format!("{} ({format})", Shown::new(&backing.name));
    let style = if backing.node.is_some() { Theme::PLAIN } else { Theme::DANGER };
    styled_fact("backing file", &text, width, style)
}

fn chain(forest: &Forest, id: NodeId, node: &Node, glyphs: Glyphs, width: usize) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    match &node.backing {
        Some(named) => out.extend(backing(named, width)),
        None => out.extend(fact("backing file", "none, this is a base", width)),
    }
    let mut line = vec![id];
    while let Some(next) = line.last().and_then(|id| forest.parent(*id)).filter(|p| !line.contains(p)) {
        line.push(next);
    }
    if line.len() > 1 {
        let names: Vec<_> = line.iter().rev().filter_map(|id| forest.get(*id)).map(words::name).collect();
        let names = match names.as_slice() {
            [a, b, .., y, z] if names.len() > 6 => {
                [a.clone(), b.clone(), glyphs.cut.to_owned(), y.clone(), z.clone()].join(&arrow(glyphs))
            }
            all => all.join(&arrow(glyphs)),
        };
        out.extend(fact("chain", &format!("{} deep: {names}", line.len()), width));
    }
    let children: Vec<_> = node.children.iter().filter_map(|id| forest.get(*id)).map(words::name).collect();
    match children.len() {
        0 => out.extend(fact("overlays", "none, nothing in these folders is based on it", width)),
        1..=8 => out.extend(fact("overlays", &children.join(", "), width)),
        n => out.extend(fact("overlays", &format!("{n} images are based on it"), width)),
    }
    out
}

fn arrow(glyphs: Glyphs) -> String {
    format!(" {} ", glyphs.based_on)
}

fn snapshots(node: &Node, glyphs: Glyphs, width: usize) -> Vec<Line<'static>> {
    let mut out = vec![parts::heading(text_fit::count(node.snapshots.len(), "internal snapshot"))];
    let names = node.snapshots.iter().map(|s| text_fit::width(Shown::new(&words::snapshot_name(s)).as_str()));
    let room = names.max().unwrap_or(0).min(width.saturating_sub(34)).max(4);
    for one in node.snapshots.iter() {
        let name = Shown::new(&words::snapshot_name(one)).into_string();
        let own = one.exclusive_bytes.map(text_fit::size).unwrap_or_default();
        let state = match one.vm_state_size {
            0 => String::new(),
            size => format!("  + {} machine state", text_fit::size(size)),
        };
        out.push(Line::from(vec![
            Span::styled(format!("{} ", glyphs.snapshot), Theme::SNAPSHOT),
            Span::raw(text_fit::left(&name, room, glyphs.cut)),
            Span::styled(format!("  {}", date(&one.date)), Theme::DIM),
            Span::raw(format!("  {own:>8}")),
            Span::styled(state, Theme::DIM),
        ]));
    }
    out
}

fn snapshot(
    forest: &Forest,
    node: &Node,
    one: &SnapshotNode,
    glyphs: Glyphs,
    width: usize,
) -> Vec<Line<'static>> {
    let name = Shown::new(&words::snapshot_name(one)).into_string();
    let title = format!("{} {name}", glyphs.snapshot);
    let mut out = vec![Line::default(), parts::heading(title), Line::default()];
    out.extend(fact("internal", &format!("snapshot in {}", words::short_path(forest, node)), width));
    out.extend(fact("id", Shown::new(&one.id).as_str(), width));
    out.extend(fact("taken", &date(&one.date), width));
    out.extend(fact("virtual size", &human_size(one.virtual_size), width));
    if let Some(own) = one.exclusive_bytes {
        out.extend(fact("own", &format!("{} that nothing else holds", human_size(own)), width));
    }
    let state = match one.vm_state_size {
        0 => "none, disk only".to_owned(),
        size => human_size(size),
    };
    out.extend(fact("machine state", &state, width));
    out.push(Line::default());
    let view = format!("{}@{}", Shown::path(&node.path), name);
    out.extend(styled_fact("view", &view, width, Style::new()));
    out
}

/// `2026-11-02 10:00` from an RFC 3339 date.
fn date(text: &str) -> String {
    let shown = Shown::new(text).into_string();
    match (shown.get(..10), shown.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => shown,
    }
}
