//! `map`: which part of a view comes from where. Says what `qemu-img map` says.

use serde::Serialize;

use super::args::Map;
use super::out::Out;
use super::{exit, opening};
use crate::chain::{View, ViewExtent};
use crate::error::Result;
use crate::image::ExtentKind;
use crate::text::Shown;
use crate::units::Guest;

/// One line of the map, with qemu-img's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Entry {
    start: u64,
    length: u64,
    depth: usize,
    present: bool,
    zero: bool,
    data: bool,
    compressed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
}

impl Entry {
    fn of(view: &View, run: &ViewExtent) -> Self {
        let layer = &view.layers()[run.depth];
        let state = if run.depth == 0 { view.state() } else { crate::image::State::Active };
        // Beyond the end of a short backing file nobody holds the run: its overlay answers, with
        // nothing.
        let beyond = run.start.0 >= layer.image.virtual_size(state);
        let (zero, compressed, offset) = match run.kind {
            ExtentKind::Unallocated => (true, false, None),
            ExtentKind::Zero { host } => (true, false, host.map(|h| h.0)),
            ExtentKind::Data { host } => (false, false, Some(host.0)),
            ExtentKind::Compressed { .. } => (false, true, None),
        };
        Self {
            start: run.start.0,
            length: run.len,
            depth: if beyond { run.depth.saturating_sub(1) } else { run.depth },
            present: !beyond && run.kind.is_allocated(),
            zero,
            data: !zero,
            compressed,
            offset,
            filename: offset
                .map(|_| layer.data.as_ref().unwrap_or(&layer.path).to_string_lossy().into_owned()),
        }
    }

    /// Whether `next` continues this entry, so that both are one.
    fn joins(&self, next: &Self) -> bool {
        let offset = match (self.offset, next.offset) {
            (None, None) => true,
            (Some(a), Some(b)) => a.checked_add(self.length) == Some(b),
            _ => false,
        };
        offset
            && (self.depth, self.present, self.zero, self.compressed)
                == (next.depth, next.present, next.zero, next.compressed)
    }

    fn describe(&self) -> String {
        let what = match (self.present, self.zero, self.compressed) {
            (false, ..) => "nothing",
            (_, true, _) => "zero",
            (_, _, true) => "compressed",
            _ => "data",
        };
        let place = match (self.offset, &self.filename) {
            (Some(at), Some(file)) => format!("{at:#14x}  {}", Shown::new(file)),
            _ => String::new(),
        };
        let line =
            format!("{:#14x}  {:#14x}  {:>5}  {what:10}  {place}", self.start, self.length, self.depth);
        line.trim_end().to_owned()
    }
}

pub(super) fn run(args: &Map, out: &mut Out) -> anyhow::Result<u8> {
    let view = match args.layer {
        true => opening::layer_view(&args.view, &args.reading, &args.allow, out)?,
        false => opening::view(&args.view, &args.reading, &args.allow, out)?,
    };
    if args.json {
        let mut first = true;
        each(&view, |entry| {
            out.bytes(if first { b"[" } else { b",\n" })?;
            first = false;
            Ok(out.bytes(serde_json::to_string(entry)?.as_bytes())?)
        })?;
        out.line(if first { "[]" } else { "]" })?;
    } else {
        out.line(format!("{:>14}  {:>14}  layer  {:10}  {:>14}  file", "start", "length", "what", "at"))?;
        each(&view, |entry| Ok(out.line(entry.describe())?))?;
    }
    view.still_there()?;
    Ok(exit::DONE)
}

/// Calls `emit` with each entry, neighbours that continue each other joined. Bounded memory.
fn each(view: &View, mut emit: impl FnMut(&Entry) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut held: Option<Entry> = None;
    for entry in entries(view) {
        let entry = entry?;
        match &mut held {
            Some(last) if last.joins(&entry) => last.length += entry.length,
            held => {
                if let Some(done) = held.replace(entry) {
                    emit(&done)?;
                }
            }
        }
    }
    held.iter().try_for_each(emit)
}

/// Every run by itself: a view's own joining would hide where a short backing file ends.
fn entries(view: &View) -> impl Iterator<Item = Result<Entry>> + '_ {
    let mut at = 0;
    let mut cursor = view.cursor();
    std::iter::from_fn(move || {
        if at >= view.size() {
            return None;
        }
        let run = cursor.extent_at(Guest(at), view.size() - at);
        // An error ends the walk.
        at = run.as_ref().map_or(u64::MAX, ViewExtent::end);
        Some(run.map(|run| Entry::of(view, &run)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(start: u64, length: u64, offset: Option<u64>) -> Entry {
        let zero = offset.is_none();
        let filename = offset.map(|_| "a".to_owned());
        Entry {
            start,
            length,
            depth: 0,
            present: true,
            zero,
            data: !zero,
            compressed: false,
            offset,
            filename,
        }
    }

    #[test]
    fn only_what_continues_in_the_file_is_joined() {
        assert!(entry(0, 512, Some(4096)).joins(&entry(512, 512, Some(4608))));
        assert!(!entry(0, 512, Some(4096)).joins(&entry(512, 512, Some(8192))));
        assert!(!entry(0, 512, Some(4096)).joins(&entry(512, 512, None)));
        assert!(entry(0, 512, None).joins(&entry(512, 512, None)));
    }
}
