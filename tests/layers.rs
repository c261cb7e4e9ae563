//! The house rule: each floor imports only floors below it, only storage touches image bytes, and
//! only `storage/sys.rs` is unsafe. Reads the sources; a planted violation shows that it would see one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "layers/source.rs"]
mod source;

use std::path::Path;

use source::{paths, tokens, without_tests};

/// From the bottom up. What shares a floor does not know each other: the faces, and forest and serve.
const FLOORS: [&[&str]; 7] = [
    &["storage"],
    &["image"],
    &["chain"],
    &["forest", "serve", "stream"],
    &["plan"],
    &["job"],
    &["cli", "tui"],
];

/// What lies under all floors, and what of it may use what.
const GROUND: [(&str, &[&str]); 4] =
    [("error", &["text"]), ("text", &[]), ("units", &[]), ("config", &["error", "text"])];

/// All that the command line may know of the TUI: whether it can start, how, how it ended, its keys and its looks.
const START_OF_TUI: [&str; 7] = ["usable", "Options", "run", "Stopped", "Keymap", "actions", "Colours"];

/// Names of `std::fs` that reach the bytes of a file.
const BYTES: [&str; 8] = ["read", "write", "copy", "read_to_string", "File", "OpenOptions", "hard_link", "*"];

/// Files above storage that may use those names, and why no image byte passes through them.
const MAY_TOUCH_FILES: [(&str, &str); 1] = [("config.rs", "the user's own settings, no image")];

/// The floor (or ground) a file is on: the first folder, or the file itself.
fn home(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

fn height(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

/// Whether a module in `from` may use `crate::to::item`.
fn may_use(from: &str, to: &str, item: Option<&str>) -> bool {
    if from == to || from == "lib" || from == "main" {
        return true;
    }
    if let Some((_, below)) = GROUND.iter().find(|(name, _)| *name == from) {
        return below.contains(&to);
    }
    match (height(from), height(to)) {
        (Some(from), Some(to)) if to < from => true,
        (Some(_), Some(_)) => {
            // `use crate::tui;` is followed by `tui::item`, which is looked at as well.
            from == "cli" && to == "tui" && item.is_none_or(|i| START_OF_TUI.contains(&i))
        }
        // What is no floor is ground, or an item of the crate itself.
        _ => true,
    }
}

/// What is wrong in `source`, the file `file` below `src/`.
fn violations(file: &str, source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let from = home(file);
    // Modules above this one in the file tree: `super` that often leads to the crate.
    let depth = file.split('/').count() - usize::from(file.ends_with("mod.rs"));
    let mut found = Vec::new();
    for (line, path) in paths(&tokens) {
        let supers = path.iter().take_while(|p| *p == "super").count();
        let rest = match path[0].as_str() {
            "crate" => &path[1..],
            "tui" if from == "cli" => &path[..],
            _ if supers >= depth => &path[supers..],
            _ => continue,
        };
        let Some(to) = rest.first() else { continue };
        if to == "*" {
            if path[0] == "crate" {
                found.push(format!("{file}:{line}: imports the whole crate"));
            }
            continue;
        }
        if !may_use(from, to, rest.get(1).map(String::as_str)) {
            found.push(format!("{file}:{line}: {from} must not use {to} ({})", path.join("::")));
        }
    }
    let is_test = file.ends_with("tests.rs") || file.ends_with("fixtures.rs");
    let allowed = from == "storage" || MAY_TOUCH_FILES.iter().any(|(name, _)| *name == file);
    if !is_test && !allowed {
        for (line, path) in paths(&without_tests(&tokens)) {
            let reaches = path.windows(2).any(|p| p[0] == "fs" && BYTES.contains(&p[1].as_str()));
            let calls = path.starts_with(&["rustix".to_owned(), "fs".to_owned()]);
            // Free space is a fact about a file system.
            if reaches || calls && path.last().is_some_and(|name| name != "statvfs") {
                found.push(format!("{file}:{line}: touches files outside storage ({})", path.join("::")));
            }
        }
    }
    if file != "storage/sys.rs" {
        let lines = tokens.iter().filter(|t| t.text == "unsafe").map(|t| t.line);
        found.extend(lines.map(|line| format!("{file}:{line}: unsafe outside storage/sys.rs")));
    }
    found
}

fn visit(folder: &Path, root: &Path, found: &mut Vec<String>, files: &mut usize) {
    let mut entries: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            visit(&path, root, found, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.extend(violations(name, &std::fs::read_to_string(&path).unwrap()));
            *files += 1;
        }
    }
}

#[test]
fn the_house_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut files) = (Vec::new(), 0);
    visit(&root, &root, &mut found, &mut files);
    assert!(files > 30, "only {files} files were read");
    assert!(found.is_empty(), "the house rule is broken:\n{}", found.join("\n"));
}

