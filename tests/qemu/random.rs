//! Commits in herds that nobody thought of: formats, sizes, cluster sizes, branches and snapshots
//! by seed. Either it is refused and no byte changes, or every promise holds.
//!
//! `COWHERD_SEEDS=N` tries N more; a failure names its seed, and `COWHERD_SEED=S` repeats it.

use crate::lab::{Lab, Random, Views, assert_same};
use crate::{Case, case};

const MIB: u64 = 1 << 20;

pub(crate) fn cases() -> Vec<Case> {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("COWHERD_SEED") {
        Some(seed) => vec![seed],
        None => (1..=16 + number("COWHERD_SEEDS").unwrap_or(0)).collect(),
    };
    seeds.into_iter().map(|seed| case(format!("random::seed_{seed}"), move || one(seed))).collect()
}

/// An image of a random herd.
pub(crate) struct Made {
    pub(crate) name: String,
    format: &'static str,
    parent: Option<usize>,
}

pub(crate) fn herd(lab: &Lab, random: &mut Random) -> Vec<Made> {
    let mut made: Vec<Made> = Vec::new();
    let count = 3 + random.below(4) as usize;
    for i in 0..count {
        let parent = (i > 0).then(|| match random.below(3) {
            0 => random.below(i as u64) as usize,
            _ => i - 1,
        });
        let format = match (parent, random.below(8)) {
            (None, 0..3) => "raw",
            (_, 7) => "qed",
            _ => "qcow2",
        };
        let size = match random.below(3) {
            0 => 4 * MIB,
            _ => MIB + random.below(8 * 1024) * 512,
        };
        let name = format!("i{i}.{format}");
        let backing = parent.map_or_else(String::new, |p| {
            let below: &Made = &made[p];
            format!("-b {} -F {}", below.name, below.format)
        });
        let mut options = Vec::new();
        if format == "qcow2" {
            let cluster = ["512", "4k", "64k", "64k", "256k", "2M"][random.below(6) as usize];
            options.push(format!("cluster_size={cluster}"));
            if random.below(4) == 0 {
                options.push("compat=0.10".to_owned());
            } else {
                // One bit cannot count a snapshot.
                let bits = ["2", "8", "16", "16", "64"][random.below(5) as usize];
                options.push(format!("refcount_bits={bits}"));
            }
        }
        let options = if options.is_empty() { String::new() } else { format!("-o {}", options.join(",")) };
        lab.img(&format!("create -q -f {format} {options} {backing} {name} {size}"));
        let writes = random.below(16) as usize;
        if writes > 0 {
            lab.scribble(&name, format, size, random.next(), writes);
        }
        if format == "qcow2" && random.below(4) == 0 {
            lab.img(&format!("snapshot -c sn0 {name}"));
            lab.scribble(&name, format, size, random.next(), 4);
        }
        made.push(Made { name, format, parent });
    }
    made
}

fn one(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        random.next();
    }
    let lab = Lab::new();
    let made = herd(&lab, &mut random);
    let tops: Vec<&Made> = made.iter().filter(|m| m.parent.is_some()).collect();
    for _ in 0..3 {
        let top = tops[random.below(tops.len() as u64) as usize];
        if !lab.path(&top.name).exists() {
            continue;
        }
        let option = ["", "", "--remove", "--keep"][random.below(4) as usize];
        attempt(&lab, seed, top, option);
    }
}

fn attempt(lab: &Lab, seed: u64, top: &Made, option: &str) {
    let (mut before, files) = (lab.views(), lab.files());
    for (view, bytes) in before.iter_mut().filter(|(view, _)| view.contains('@')) {
        // QEMU reads a snapshot with the size that its image has now, not with its own.
        let own = lab.cat(view);
        assert_same(&format!("seed {seed}: {view}"), &own, &bytes[..own.len()]);
        *bytes = own;
    }
    let info = lab.img_json(&format!("info --output=json {}", top.name));
    let base = info["full-backing-filename"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    // QED does not record formats other than raw.
    let line = format!("commit {} --yes --accept backing-format --accept no-undo {option}", top.name);
    let answer = lab.run(&line);
    let what = format!("seed {seed}: {line} into {base}");
    if answer.code != 0 {
        assert_eq!(answer.code, 13, "{what}: {}", answer.err);
        assert!(files == lab.files(), "{what}: refused, and yet something changed: {}", answer.err);
        return;
    }
    lab.assert_clean();
    let after = lab.views();
    verify(&what, &before, &after, &top.name, &base);
    for view in before.keys().filter(|v| after.contains_key(*v)) {
        let expected = if *view == base { &after[view] } else { &before[view] };
        assert_same(&format!("{what}: {view}, read by cowherd"), &lab.cat(view), expected);
    }
}

fn verify(what: &str, before: &Views, after: &Views, top: &str, base: &str) {
    let (old, new, wanted) = (&before[base], &after[base], &before[top]);
    let what_base = format!("{what}: the base");
    assert_same(&what_base, &new[..wanted.len()], wanted);
    assert_same(&what_base, &new[wanted.len()..], old.get(wanted.len()..).unwrap_or(&[]));
    for (view, bytes) in before {
        let of_top = view == top || view.starts_with(&format!("{top}@"));
        if view == base || (of_top && !after.contains_key(top)) {
            continue;
        }
        let now = after.get(view).unwrap_or_else(|| panic!("{what}: {view} is gone"));
        let now = if view.contains('@') { &now[..bytes.len()] } else { now };
        assert_same(&format!("{what}: {view}"), now, bytes);
    }
}
