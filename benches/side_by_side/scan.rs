//! A folder of images against one `qemu-img info` each.

use crate::duel::{Pair, cowherd, has_qemu, output, qemu_img, run};
use crate::images::create;

const IMAGES: usize = 1000;
const ROUNDS: usize = 3;

pub(crate) fn folder() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..IMAGES).map(|i| folder.path().join(format!("image{i:04}.qcow2"))).collect();
    for (i, path) in paths.iter().enumerate() {
        // A hundred families of ten.
        let parent = (i % 10 > 0).then(|| format!("image{:04}.qcow2", i / 10 * 10));
        create(path, 1 << 30, parent.as_deref());
    }
    let mut scan = cowherd("tree --json", &[folder.path()]);
    let found: serde_json::Value = serde_json::from_slice(&output(&mut scan).stdout).unwrap();
    for (image, path) in found["images"].as_array().unwrap().iter().zip(&paths) {
        assert_eq!((image["path"].as_str(), image["virtual_size"].as_u64()), (path.to_str(), Some(1 << 30)));
    }
    assert_eq!(found["images"].as_array().unwrap().len(), IMAGES);

    let mut pair = Pair::default();
    for _ in 0..ROUNDS {
        pair.ours.measure(|| run(&mut scan));
        if has_qemu() {
            pair.theirs.measure(|| {
                paths.iter().for_each(|path| run(&mut qemu_img("info --output=json", &[path])));
            });
        }
    }
    pair.report("scan of 1,000 images", "cowherd tree", "1,000 times qemu-img info");
}
