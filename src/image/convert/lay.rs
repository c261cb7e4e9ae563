//! From one format to another: every mapping of the source goes to the target, and what lies where the
//! target needs its header goes behind the end.

use std::sync::Arc;

use super::super::{Format, Image, NewImage, State, Written, open};
use super::{
    ConversionOptions, ConversionTarget, Mapping, MappingKind, Start, Switch, mappings, options, target,
};
use crate::error::{Error, Result};
use crate::storage::{CopyBuffer, File, copy_range};
use crate::units::{Guest, Host};

/// Is told of bytes that were mapped, and fails to stop.
pub type Seen<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// Metadata that lies behind the end of a file, durable and seen by nobody yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    /// What makes it true.
    pub switch: Switch,
    /// Bytes written, those of the switch among them.
    pub written: Written,
}

/// The usual image of format `to` that can take over an image with these `options`, data where it is.
///
/// Fails with [`Kind::Unsupported`](crate::error::Kind::Unsupported) when there is none.
pub fn suggest(options: &ConversionOptions, to: Format) -> Result<NewImage> {
    let unit = options.unit.unwrap_or(64 << 10);
    Ok(match NewImage::of(to, options.virtual_size, options.backing.clone())? {
        raw @ NewImage::Raw { .. } => raw,
        NewImage::Qcow2(new) => NewImage::Qcow2(new.with_clusters_of(unit)),
        NewImage::Qed(new) => NewImage::Qed(new.with_clusters_of(unit)?),
    })
}

/// Lays metadata as `to` has it over the image of format `from` in `file`: behind its end, durable on return.
/// The file reads as before. `seen` is told of guest bytes that were mapped, and fails to stop; whatever
/// fails, the file has its old length again.
///
/// Fails with [`Kind::Unsupported`](crate::error::Kind::Unsupported) for what the new format cannot express.
pub fn lay(file: &Arc<dyn File>, from: Format, to: &NewImage, seen: Seen<'_>) -> Result<Laid> {
    let old = Start::of(&**file)?;
    let laid = over(file, from, to, old.clone(), seen);
    if laid.is_err() && file.len().is_ok_and(|len| len > old.len) {
        // Nothing refers to what lies there; the failure is the one to tell.
        let _ = file.set_len(old.len);
    }
    laid
}

fn over(file: &Arc<dyn File>, from: Format, to: &NewImage, old: Start, seen: Seen<'_>) -> Result<Laid> {
    let source = open(file.clone(), Some(from))?;
    let options = options(&*source)?;
    if let Some(first) = options.obstacles.first() {
        return Err(Error::unsupported(format!("{} cannot hold {first}", to.format())));
    }
    let mut target = target(file, &options, to, source.header_end())?;
    let mut data_bytes = 0;
    let mut map = |target: &mut dyn ConversionTarget, mapping: Mapping| {
        seen(mapping.len)?;
        let (moved, stays) = split(mapping, target.head());
        if let Some(moved) = moved {
            data_bytes += moved.len;
            let host = target.place(moved.len)?;
            copy_range(&**file, moved.host.0, &**file, host.0, moved.len, &mut CopyBuffer::default())?;
            target.map(Mapping { host, ..moved })?;
        }
        stays.map_or(Ok(()), |stays| target.map(stays))
    };
    for mapping in wanted(&*source, &*target) {
        map(&mut *target, mapping?)?;
    }
    let head = target.finish()?;
    // Readers take whole clusters; what is missing at the end is a hole.
    if file.len()? < head.len {
        file.set_len(head.len)?;
    }
    file.sync()?;
    let extra_bytes = head.len.saturating_sub(old.len);
    let written = Written { data_bytes, extra_bytes, ..head.written };
    Ok(Laid { switch: Switch { old, new: Start { sector: head.sector, len: head.len } }, written })
}

/// What of the source is mapped: where space that nothing maps would leak, holes are data too.
fn wanted<'a>(
    source: &'a dyn Image,
    target: &dyn ConversionTarget,
) -> Box<dyn Iterator<Item = Result<Mapping>> + 'a> {
    let size = source.virtual_size(State::Active);
    if source.format() == Format::Raw && target.leaks_what_is_not_mapped() && size > 0 {
        let all = Mapping { guest: Guest(0), host: Host(0), len: size, kind: MappingKind::Data };
        return Box::new(std::iter::once(Ok(all)));
    }
    Box::new(mappings(source, target.unit()))
}

/// The part of a mapping that lies where the header will be, and the rest.
fn split(mapping: Mapping, head: u64) -> (Option<Mapping>, Option<Mapping>) {
    if mapping.kind != MappingKind::Data || mapping.host.0 >= head {
        return (None, Some(mapping));
    }
    let inside = (head - mapping.host.0).min(mapping.len);
    let rest = Mapping {
        guest: Guest(mapping.guest.0 + inside),
        host: Host(mapping.host.0 + inside),
        len: mapping.len - inside,
        ..mapping
    };
    (Some(Mapping { len: inside, ..mapping }), (rest.len > 0).then_some(rest))
}
