//! The steps of the matrix: each changes the image and the model alike, and says what it did.

use crate::guest::{self, Act};
use crate::matrix::{IMAGE, Trial};

/// Largest disk.
const MOST: u64 = 4 << 20;
/// Smallest disk.
const LEAST: u64 = 64 << 10;

/// One random step, by cowherd or by QEMU: what was done, and whether by cowherd.
pub(crate) fn step(trial: &mut Trial) -> (String, bool) {
    let ours = trial.random.below(2) == 0;
    // Version 2 snapshots do not say how large the disk was.
    let may_resize = trial.shape.version > 2 || trial.saved.is_empty();
    let did = match trial.random.below(16) {
        0 | 1 if trial.saved.len() < trial.shape.snapshots => take(trial, ours),
        2 if !trial.saved.is_empty() => apply(trial, ours),
        3 if !trial.saved.is_empty() => delete(trial, ours),
        4 if may_resize && trial.size() < MOST => grow(trial, ours),
        5 if may_resize && trial.size() > LEAST + trial.shape.cluster => shrink(trial, ours),
        // There is no command of cowherd for these.
        6 if trial.shape.version > 2 => return (bitmap(trial), false),
        7 if trial.shape.lazy => return (crash(trial), false),
        _ => write(trial, ours),
    };
    (did, ours)
}

/// QEMU adds a dirty bitmap.
fn bitmap(trial: &mut Trial) -> String {
    trial.taken += 1;
    let name = format!("bm{}", trial.taken);
    trial.lab.img(&format!("bitmap --add {IMAGE} {name}"));
    format!("bitmap {name}")
}

/// QEMU writes and is killed: refcounts that it meant to write late are missing.
fn crash(trial: &mut Trial) -> String {
    let (at, len) = range(trial);
    let write = data(trial, at, len);
    let done =
        trial.lab.try_tool("qemu-io", &["-f", "qcow2", "-c", &write, "-c", "flush", "-c", "abort", IMAGE]);
    assert!(!done.status.success(), "qemu-io survived its own abort");
    format!("{write}, and crashes")
}

fn take(trial: &mut Trial, ours: bool) -> String {
    trial.taken += 1;
    let name = format!("sn{}", trial.taken);
    match ours {
        true => drop(trial.lab.run(&format!("snapshot create {IMAGE} {name} --yes")).expect(0)),
        false => drop(trial.lab.img(&format!("snapshot -c {name} {IMAGE}"))),
    }
    trial.saved.push((name.clone(), trial.active.clone()));
    format!("snapshot {name}")
}

fn pick(trial: &mut Trial) -> usize {
    trial.random.below(trial.saved.len() as u64) as usize
}

fn apply(trial: &mut Trial, ours: bool) -> String {
    let index = pick(trial);
    let name = trial.saved[index].0.clone();
    match ours {
        true => drop(
            trial
                .lab
                .run(&format!("snapshot apply {IMAGE} {name} --yes --accept no-undo --accept bitmaps-lost"))
                .expect(0),
        ),
        false => {
            let done = trial.lab.try_tool("qemu-img", &["snapshot", "-a", &name, IMAGE]);
            // QEMU does not apply a snapshot to an image that has bitmaps, nor where a refcount would have
            // to be one too high for a moment, and says so.
            if !done.status.success() {
                let why = String::from_utf8_lossy(&done.stderr).into_owned();
                let full = trial.saved.len() as u64 + 1 >= (1 << trial.shape.bits.min(32)) - 1;
                assert!(why.contains("bitmaps") || full, "snapshot -a {name}: {why}");
                return format!("could not apply {name}");
            }
        }
    }
    trial.active = trial.saved[index].1.clone();
    format!("apply {name}")
}

fn delete(trial: &mut Trial, ours: bool) -> String {
    let index = pick(trial);
    let name = trial.saved.remove(index).0;
    match ours {
        true => {
            drop(trial.lab.run(&format!("snapshot delete {IMAGE} {name} --yes --accept no-undo")).expect(0))
        }
        false => drop(trial.lab.img(&format!("snapshot -d {name} {IMAGE}"))),
    }
    format!("delete {name}")
}

fn grow(trial: &mut Trial, ours: bool) -> String {
    let size = trial.size() + (1 + trial.random.below(2000)) * 512;
    if ours {
        trial.lab.run(&format!("resize {IMAGE} {size} --yes --accept bitmaps-lost")).expect(0);
    } else {
        let done = trial.lab.try_tool("qemu-img", &["resize", "-q", IMAGE, &size.to_string()]);
        // QEMU cannot hide what a longer backing file has there in version 2, nor resize a bitmap that a
        // crash left in use, and says so.
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr).into_owned();
            let old = trial.shape.version == 2 && trial.shape.is_backed();
            assert!(old || why.contains("itmap"), "qemu-img resize to {size}: {why}");
            return format!("could not grow to {size}");
        }
    }
    trial.active.resize(size as usize, 0);
    format!("grow to {size}")
}

