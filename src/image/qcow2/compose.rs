//! Sector 0 from nothing: the header, its extensions, and the backing name.

use zerocopy::{FromZeros, IntoBytes};

use super::extensions::Extensions;
use super::header::{Header, MAGIC, OUR_V3_LENGTH, RawHeader, SECTOR, V2_LENGTH};
use crate::error::{Error, Kind, Result};
use crate::image::Encryption;

/// What the first cluster of an image begins with.
pub(super) struct Composed {
    /// The header, with the place of the name.
    pub(super) header: Header,
    /// All that is switched at once.
    pub(super) sector: [u8; SECTOR],
    /// The name, where the sector has no room for it; durable before the switch.
    pub(super) name: Option<(u64, Vec<u8>)>,
}

/// Puts `header` together with `extensions` and the name of a backing file. The name is whole in the sector,
/// or whole behind it, from `behind` on.
///
/// Fails with [`Kind::Usage`] when there is no room for one of them.
pub(super) fn compose(
    header: &Header,
    extensions: &Extensions,
    name: Option<&[u8]>,
    behind: u64,
) -> Result<Composed> {
    let header_length = if header.version == 3 { OUR_V3_LENGTH } else { V2_LENGTH };
    let mut header = Header { header_length, backing_offset: 0, backing_size: 0, ..header.clone() };
    let (start, area) = (header_length as usize, extensions.to_bytes());
    let inside = start + area.len();
    let mut sector = [0; SECTOR];
    let room = sector.get_mut(start..inside);
    room.ok_or_else(|| Error::new(Kind::Usage, "the header extensions find no room in one sector"))?
        .copy_from_slice(&area);
    let mut outside = None;
    if let Some(name) = name {
        let fits = inside + name.len() <= SECTOR;
        let at = if fits { inside as u64 } else { behind };
        if name.len() > 1023 || at + name.len() as u64 > header.cluster_size() {
            return Err(Error::new(Kind::Usage, "backing file name is too long"));
        }
        (header.backing_offset, header.backing_size) = (at, name.len() as u32);
        match sector.get_mut(inside..inside + name.len()) {
            Some(place) => place.copy_from_slice(name),
            None => outside = Some((at, name.to_vec())),
        }
    }
    sector[..start].copy_from_slice(&raw(&header).as_bytes()[..start]);
    Ok(Composed { header, sector, name: outside })
}

fn raw(header: &Header) -> RawHeader {
    let mut raw = RawHeader::new_zeroed();
    raw.magic.set(MAGIC);
    raw.version.set(header.version);
    raw.backing_offset.set(header.backing_offset);
    raw.backing_size.set(header.backing_size);
    raw.cluster_bits.set(header.cluster_bits);
    raw.size.set(header.size);
    raw.crypt_method.set(match header.encryption {
        None => 0,
        Some(Encryption::Aes) => 1,
        Some(Encryption::Luks) => 2,
    });
    raw.l1_size.set(header.l1_size);
    raw.l1_offset.set(header.l1_offset);
    raw.reftable_offset.set(header.reftable_offset);
    raw.reftable_clusters.set(header.reftable_clusters);
    raw.nb_snapshots.set(header.nb_snapshots);
    raw.snapshots_offset.set(header.snapshots_offset);
    raw.incompatible.set(header.incompatible);
    raw.compatible.set(header.compatible);
    raw.autoclear.set(header.autoclear);
    raw.refcount_order.set(header.refcount_order);
    raw.header_length.set(header.header_length);
    raw.compression_type = u8::from(header.zstd);
    raw
}
