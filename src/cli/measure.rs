//! `measure`: how large a view would become as a file of its own, or any disk as an image.

use serde_json::json;

use super::args::Measure as Args;
use super::out::Out;
use super::{exit, opening, options};
use crate::chain::View;
use crate::error::{Error, Kind, Result};
use crate::image::{Details, Format, Measure, Preallocation, State, Units, Used, qcow2, qed};
use crate::text::human_size;
use crate::units::{align_down, align_up, div_up};

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<u8> {
    let view = match &args.view {
        Some(text) => Some(opening::view(text, &args.reading, &args.allow, out)?),
        None => None,
    };
    let size = match (&view, args.size) {
        (Some(view), _) => view.size(),
        (None, Some(size)) => align_up(size, 512),
        (None, None) => return Err(Error::new(Kind::Usage, "a view or --size is needed").into()),
    };
    let (found, bitmaps) = measure(args, view.as_ref(), size)?;
    let lines = [
        ("required", Some(found.required)),
        ("fully-allocated", Some(found.fully_allocated)),
        ("bitmaps", bitmaps),
    ];
    let known = lines.into_iter().filter_map(|(key, bytes)| Some((key, bytes?)));
    if args.json {
        out.json(
            &known.map(|(key, bytes)| (key.to_owned(), json!(bytes))).collect::<serde_json::Map<_, _>>(),
        )?;
        return Ok(exit::DONE);
    }
    for (key, bytes) in known {
        out.line(format!("{:16}{} ({bytes} bytes)", key.replace('-', " "), human_size(bytes)))?;
    }
    Ok(exit::DONE)
}

/// How large the file becomes, and what the view's dirty bitmaps would take in it.
fn measure(args: &Args, view: Option<&View>, size: u64) -> Result<(Measure, Option<u64>)> {
    match args.output {
        Format::Raw => {
            options::raw(&args.options)?;
            Ok((Measure { required: size, fully_allocated: size }, None))
        }
        Format::Qcow2 => {
            let start = qcow2::CreateOptions { virtual_size: size, ..Default::default() };
            let (options, ahead) = options::qcow2(start, &args.options)?;
            options.validate()?;
            let mut found = qcow2::measure(&options, used(view, options.units())?);
            // A raw data file is mapped as a whole.
            if ahead != Preallocation::Off || options.data_file.as_ref().is_some_and(|data| data.raw) {
                found.required = found.fully_allocated;
            }
            let bitmaps = view.filter(|_| options.version >= 3);
            Ok((found, bitmaps.and_then(|view| bitmap_bytes(view, options.cluster_size))))
        }
        Format::Qed => {
            let start = qed::CreateOptions { virtual_size: size, ..Default::default() };
            let options = options::qed(start, &args.options)?;
            Ok((qed::measure(&options, used(view, qed::units(&options)?)?)?, None))
        }
    }
}

/// How much of a disk a copy maps. What is known to read as zeros costs nothing; nobody looks for
/// zeros in data.
fn used(view: Option<&View>, units: Units) -> Result<Used> {
    let Some(view) = view else { return Ok(Used::default()) };
    let (mut clusters, mut tables) = (Counter::new(units.cluster), Counter::new(units.table));
    for extent in view.extents(0, view.size()) {
        let extent = extent?;
        if !extent.reads_zero() {
            clusters.add(extent.start.0, extent.end());
            tables.add(extent.start.0, extent.end());
        }
    }
    Ok(Used { clusters: clusters.count, tables: tables.count })
}

/// Counts the units that ranges touch, each once. The ranges are ordered.
struct Counter {
    unit: u64,
    count: u64,
    /// The end of the last unit counted.
    seen: u64,
}

impl Counter {
    fn new(unit: u64) -> Self {
        Self { unit, count: 0, seen: 0 }
    }

    fn add(&mut self, start: u64, end: u64) {
        let start = align_down(start, self.unit).max(self.seen);
        self.count += div_up(end.saturating_sub(start), self.unit);
        self.seen = self.seen.max(align_up(end, self.unit));
    }
}

/// What the dirty bitmaps of a view's image would take, where QEMU says it too.
fn bitmap_bytes(view: &View, cluster: u64) -> Option<u64> {
    let image = &view.layers().first()?.image;
    let Details::Qcow2 { version: 3, bitmaps, .. } = image.details() else { return None };
    // Whatever the view, bitmaps are about the active state.
    qcow2::measure_bitmaps(&bitmaps, image.virtual_size(State::Active), cluster)
}
