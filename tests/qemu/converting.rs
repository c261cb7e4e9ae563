//! Conversions in place, judged by QEMU: the image checks clean, without a leak, and it and everything based on
//! it read as copies made before do.
//!
//! `COWHERD_CASES=N` runs N random conversions instead of the short run, from the seed in `COWHERD_SEED` (1 by
//! default); `COWHERD_SEED=S` alone repeats that one. A failure prints its seed.

use serde_json::Value;

use crate::lab::{Lab, Random, assert_same};
use crate::{Case, case};

/// Conversions of a run that nobody asked to be longer.
const SHORT: u64 = 60;

pub(crate) fn cases() -> Vec<Case> {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let (first, count) = match (number("COWHERD_SEED"), number("COWHERD_CASES")) {
        (Some(seed), None) => (seed, 1),
        (seed, count) => (seed.unwrap_or(1), count.unwrap_or(SHORT)),
    };
    let random = (first..first + count)
        .map(|seed| case(format!("converting::seed_{seed}"), move || Trial::new(seed).run()));
    let named: [(&str, fn()); 8] = [
        ("what_cannot_be_kept_is_named", what_cannot_be_kept_is_named),
        ("children_follow", children_follow),
        ("a_raw_size_is_rounded_up", a_raw_size_is_rounded_up),
        ("a_full_disk", a_full_disk),
        ("a_short_file", a_short_file),
        ("a_busy_image", a_busy_image),
        ("a_large_raw_image_costs_metadata_only", a_large_raw_image_costs_metadata_only),
        ("there_and_back", there_and_back),
    ];
    random.chain(named.map(|(name, test)| case(format!("converting::{name}"), test))).collect()
}

struct Trial {
    lab: Lab,
    random: Random,
    seed: u64,
    said: String,
}

impl Drop for Trial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("COWHERD_SEED={}: {}", self.seed, self.said);
        }
    }
}

