//! The pictures of the README as PNG, made by `tests/tui/png`. One that was made of another SVG fails.

use std::path::{Path, PathBuf};

use flate2::Crc;

/// Bytes of all of them; they are in every clone.
const MOST: usize = 600 << 10;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sum(bytes: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(bytes);
    sum.sum()
}

/// The chunks of a PNG: what each is, and what it holds.
fn chunks(png: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n").expect("no PNG");
    let mut found = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (chunk, after) = after.split_at(4 + u32::from_be_bytes(*length) as usize);
        let (check, after) = after.split_first_chunk::<4>().unwrap();
        assert_eq!(sum(chunk), u32::from_be_bytes(*check), "a chunk is damaged");
        found.push(chunk.split_at(4));
        rest = after;
    }
    found
}

/// The words of a PNG that say what it was made of.
fn source(png: &[u8]) -> String {
    let texts = chunks(png).into_iter().filter(|(kind, _)| *kind == b"tEXt");
    let sources = texts.filter_map(|(_, text)| text.strip_prefix(b"Source\0"));
    String::from_utf8(sources.collect::<Vec<_>>().concat()).unwrap()
}

fn shown_in_the_readme() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let names = text.split("(screenshots/").skip(1).filter_map(|rest| rest.split_once(".svg)"));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn pngs() -> Vec<PathBuf> {
    let files = root().join("screenshots").read_dir().unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "png")).collect()
}

#[test]
fn every_picture_of_the_readme_is_there_as_png_too() {
    let folder = root().join("screenshots");
    let names = shown_in_the_readme();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        let png = std::fs::read(folder.join(format!("{name}.png"))).unwrap_or_default();
        let svg = std::fs::read(folder.join(format!("{name}.svg"))).unwrap();
        let made = if png.is_empty() { "nothing".to_owned() } else { source(&png) };
        let wanted = format!("{name}.svg {:08x}", sum(&svg));
        assert_eq!(made, wanted, "screenshots/{name}.png is stale: tests/tui/png makes it anew");
    }
}

#[test]
fn no_png_is_left_over_and_all_are_small() {
    let wanted = shown_in_the_readme();
    let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let others: Vec<_> = pngs().into_iter().filter(|path| !wanted.contains(&stem(path))).collect();
    assert!(others.is_empty(), "not in the README: {others:?}");
    let bytes: usize = pngs().iter().map(|path| std::fs::read(path).unwrap().len()).sum();
    assert!(bytes < MOST, "{bytes} bytes of PNG");
}
