//! What may be said about the image that another one becomes.

use crate::error::{Error, Kind, Result};
use crate::image::{self, NewImage, qcow2};

/// What may be said about the image that another one becomes; what is not said is as it suits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The version of a qcow2, 2 or 3.
    pub version: Option<u32>,
    /// The width of its refcounts.
    pub refcount_bits: Option<u32>,
    /// Bytes per cluster.
    pub cluster_size: Option<u64>,
    /// Clusters per table of a QED.
    pub table_size: Option<u32>,
}

impl Wanted {
    /// `new` as it is wished. Fails with [`Kind::Usage`] for what its format does not have.
    pub(super) fn applied(&self, new: NewImage) -> Result<NewImage> {
        let strange = |what: &str| Err(Error::new(Kind::Usage, format!("{} has no {what}", new.format())));
        Ok(match new.clone() {
            NewImage::Raw { .. } if *self != Self::default() => return strange("options"),
            raw @ NewImage::Raw { .. } => raw,
            NewImage::Qcow2(_) if self.table_size.is_some() => return strange("table_size"),
            NewImage::Qcow2(new) => NewImage::Qcow2(qcow2::CreateOptions {
                version: self.version.unwrap_or(new.version),
                refcount_bits: self.refcount_bits.unwrap_or(new.refcount_bits),
                cluster_size: self.cluster_size.unwrap_or(new.cluster_size),
                ..new
            }),
            NewImage::Qed(_) if self.version.is_some() => return strange("compat"),
            NewImage::Qed(_) if self.refcount_bits.is_some() => return strange("refcount_bits"),
            NewImage::Qed(new) => {
                let new = new.clone().with_clusters_of(self.cluster_size.unwrap_or(new.cluster_size))?;
                NewImage::Qed(image::qed::CreateOptions {
                    table_size: self.table_size.unwrap_or(new.table_size),
                    ..new
                })
            }
        })
    }
}
