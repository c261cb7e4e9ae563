//! stub
use super::*;
use crate::error::Error;
use std::sync::Arc;
/// Qed image.
pub struct Qed {
    file: Arc<dyn File>,
}
impl Qed {
    /// Opens.
    pub fn open(file: Arc<dyn File>) -> Result<Self> {
        let _ = Self { file };
        Err(Error::unsupported("qed"))
    }
}
impl Image for Qed {
    fn file(&self) -> &Arc<dyn File> {
        &self.file
    }
    fn format(&self) -> Format {
        Format::Qed
    }
    fn cluster_size(&self) -> u64 {
        65536
    }
    fn backing(&self) -> Option<&BackingRef> {
        None
    }
    fn snapshots(&self) -> &[Snapshot] {
        &[]
    }
    fn virtual_size(&self, _: State) -> u64 {
        0
    }
    fn extent_at(&self, _: State, _: Guest, _: u64) -> Result<Extent> {
        Err(Error::unsupported("qed"))
    }
    fn details(&self) -> Details {
        Details::Raw
    }
    fn check(&self) -> Result<CheckReport> {
        Err(Error::unsupported("qed"))
    }
    fn space(&self) -> Result<Space> {
        Err(Error::unsupported("qed"))
    }
}