fn shrink(trial: &mut Trial, ours: bool) -> String {
    let mut size = (LEAST + trial.random.below(trial.size() - LEAST)) & !511;
    if ours {
        trial
            .lab
            .run(&format!("resize {IMAGE} {size} --shrink --yes --accept no-undo --accept bitmaps-lost"))
            .expect(0);
    } else {
        // QEMU leaves old bytes behind the end in the last cluster, and shows them after growth.
        size = size.next_multiple_of(trial.shape.cluster).min(trial.size());
        let line = ["resize", "-q", "--shrink", IMAGE, &size.to_string()];
        let done = trial.lab.try_tool("qemu-img", &line);
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(why.contains("itmap"), "qemu-img resize --shrink to {size}: {why}");
            return format!("could not shrink to {size}");
        }
    }
    trial.active.truncate(size as usize);
    format!("shrink to {size}")
}

/// One to four writes, zero writes or discards.
fn write(trial: &mut Trial, ours: bool) -> String {
    let mut did = Vec::new();
    for _ in 0..1 + trial.random.below(4) {
        let (at, len) = range(trial);
        did.push(match trial.random.below(10) {
            0..4 => data(trial, at, len),
            4..7 => {
                trial.active[at as usize..(at + len) as usize].fill(0);
                format!("write -q -z {at} {len}")
            }
            7 => discard(trial, at, len),
            8..10 if trial.shape.compresses && trial.size() >= trial.shape.cluster => {
                let (at, len) = clusters(trial, at, len);
                // QEMU writes compressed only where there is nothing yet; nor has it been told so far.
                match !ours && (!did.is_empty() || !guest::takes_no_space(&trial.lab.path(IMAGE), at, len)) {
                    true => data(trial, at, len),
                    false => data(trial, at, len).replacen("write -q", "write -q -c", 1),
                }
            }
            _ => data(trial, at, len),
        });
        let last = did.last().unwrap();
        if ours {
            let path = trial.lab.path(IMAGE);
            let numbers: Vec<u64> = last.split(' ').rev().take(2).map(|n| n.parse().unwrap()).collect();
            let (len, at) = (numbers[0], numbers[1]);
            let bytes = &trial.active[at as usize..(at + len) as usize];
            let act = match (last.contains(" -z "), last.contains(" -c ")) {
                _ if last.starts_with("discard") => Act::Discard(len),
                (true, _) => Act::Zeros(len),
                (_, true) => Act::Compressed(bytes),
                _ => Act::Data(bytes),
            };
            guest::write(&path, at, &act);
        }
    }
    if !ours {
        trial.lab.io(IMAGE, "qcow2", &did);
    }
    did.join("; ")
}

/// Any bytes of the disk: sectors, clusters, or nothing of the kind.
fn range(trial: &mut Trial) -> (u64, u64) {
    let unit = [1, 512, 512, trial.shape.cluster][trial.random.below(4) as usize];
    let size = trial.size();
    let at = trial.random.below(size) / unit * unit;
    let most = [4096, 64 << 10, 512 << 10][trial.random.below(3) as usize];
    let len = (1 + trial.random.below(most)).next_multiple_of(unit);
    // The end of the disk is a place of its own.
    let at = if trial.random.below(8) == 0 { size.saturating_sub(len) / unit * unit } else { at };
    (at, len.min(size - at))
}

/// Whole clusters near a range.
fn clusters(trial: &Trial, at: u64, len: u64) -> (u64, u64) {
    let cluster = trial.shape.cluster;
    let most = trial.size() / cluster;
    let first = (at / cluster).min(most - 1);
    (first * cluster, len.div_ceil(cluster).clamp(1, most - first) * cluster)
}

/// A repeated byte, or what looks random. Gives the command for qemu-io.
fn data(trial: &mut Trial, at: u64, len: u64) -> String {
    let range = at as usize..(at + len) as usize;
    if trial.random.below(2) == 0 {
        let byte = 1 + trial.random.below(255) as u8;
        trial.active[range].fill(byte);
        return format!("write -q -P {byte} {at} {len}");
    }
    let path = trial.lab.outside().join(format!("pattern{}", trial.random.below(4)));
    let pattern = std::fs::read(&path).unwrap();
    for (i, byte) in trial.active[range].iter_mut().enumerate() {
        *byte = pattern[i % pattern.len()];
    }
    format!("write -q -s {} {at} {len}", path.display())
}

/// QEMU discards whole clusters, and in version 2 nothing that a backing file lies behind.
fn discard(trial: &mut Trial, at: u64, len: u64) -> String {
    let (cluster, size) = (trial.shape.cluster, trial.size());
    let start = at.next_multiple_of(cluster);
    let end = if at + len == size { size } else { (at + len) / cluster * cluster };
    if start < end && !(trial.shape.version == 2 && trial.shape.is_backed()) {
        trial.active[start as usize..end as usize].fill(0);
    }
    format!("discard -q {at} {len}")
}
