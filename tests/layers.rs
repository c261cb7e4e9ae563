//! The layer rule: each floor imports only floors below it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

/// From the ground up. What stands on one line may be imported by everything on later lines.
const FLOORS: &[&[&str]] = &[
    &["error", "text", "units"],
    &["storage"],
    &["image"],
    &["chain"],
    &["forest"],
    &["plan"],
    &["job"],
    // The command line opens the terminal interface, not the other way round.
    &["tui"],
    &["cli"],
];

fn level(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|names| names.contains(&floor))
}

/// Names that follow `crate::` (or `crate::{`) in a source text, comments left out.
fn imports(source: &str) -> Vec<String> {
    let code: String =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for part in code.split("crate::").skip(1) {
        let list = match part.strip_prefix('{') {
            Some(group) => group.split_once("};").map_or(group, |(inside, _)| inside).split(',').collect(),
            None => vec![part],
        };
        for item in list {
            let name: String = item.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if level(&name).is_some() {
                found.push(name);
            }
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_are_found() {
    let source =
        "use crate::error::Result; // crate::tui\nuse crate::{chain::View, job};\nlet x = crate::plan::y();";
    assert_eq!(imports(source), ["error", "chain", "job", "plan"]);
}

#[test]
fn each_floor_imports_only_floors_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut broken = Vec::new();
    let mut seen = 0;
    for path in files {
        let inside = path.strip_prefix(&src).unwrap();
        let first = Path::new(inside.components().next().unwrap().as_os_str());
        let Some(floor) = first.file_stem().and_then(|s| s.to_str()) else { continue };
        let Some(own) = level(floor) else { continue };
        for import in imports(&std::fs::read_to_string(&path).unwrap()) {
            seen += 1;
            let allowed = import == floor || level(&import).is_some_and(|other| other < own || own == 0);
            if !allowed {
                broken.push(format!("{} imports {import}", inside.display()));
            }
        }
    }
    assert!(seen > 100, "only {seen} imports found; the search is broken");
    assert!(broken.is_empty(), "the layer rule is broken:\n{}", broken.join("\n"));
}

#[test]
fn every_floor_of_the_house_is_known_here() {
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for line in lib.lines().filter_map(|l| l.strip_prefix("pub mod ")) {
        let name = line.trim_end_matches(';');
        assert!(level(name).is_some(), "{name} has no place in the layer rule");
    }
}