#[test]
fn allowances_are_used_and_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (file, reason) in MAY_TOUCH_FILES {
        assert!(root.join(file).is_file(), "{file} is gone; so should be its allowance");
        assert!(!reason.is_empty());
    }
}

#[test]
fn planted_violations_are_seen() {
    let planted = [
        ("image/raw.rs", "use crate::chain::Gate;"),
        ("image/qcow2/mod.rs", "use super::super::forest::Forest;"),
        ("chain/mod.rs", "fn f() { crate::forest::scan() }"),
        ("forest/scan.rs", "use crate::{error::Result, plan::{Plan, Step}};"),
        ("plan/mod.rs", "pub use crate::job;"),
        ("serve/mod.rs", "use crate::forest::Forest;"),
        ("forest/scan.rs", "use crate::serve::Server;"),
        ("job/mod.rs", "use crate::tui::run;"),
        ("tui/mod.rs", "use crate::cli::run;"),
        ("cli/mod.rs", "use crate::tui::{run, widgets::Tree};"),
        ("cli/open.rs", "use crate::{forest, tui}; fn f() { tui::App::new() }"),
        ("units.rs", "use crate::error::Error;"),
        ("error.rs", "use crate::storage::FileId;"),
        ("forest/x.rs", "use std::fs; fn f() { fs::read(\"x\") }"),
        ("forest/x.rs", "use std::{fs::{File, metadata}, io};"),
        ("plan/x.rs", "use rustix::fs::openat;"),
        ("storage/real.rs", "fn f() { unsafe { g() } }"),
    ];
    for (file, source) in planted {
        assert!(!violations(file, source).is_empty(), "{file}: {source} was not seen");
    }
}

#[test]
fn what_is_allowed_passes() {
    let fine = [
        ("chain/mod.rs", "use crate::image::{self, Image}; use crate::storage::File;"),
        ("cli/mod.rs", "fn f() { crate::tui::run() } use crate::{job, plan::Plan, forest};"),
        ("cli/open.rs", "use crate::{forest, tui}; fn f() { tui::run(tui::Options { a: 1 }) }"),
        ("image/qcow2/mod.rs", "use super::super::model::Extent; use super::Image;"),
        ("storage/sys.rs", "fn f() { unsafe { g() } }"),
        ("storage/real.rs", "use std::fs::File;"),
        ("error.rs", "use crate::text::Shown;"),
        (
            "image/x.rs",
            "// use crate::chain\n/* unsafe /* */ crate::tui::x */ const A: &str = \"crate::job::x\";",
        ),
        (
            "image/x.rs",
            "const A: &str = r#\"\"crate::job::x\"#; const Q: char = '\"'; const N: char = '\\'';",
        ),
        ("image/x.rs", "#[cfg(test)] mod tests { fn f<'a>(x: &'a str) { std::fs::write(x, x) } }"),
        ("image/x.rs", "fn f() { std::fs::metadata(p) } #![deny(unsafe_code)]"),
    ];
    for (file, source) in fine {
        assert_eq!(violations(file, source), Vec::<String>::new(), "{file}: {source}");
    }
}