impl Trial {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        Self { lab: Lab::new(), random, seed, said: String::new() }
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.random.below(from.len() as u64) as usize]
    }

    fn run(mut self) {
        let from = self.pick(&["qcow2", "qcow2", "qed", "raw"]);
        let to = match from {
            "qcow2" => self.pick(&["qcow2", "qcow2", "qed", "qed", "raw"]),
            "qed" => self.pick(&["qcow2", "qcow2", "raw"]),
            _ => self.pick(&["qcow2", "qed"]),
        };
        let size = (1 + self.random.below(9000)) * 512;
        let backed = from != "raw" && to != "raw" && self.random.below(2) == 0;
        let mut options = String::new();
        if backed {
            let format = self.pick(&["raw", "qcow2", "qed"]);
            let size = size / 2 + self.random.below(size / 512) * 512;
            self.lab.img(&format!("create -q -f {format} base {}", size & !511));
            self.lab.scribble("base", format, size.max(512) & !511, self.random.next(), 6);
            options = format!("-b base -F {format}");
        }
        let made = self.source_options(from, to, backed);
        self.lab.img(&format!("create -q -f {from} {made} {options} it {size}"));
        self.said = format!("{from} ({made} {options}) of {size} bytes to {to}");
        let count = 4 + self.random.below(20) as usize;
        self.lab.scribble("it", from, size, self.random.next(), count);
        if from == "qcow2" && to == "qcow2" && self.random.below(2) == 0 && !made.contains("refcount_bits=1,")
        {
            self.lab.img("snapshot -c one it");
            self.lab.scribble("it", from, size, self.random.next(), 5);
        }
        if self.random.below(2) == 0 {
            let child = self.pick(&["qcow2", "qed"]);
            let longer = size + self.random.below(3000) * 512;
            self.lab.img(&format!("create -q -f {child} -b it -F {from} over {longer}"));
            self.lab.scribble("over", child, longer, self.random.next(), 6);
        }
        let wish = self.wish(to);
        self.said = format!("{} {wish}", self.said);
        let before = self.lab.views();
        let line = format!("convert it -f {from} --to {to} --in-place {wish}");
        let plan = self.lab.run(&format!("{line} --dry-run --json"));
        // What it is already, what no version 2 has, and tables that map more than QEMU can count: nothing is done.
        let no_such = [
            "already",
            "version 2 has",
            "too large for QEMU with clusters of 2097152 bytes and tables of 16",
        ];
        if plan.code == 2 && no_such.iter().any(|why| plan.err.contains(why)) {
            return;
        }
        let plan = plan.expect(0).json();
        let unchanged = self.lab.files();
        let done = self.lab.run(&format!("{line} --yes --json"));
        if done.code == 13 {
            // Refused by name, and nothing was touched.
            assert!(plan["hazards"].as_array().unwrap().iter().any(|h| h["kind"] == "unsupported"));
            assert_eq!(unchanged, self.lab.files());
            return;
        }
        self.judge(&plan, &done.expect(0).json(), &before, to);
    }

    fn judge(&self, plan: &Value, report: &Value, before: &crate::lab::Views, to: &str) {
        self.lab.assert_clean();
        let after = self.lab.views();
        let names: Vec<_> = before.keys().collect();
        assert_eq!(names, after.keys().collect::<Vec<_>>());
        before.iter().for_each(|(view, bytes)| assert_same(view, &after[view], bytes));
        let info = self.lab.img_json("info --output=json it");
        assert_eq!(info["format"], to);
        let (planned, written) = (&plan["cost"]["write_bytes"], &report["written_bytes"]);
        match plan["cost"]["exact"] == true {
            true => assert_eq!(planned, written, "bytes written"),
            false => assert!(written.as_u64() <= planned.as_u64(), "{written} written, {planned} planned"),
        }
        // Guests go on with it.
        if to != "raw" {
            let size = info["virtual-size"].as_u64().unwrap();
            self.lab.scribble("it", to, size, 7, 8);
            self.lab.assert_clean();
        }
    }

    fn source_options(&mut self, from: &str, to: &str, backed: bool) -> String {
        match from {
            "qcow2" => {
                let v2 = self.random.below(4) == 0;
                let cluster = match to {
                    "qed" => self.pick(&["4k", "4k", "16k", "64k", "64k", "2M"]),
                    _ => self.pick(&["512", "1k", "4k", "64k", "2M"]),
                };
                if v2 {
                    return format!("-o compat=0.10,cluster_size={cluster}");
                }
                if self.random.below(4) == 0 {
                    let cluster = self.pick(&["16k", "128k", "256k"]);
                    return format!("-o extended_l2=on,cluster_size={cluster}");
                }
                let bits = self.pick(&["1", "2", "16", "16", "64"]);
                let ahead = self.pick(&["", "", ",preallocation=metadata,lazy_refcounts=on"]);
                let ahead = if bits == "16" && !backed { ahead } else { "" };
                format!("-o refcount_bits={bits},cluster_size={cluster}{ahead}")
            }
            "qed" => {
                let (cluster, table) = (self.pick(&["4k", "64k", "1M", "4M"]), self.pick(&["2", "4", "16"]));
                // Larger tables of such clusters map more than QEMU can count.
                let table = if cluster == "4M" { "2" } else { table };
                format!("-o cluster_size={cluster},table_size={table}")
            }
            _ => String::new(),
        }
    }

    fn wish(&mut self, to: &str) -> String {
        match to {
            "qcow2" => self.pick(&[
                "",
                "-o compat=0.10",
                "-o compat=1.1",
                "-o refcount_bits=64",
                "-o refcount_bits=8",
                "-o compat=1.1,refcount_bits=32",
                "-o refcount_bits=16",
            ]),
            "qed" => self.pick(&["", "", "-o table_size=16"]),
            _ => "",
        }
        .to_owned()
    }
}

fn what_cannot_be_kept_is_named() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 it 1M");
    lab.scribble("it", "qcow2", 1 << 20, 3, 6);
    lab.img("snapshot -c before-upgrade it");
    lab.img("bitmap --add it nightly");
    let before = lab.files();
    for to in ["qed", "raw"] {
        let done = lab.run(&format!("convert it --to {to} --in-place --yes")).expect(13);
        for said in ["before-upgrade", "nightly", "export", "snapshot delete", "bitmap --remove"] {
            assert!((done.text() + &done.err).contains(said), "{said}: {} {}", done.text(), done.err);
        }
        assert_eq!(before, lab.files());
    }
    lab.img("create -q -f qcow2 -b it -F qcow2 over");
    let done = lab.run("convert over --to raw --in-place --yes").expect(13);
    assert!(done.err.contains("cowherd pull"), "{}", done.err);
    lab.img("convert -q -c -O qcow2 it packed");
    let done = lab.run("convert packed --to qed --in-place --yes").expect(13);
    assert!(done.err.contains("compressed"), "{}", done.err);
    lab.run("convert it --to qed --in-place -o compat=1.1 --yes").expect(2);
    lab.run("convert it --to qcow2 --yes").expect(2);
}

