//! `measure`: how large a view would become as a file of its own, or any disk as an image.

use serde_json::json;

use super::args::Measure;
use super::out::Out;
use super::{exit, opening, options};
use crate::chain::View;
use crate::error::{Error, Kind, Result};
use crate::image::{Format, Preallocation, qcow2};
use crate::text::human_size;
use crate::units::{align_down, align_up};

pub(super) fn run(args: &Measure, out: &mut Out) -> anyhow::Result<u8> {
    let view = match &args.view {
        Some(text) => Some(opening::view(text, &args.reading, &args.allow)?),
        None => None,
    };
    let size = match (&view, args.size) {
        (Some(view), _) => view.size(),
        (None, Some(size)) => align_up(size, 512),
        (None, None) => return Err(Error::new(Kind::Usage, "a view or --size is needed").into()),
    };
    let found = measure(args, view.as_ref(), size)?;
    match args.json {
        true => out.json(&json!({
            "required": found.required,
            "fully-allocated": found.fully_allocated,
        }))?,
        false => {
            for (what, bytes) in [("required", found.required), ("fully allocated", found.fully_allocated)] {
                out.line(format!("{what:16}{} ({bytes} bytes)", human_size(bytes)))?;
            }
        }
    }
    Ok(exit::DONE)
}

fn measure(args: &Measure, view: Option<&View>, size: u64) -> Result<qcow2::Measure> {
    match args.output {
        Format::Raw => {
            options::raw(&args.options)?;
            Ok(qcow2::Measure { required: size, fully_allocated: size })
        }
        Format::Qcow2 => {
            let start = qcow2::CreateOptions { virtual_size: size, ..Default::default() };
            let (options, ahead) = options::qcow2(start, &args.options)?;
            options.validate()?;
            let data = match (ahead, view) {
                (Preallocation::Falloc | Preallocation::Full, _) => align_up(size, options.cluster_size),
                (_, Some(view)) => data_bytes(view, options.cluster_size)?,
                (_, None) => 0,
            };
            Ok(qcow2::measure(&options, data))
        }
        Format::Qed => Err(Error::unsupported("measuring is for raw and qcow2")),
    }
}

/// Bytes of the clusters that hold data: what is known to read as zeros costs nothing.
fn data_bytes(view: &View, cluster: u64) -> Result<u64> {
    let (mut total, mut seen) = (0, 0);
    for extent in view.extents(0, view.size()) {
        let extent = extent?;
        if extent.reads_zero() {
            continue;
        }
        let (start, end) = (align_down(extent.start.0, cluster).max(seen), align_up(extent.end(), cluster));
        total += end.saturating_sub(start);
        seen = seen.max(end);
    }
    Ok(total)
}
