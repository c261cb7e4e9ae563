//! `cat`: a view's bytes on standard output, in bounded memory.

use super::args::Cat;
use super::out::Out;
use super::{exit, opening};
use crate::error::{Error, Kind};

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

pub(super) fn run(args: &Cat, out: &mut Out) -> anyhow::Result<u8> {
    let view = opening::view(&args.view, &args.reading, &args.allow, out)?;
    if args.offset > view.size() {
        let message =
            format!("offset {} lies beyond the end of the view ({} bytes)", args.offset, view.size());
        return Err(Error::new(Kind::Usage, message).into());
    }
    let end = args.offset.saturating_add(args.length.unwrap_or(u64::MAX)).min(view.size());
    let mut buf = vec![0; CHUNK];
    for extent in view.extents(args.offset, end) {
        let extent = extent?;
        let mut skip = 0;
        while skip < extent.len {
            let n = (extent.len - skip).min(CHUNK as u64);
            let part = &mut buf[..n as usize];
            view.read_extent(&extent, skip, part)?;
            out.bytes(part)?;
            skip += n;
        }
    }
    view.still_there()?;
    Ok(exit::DONE)
}
