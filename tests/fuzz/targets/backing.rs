//! Names that images hold: what the gate lets through lies below what was named, whatever they say.

#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use cowherd::chain::{Gate, ViewSpec};
use cowherd::text::Shown;
use libfuzzer_sys::fuzz_target;

/// A folder with a file, a link out of it, and a link to itself.
static HERD: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder").keep().canonicalize().expect("its path");
    std::fs::write(dir.join("a"), b"x").expect("a file");
    std::os::unix::fs::symlink("/etc", dir.join("e")).expect("a link");
    std::os::unix::fs::symlink(".", dir.join("l")).expect("a link");
    dir
});

fuzz_target!(|input: &[u8]| {
    let name = OsStr::from_bytes(input);
    let gate = Gate::for_paths([HERD.as_path()]);
    match gate.resolve(&HERD.join("image"), name) {
        Ok(path) => assert!(path.starts_with(&*HERD) && path.is_file(), "{name:?} led to {path:?}"),
        Err(e) => assert!(!e.to_string().chars().any(char::is_control), "{e:?}"),
    }
    let spec = ViewSpec::parse(name);
    assert!(!spec.state.to_string().chars().any(char::is_control));
    assert!(!Shown::bytes(input).as_str().chars().any(char::is_control));
});
