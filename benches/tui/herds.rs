//! Folders of images.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cowherd::image::qcow2::{CreateOptions, Writer, create};
use cowherd::image::{BackingRef, Target};
use cowherd::storage::{File, MemFile, RealFile};
use cowherd::units::Guest;

/// An image with nothing in it, as bytes.
fn empty(virtual_size: u64, cluster_size: u64, backing: Option<BackingRef>) -> Vec<u8> {
    let file: Arc<dyn File> = Arc::new(MemFile::new("small", Vec::new()));
    let options = CreateOptions { virtual_size, cluster_size, backing, ..CreateOptions::default() };
    create(&*file, &options).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn on(name: &str) -> Option<BackingRef> {
    Some(BackingRef { name: name.into(), format: Some("qcow2".to_owned()) })
}

/// So many images: bases with nine overlays each.
pub(crate) fn many(folder: &Path, count: usize) {
    // Small ones: what is measured is how many there are.
    let small = |backing| empty(1 << 30, 4096, backing);
    let (base, mut overlay) = (small(None), Vec::new());
    for i in 0..count {
        let name = format!("image-{i:05}.qcow2");
        if i.is_multiple_of(10) {
            overlay = small(on(&name));
        }
        fs::write(folder.join(name), if i.is_multiple_of(10) { &base } else { &overlay }).unwrap();
    }
}

/// A base and an overlay with so much data.
pub(crate) fn pair(folder: &Path, bytes: u64) {
    let large = |backing| empty(20 << 30, 65536, backing);
    fs::write(folder.join("base.qcow2"), large(None)).unwrap();
    let top = folder.join("top.qcow2");
    fs::write(&top, large(on("base.qcow2"))).unwrap();
    let file: Arc<dyn File> = Arc::new(RealFile::open(&top, true).unwrap());
    let mut writer = Writer::open(file.clone(), false).unwrap();
    let (chunk, mut at) = (1 << 20, 0);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut data = vec![0; chunk as usize];
    while at < bytes {
        for word in data.chunks_mut(8) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            word.copy_from_slice(&random.to_le_bytes());
        }
        let (host, room) = writer.allocate(Guest(at), chunk).unwrap();
        let n = room.min(chunk);
        writer.file().write_at(host.0, &data[..n as usize]).unwrap();
        writer.map(Guest(at), host, n).unwrap();
        at += n;
    }
    Box::new(writer).finish().unwrap();
}
