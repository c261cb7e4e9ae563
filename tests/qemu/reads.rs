//! What a rebase reads: nothing of the layers below the new base but what it takes to open them.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::lab::Lab;
use crate::{Case, case};

const MIB: u64 = 1 << 20;
/// What opening an image reads at most: header, tables, a few refcounts.
const TABLES: u64 = 512 << 10;
const NEEDS: &[&str] = &["strace"];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("reads::rebase_to_a_lower_base", || rebase("rebase l4 --base l2")).needs(NEEDS),
        case("reads::pull_to_a_lower_base", || rebase("pull l4 --base l2")).needs(NEEDS),
    ]
}

/// base <- l1 <- l2 <- l3 <- l4, each with 8 MiB of its own, much of it in the same places.
fn chain(lab: &Lab) {
    lab.img("create -q -f qcow2 base 64M");
    for (i, name) in ["base", "l1", "l2", "l3", "l4"].iter().enumerate() {
        if let Some(below) = i.checked_sub(1) {
            let below = ["base", "l1", "l2", "l3"][below];
            lab.img(&format!("create -q -f qcow2 -b {below} -F qcow2 {name}"));
        }
        lab.io(name, "qcow2", &[format!("write -q -P {} {}M 8M", i + 1, i * 4)]);
    }
}

fn rebase(line: &str) {
    let lab = Lab::new();
    chain(&lab);
    let before = lab.bytes("l4", None);
    let read = read_by(&lab, line);
    let of = |name: &str| read.get(name).copied().unwrap_or(0);
    for name in ["base", "l1", "l2"] {
        assert!(of(name) <= TABLES, "{line}: {} bytes of {name} were read", of(name));
    }
    // l4 has half of what l3 has in places of its own.
    assert!((4 * MIB..=4 * MIB + TABLES).contains(&of("l3")), "{line}: {} bytes of l3 were read", of("l3"));
    assert_eq!(lab.bytes("l4", None), before);
    lab.assert_clean();
}

/// Bytes read of each file of the lab, in whichever way.
fn read_by(lab: &Lab, line: &str) -> BTreeMap<String, u64> {
    // A file for each thread: there no call is interrupted by another one.
    let traces = tempfile::tempdir().unwrap();
    let done = Command::new("strace")
        .args(["-ff", "-qq", "-y", "-s", "0", "-e"])
        .arg("trace=read,pread64,readv,preadv,preadv2,mmap,copy_file_range,sendfile,splice")
        .arg("-o")
        .arg(traces.path().join("trace"))
        .arg(env!("CARGO_BIN_EXE_cowherd"))
        .args(line.split_whitespace())
        .args(["--yes", "-q"])
        .current_dir(lab.dir())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut read = BTreeMap::new();
    let prefix = format!("<{}/", lab.dir().canonicalize().unwrap().display());
    for trace in std::fs::read_dir(traces.path()).unwrap() {
        for line in std::fs::read_to_string(trace.unwrap().path()).unwrap().lines() {
            // The first descriptor is the one that is read; how much is the last number.
            let Some((_, rest)) = line.split_once(&*prefix) else { continue };
            let (Some((name, _)), Some((_, count))) = (rest.split_once('>'), line.rsplit_once("= ")) else {
                continue;
            };
            assert!(!line.starts_with("mmap"), "cannot be counted: {line}");
            *read.entry(name.to_owned()).or_default() += count.trim().parse::<u64>().unwrap_or(0);
        }
    }
    assert!(!read.is_empty());
    read
}