fn children_follow() {
    let lab = Lab::new();
    lab.img("create -q -f raw it 3M");
    lab.scribble("it", "raw", 3 << 20, 5, 8);
    lab.img("create -q -f qcow2 -b it -F raw longer 4M");
    lab.img("create -q -f qcow2 -o compat=0.10 -b it -F raw old 2M");
    lab.img("create -q -f qed -b it -F raw also 3M");
    lab.img("create -q -f qcow2 -b longer -F qcow2 grandchild");
    for (name, format, size) in
        [("longer", "qcow2", 4 << 20), ("old", "qcow2", 2 << 20), ("also", "qed", 3 << 20)]
    {
        lab.scribble(name, format, size, 9, 3);
    }
    let before = lab.views();
    for to in ["qcow2", "qed", "raw", "qed", "qcow2", "raw"] {
        lab.run(&format!("convert it --to {to} --in-place --yes")).expect(0);
        let after = lab.views();
        before.iter().for_each(|(view, bytes)| assert_same(&format!("{view} on {to}"), &after[view], bytes));
        lab.assert_clean();
        let info = lab.img_json("info --output=json longer");
        assert_eq!(info["backing-filename-format"], to);
        assert_eq!(info["backing-filename"], "it");
    }
}

fn a_raw_size_is_rounded_up() {
    let lab = Lab::new();
    std::fs::write(lab.path("it.img"), vec![7; 70_001]).unwrap();
    let plan = lab.run("convert it.img --to qcow2 --in-place --dry-run").expect(0);
    assert!(plan.text().contains("no multiple of 512"), "{}", plan.text());
    lab.run("convert it.img --to qcow2 --in-place --yes").expect(0);
    let mut expected = vec![7; 70_001];
    expected.resize(70_144, 0);
    assert_same("the disk", &lab.bytes("it.img", None), &expected);
    lab.assert_clean();
}

/// No room is said before anything is touched.
fn a_full_disk() {
    let lab = Lab::new();
    lab.img("create -q -f raw it 64M");
    lab.scribble("it", "raw", 64 << 20, 5, 8);
    let before = lab.files();
    // No process of ours can write a file longer than that.
    let mut command = std::process::Command::new("prlimit");
    command.arg(format!("--fsize={}", 64 << 20)).arg(env!("CARGO_BIN_EXE_cowherd"));
    command.args(["convert", "it", "--to", "qcow2", "--in-place", "--yes"]).current_dir(lab.dir());
    let done = command.output().unwrap();
    assert!(!done.status.success());
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("cowherd: "), "{said}");
    assert_eq!(before, lab.files(), "{said}");
}

fn a_short_file() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 it 4M");
    lab.scribble("it", "qcow2", 4 << 20, 5, 8);
    let whole = std::fs::read(lab.path("it")).unwrap();
    for len in [0, 30, 500, 70_000, whole.len() / 2] {
        std::fs::write(lab.path("it"), &whole[..len]).unwrap();
        for to in ["qed", "raw"] {
            let done = lab.run(&format!("convert it -f qcow2 --to {to} --in-place --yes"));
            assert!(![0, 101].contains(&done.code), "{len} bytes to {to}: {}", done.err);
            assert_eq!(std::fs::read(lab.path("it")).unwrap(), whole[..len], "{len} bytes to {to}");
        }
    }
}

fn a_busy_image() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 it 4M");
    let before = lab.files();
    let mut holder = std::process::Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", "sleep 20000", "it"])
        .current_dir(lab.dir())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let busy = || lab.run("convert it --to qed --in-place --yes").code == 11;
    let seen = (0..200).any(|_| {
        busy() || {
            std::thread::yield_now();
            lab.names().is_empty()
        }
    });
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(seen, "nobody noticed that the image is in use");
    assert_eq!(before, lab.files());
}

fn a_large_raw_image_costs_metadata_only() {
    let lab = Lab::new();
    // Of any QED with a cluster at 4 GiB, of its own too, QEMU says that one leaks.
    for (to, size) in [("qcow2", 100), ("qed", 3)] {
        lab.img(&format!("create -q -f raw it {size}G"));
        lab.io("it", "raw", &["write -q -P 1 0 1M".to_owned(), format!("write -q -P 2 {}G 1M", size / 2)]);
        lab.tool("cp", &["--sparse=always", "it", to]);
        let report = lab.run(&format!("convert {to} --to {to} --in-place --yes --json")).expect(0).json();
        let written = report["written_bytes"].as_u64().unwrap();
        assert!(written < 16 << 20, "{to}: {written} bytes written");
        lab.img(&format!("check -q {to}"));
        lab.img(&format!("compare -q -f raw -F {to} it {to}"));
    }
}

/// What a file was is there again, byte for byte in all that a guest reads.
fn there_and_back() {
    let lab = Lab::new();
    lab.img("create -q -f qed it 8M");
    lab.scribble("it", "qed", 8 << 20, 11, 20);
    let before = lab.bytes("it", None);
    for to in ["qcow2", "raw", "qcow2", "qed", "raw", "qed", "qcow2", "qed"] {
        lab.run(&format!("convert it --to {to} --in-place --yes")).expect(0);
        assert_same(to, &lab.bytes("it", None), &before);
        lab.assert_clean();
    }
}
