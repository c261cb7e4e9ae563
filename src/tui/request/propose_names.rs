//! Names for what is new: what a careful operator would have typed.

use std::path::Path;

use crate::forest::Forest;
use crate::forest::Node;
use crate::text::Shown;

/// `sn1`, or the first such name that is free.
pub(super) fn snapshot(node: &Node) -> String {
    let free = |name: &String| node.snapshots.iter().all(|snapshot| snapshot.name != *name);
    numbered("sn", node.snapshots.len(), free)
}

/// The name after this one: `Snap-5.qcow2` on `Snap-4.qcow2`, `disk-1.qcow2` on `disk.qcow2`.
pub(super) fn overlay(forest: &Forest, image: &Path) -> String {
    let stem = stem(image);
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (word, number) = stem.split_at(stem.len() - digits);
    let word = if digits == 0 { format!("{word}-") } else { word.to_owned() };
    let next = number.parse::<usize>().map_or(1, |n| n.saturating_add(1));
    free_file(forest, image, &word, next, "qcow2")
}

/// `disk-sn1.qcow2` of a snapshot, `disk-copy.qcow2` of an image.
pub(super) fn export(forest: &Forest, image: &Path, snapshot: Option<&str>, extension: &str) -> String {
    let part: String = snapshot.unwrap_or("copy").chars().map(|c| if plain(c) { c } else { '-' }).collect();
    let stem = format!("{}-{part}", stem(image));
    let alone = format!("{stem}.{extension}");
    match taken(forest, image, &alone) {
        false => alone,
        true => free_file(forest, image, &format!("{stem}-"), 2, extension),
    }
}

/// The name of a file without its ending, safe to print.
pub(super) fn stem(image: &Path) -> String {
    let stem = image.file_stem().unwrap_or(image.as_os_str()).to_string_lossy();
    Shown::new(&stem).into_string()
}

fn plain(c: char) -> bool {
    c.is_alphanumeric() || "._-".contains(c)
}

fn free_file(forest: &Forest, image: &Path, word: &str, from: usize, extension: &str) -> String {
    let number = |n: &usize| !taken(forest, image, &format!("{word}{n}.{extension}"));
    let n = (from..from.saturating_add(10_000)).find(number).unwrap_or(from);
    format!("{word}{n}.{extension}")
}

fn taken(forest: &Forest, image: &Path, name: &str) -> bool {
    forest.find(&image.with_file_name(name)).is_some()
}

fn numbered(word: &str, from: usize, free: impl Fn(&String) -> bool) -> String {
    let mut names = (from..=from + 10_000).map(|n| format!("{word}{n}"));
    names.find(free).unwrap_or_else(|| word.to_owned())
}
