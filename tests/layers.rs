//! The house rule: each floor imports only floors below it, only storage touches image bytes, and
//! only `storage/sys.rs` is unsafe. Reads the sources; a planted violation shows that it would see one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

/// From the bottom up. The faces share the top floor and do not know each other.
const FLOORS: [&[&str]; 7] =
    [&["storage"], &["image"], &["chain"], &["forest"], &["plan"], &["job"], &["cli", "tui"]];

/// What lies under all floors, and what of it may use what.
const GROUND: [(&str, &[&str]); 3] = [("error", &["text"]), ("text", &[]), ("units", &[])];

/// All that the command line may know of the TUI: how to start it.
const START_OF_TUI: [&str; 2] = ["run", "Options"];

/// Names of `std::fs` that reach the bytes of a file.
const BYTES: [&str; 8] = ["read", "write", "copy", "read_to_string", "File", "OpenOptions", "hard_link", "*"];

/// Files above storage that may use those names, and why no image byte passes through them.
const MAY_TOUCH_FILES: [(&str, &str); 0] = [];

/// A word or a sign of the source, without comments and literals.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut out, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let start = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character, or a lifetime.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            'r' | 'b' | 'c' if raw_string(&chars, i).is_some() => i = raw_string(&chars, i).unwrap(),
            c if word(c) => {
                while word(at(i)) {
                    i += 1;
                }
                out.push(Token { text: chars[start..i].iter().collect(), line });
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                out.push(Token { text: "::".to_owned(), line });
            }
            c => {
                i += 1;
                if !c.is_whitespace() {
                    out.push(Token { text: c.to_string(), line });
                }
            }
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    out
}

/// The end of a raw string that starts at `i`.
fn raw_string(chars: &[char], i: usize) -> Option<usize> {
    let rest: String = chars[i..].iter().take(12).collect();
    let body =
        rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.chars().take_while(|c| *c == '#').count();
    if body.chars().nth(hashes) != Some('"') {
        return None;
    }
    let open = i + rest.len() - body.len() + hashes + 1;
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    (open..chars.len()).find(|k| chars[*k..].starts_with(&close)).map(|k| k + close.len())
}

/// The same without `#[cfg(test)] mod name { ... }`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let (mut out, mut i) = (Vec::new(), 0);
    while i < tokens.len() {
        let here = attribute.iter().zip(&tokens[i..]).filter(|(a, t)| **a == t.text).count();
        let body = i + attribute.len() + 1;
        if here == attribute.len() && tokens.get(body).is_some_and(|t| t.text == "{") {
            let mut depth = 0;
            i = body;
            while let Some(token) = tokens.get(i) {
                depth += i32::from(token.text == "{") - i32::from(token.text == "}");
                i += 1;
                if depth == 0 {
                    break;
                }
            }
        } else {
            out.push(tokens[i].clone());
            i += 1;
        }
    }
    out
}

/// Every path with `::` in it, groups spelt out: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn paths(tokens: &[Token]) -> Vec<(usize, Vec<String>)> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let starts = is_word(&tokens[i].text) && tokens.get(i + 1).is_some_and(|t| t.text == "::");
        if starts {
            i = expand(tokens, i, &[], &mut out);
        } else {
            i += 1;
        }
    }
    out
}

fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn expand(tokens: &[Token], mut i: usize, prefix: &[String], out: &mut Vec<(usize, Vec<String>)>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(i) {
        match token.text.as_str() {
            "{" => {
                i += 1;
                while tokens.get(i).is_some_and(|t| t.text != "}") {
                    let next = if tokens[i].text == "," { i } else { expand(tokens, i, &path, out) };
                    i = next.max(i + 1);
                }
                return i + 1;
            }
            text if is_word(text) || text == "*" => {
                path.push(text.to_owned());
                i += 1;
                // `crate as other` would hide what follows.
                if tokens.get(i).is_none_or(|t| t.text != "::") {
                    out.push((token.line, path));
                    return i;
                }
                i += 1;
            }
            _ => break,
        }
    }
    i
}

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
        (Some(_), Some(_)) => from == "cli" && to == "tui" && item.is_some_and(|i| START_OF_TUI.contains(&i)),
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
            if reaches || path.starts_with(&["rustix".to_owned(), "fs".to_owned()]) {
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
        ("job/mod.rs", "use crate::tui::run;"),
        ("tui/mod.rs", "use crate::cli::run;"),
        ("cli/mod.rs", "use crate::tui::{run, widgets::Tree};"),
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
