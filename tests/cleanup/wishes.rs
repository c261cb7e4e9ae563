//! Wishes at random, and small herds by name.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use cowherd::forest::Forest;
use cowherd::image::qcow2::{CreateOptions, create};
use cowherd::image::{BackingRef, Format};
use cowherd::plan::{ViewId, Wishes};
use cowherd::storage::RealFile;

use crate::common::{Random, scribble};

/// Some views: any, whole images, or all but the last few of each line.
pub(crate) fn any(forest: &Forest, random: &mut Random) -> BTreeSet<ViewId> {
    let nodes = forest.nodes.iter();
    match random.below(4) {
        0 => {
            let keep_last = Some(1 + random.below(3) as usize);
            Wishes { keep_last, ..Wishes::default() }.going(forest, SystemTime::now()).unwrap()
        }
        1 => nodes.flat_map(ViewId::all).filter(|_| random.one_in(2)).collect(),
        _ => {
            let mut goes = BTreeSet::new();
            for node in nodes {
                if !node.children.is_empty() && !random.one_in(4) || random.one_in(6) {
                    goes.extend(ViewId::all(node));
                }
            }
            goes
        }
    }
}

/// qcow2 images, each over the one that is named, with something in it.
pub(crate) fn line(dir: &Path, images: &[(&str, Option<&str>)]) {
    let mut random = Random::new(7);
    for (name, below) in images {
        let path = dir.join(name);
        let file = RealFile::create_new(&path).unwrap();
        let backing = below.map(|below| BackingRef { name: below.into(), format: Some("qcow2".into()) });
        let options = CreateOptions { virtual_size: 1 << 20, backing, ..CreateOptions::default() };
        create(&file, &options).unwrap();
        drop(file);
        scribble(&path, Format::Qcow2, &mut random);
    }
}
