//! stub
use super::*;
use crate::error::Error;
use std::sync::Arc;
/// Qcow2 image.
pub struct Qcow2 {
    file: Arc<dyn File>,
}
impl Qcow2 {
    /// Opens.
    pub fn open(file: Arc<dyn File>) -> Result<Self> {
        let _ = Self { file };
        Err(Error::unsupported("qcow2"))
    }
}
impl Image for Qcow2 {
    fn file(&self) -> &Arc<dyn File> {
        &self.file
    }
    fn format(&self) -> Format {
        Format::Qcow2
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
        Err(Error::unsupported("qcow2"))
    }
    fn details(&self) -> Details {
        Details::Raw
    }
    fn check(&self) -> Result<CheckReport> {
        Err(Error::unsupported("qcow2"))
    }
    fn space(&self) -> Result<Space> {
        Err(Error::unsupported("qcow2"))
    }
}
