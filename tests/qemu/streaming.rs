//! Streams for `rbd import-diff`, read by a decoder written from the description of the format.

use crate::lab::{Lab, assert_same};
use crate::{Case, case};

const MIB: u64 = 1 << 20;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("stream::snapshots_one_after_the_other", one_after_the_other),
        case("stream::what_reads_through_again_is_written", reads_through_again),
        case("stream::views_that_are_no_relation", no_relation),
        case("stream::to_standard_output", to_standard_output),
        case("stream::options_that_do_not_fit", refused),
    ]
}

/// What a stream says.
#[derive(Debug, Default)]
struct Stream {
    from: Option<String>,
    to: Option<String>,
    size: u64,
    /// Guest offset, length, and the bytes unless they are zeros.
    ranges: Vec<(u64, u64, Option<Vec<u8>>)>,
}

/// Reads a stream of version 1: a line, then one record after the other, a letter each.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn name(&mut self) -> String {
        let len = u32::from_le_bytes(self.take(4).try_into().unwrap());
        String::from_utf8(self.take(len as usize).to_vec()).unwrap()
    }
}

fn decode(bytes: &[u8]) -> Stream {
    let mut reader = Reader(bytes);
    assert_eq!(reader.take(12), b"rbd diff v1\n");
    let mut stream = Stream::default();
    loop {
        match reader.take(1)[0] {
            b'f' => stream.from = Some(reader.name()),
            b't' => stream.to = Some(reader.name()),
            b's' => stream.size = reader.number(),
            b'w' => {
                let (at, len) = (reader.number(), reader.number());
                stream.ranges.push((at, len, Some(reader.take(len as usize).to_vec())));
            }
            b'z' => {
                let (at, len) = (reader.number(), reader.number());
                stream.ranges.push((at, len, None));
            }
            b'e' => break,
            other => panic!("record {other}"),
        }
    }
    assert!(reader.0.is_empty(), "{} bytes behind the end", reader.0.len());
    assert!(stream.ranges.iter().all(|(_, len, data)| *len > 0 && (data.is_none() || *len <= 4 * MIB)));
    stream
}

impl Stream {
    /// What an image shows after this was imported into it.
    fn import(&self, image: &mut Vec<u8>) {
        image.resize(self.size as usize, 0);
        for (at, len, data) in &self.ranges {
            let place = &mut image[*at as usize..(at + len) as usize];
            match data {
                Some(data) => place.copy_from_slice(data),
                None => place.fill(0),
            }
        }
    }

    fn data(&self) -> u64 {
        self.ranges.iter().filter(|(.., data)| data.is_some()).map(|(_, len, _)| len).sum()
    }
}

/// Exports by a plan, whose cost must be what was written.
fn stream(lab: &Lab, args: &[&str]) -> Stream {
    let file = lab.outside().join("stream");
    let args = [&["export", "-O", "rbd-diff", "--out", file.to_str().unwrap(), "--yes"], args].concat();
    let cost = lab.cowherd(&[&args[..], &["--dry-run", "--json"]].concat()).expect(0).json()["cost"].clone();
    lab.cowherd(&args).expect(0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let planned = cost["write_bytes"].as_u64().unwrap();
    assert!(planned >= bytes.len() as u64);
    assert!(cost["exact"] == false || planned == bytes.len() as u64, "{cost} for {}", bytes.len());
    decode(&bytes)
}

fn one_after_the_other() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 base.qcow2 6M");
    lab.scribble("base.qcow2", "qcow2", 6 * MIB, 1, 30);
    lab.img("create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2 9M");
    for (i, name) in ["sn0", "sn1", "sn2"].iter().enumerate() {
        lab.scribble("a.qcow2", "qcow2", 9 * MIB, 2 + i as u64, 12);
        lab.img(&format!("snapshot -c {name} a.qcow2"));
    }
    lab.img("resize -q --shrink a.qcow2 5M");
    lab.scribble("a.qcow2", "qcow2", 5 * MIB, 9, 8);

    let full = stream(&lab, &["a.qcow2@sn0"]);
    assert_eq!((full.from.as_deref(), full.to.as_deref()), (None, Some("sn0")));
    let mut image = Vec::new();
    full.import(&mut image);
    assert_same("sn0", &image, &lab.cat("a.qcow2@sn0"));
    for (since, name) in [("sn0", Some("sn1")), ("sn1", Some("sn2")), ("sn2", None)] {
        let view = name.map_or("a.qcow2".to_owned(), |name| format!("a.qcow2@{name}"));
        let delta = stream(&lab, &[&view, "--since", &format!("a.qcow2@{since}")]);
        assert_eq!((delta.from.as_deref(), delta.to.as_deref()), (Some(since), name));
        assert!(delta.data() < full.data(), "{view}: {} of {}", delta.data(), full.data());
        delta.import(&mut image);
        assert_same(&view, &image, &lab.cat(&view));
    }
}

/// A cluster that a snapshot holds and the active state leaves to the backing file again.
fn reads_through_again() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 base.qcow2 4M");
    lab.io("base.qcow2", "qcow2", &["write -q -P 1 0 1M".into()]);
    // Version 2 has no zeros over a backing file: what is discarded shows that again.
    lab.img("create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2");
    lab.img("snapshot -c sn0 a.qcow2");
    lab.io("a.qcow2", "qcow2", &["write -q -P 2 0 2M".into()]);
    lab.img("snapshot -c sn1 a.qcow2");
    lab.img("snapshot -a sn0 a.qcow2");
    let delta = stream(&lab, &["a.qcow2", "--since", "a.qcow2@sn1"]);
    let mut image = lab.cat("a.qcow2@sn1");
    delta.import(&mut image);
    assert_same("a.qcow2", &image, &lab.cat("a.qcow2"));
    assert_eq!(delta.data(), MIB);
    let zeros: u64 = delta.ranges.iter().filter(|(.., data)| data.is_none()).map(|(_, len, _)| len).sum();
    assert_eq!(zeros, MIB);
}

fn no_relation() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 4M");
    lab.scribble("a.qcow2", "qcow2", 4 * MIB, 1, 30);
    lab.img("convert -O raw a.qcow2 b.raw");
    lab.io("b.raw", "raw", &["write -q -P 5 1M 64k".into(), "write -q -z 3M 64k".into()]);
    let delta = stream(&lab, &["b.raw", "--since", "a.qcow2", "--from-snap", "one", "--to-snap", "two"]);
    assert_eq!((delta.from.as_deref(), delta.to.as_deref()), (Some("one"), Some("two")));
    let mut image = lab.cat("a.qcow2");
    delta.import(&mut image);
    assert_same("b.raw", &image, &lab.cat("b.raw"));
    assert!(delta.data() <= 2 * 65536, "{} bytes of data", delta.data());
}

fn to_standard_output() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 9M");
    lab.io("a.qcow2", "qcow2", &["write -q -P 3 1M 7M".into()]);
    let out = lab.cowherd(&["export", "a.qcow2", "-O", "rbd-diff", "--out", "-"]).expect(0).out;
    let mut image = Vec::new();
    decode(&out).import(&mut image);
    assert_same("a.qcow2", &image, &lab.cat("a.qcow2"));
    let dry = lab.cowherd(&["export", "a.qcow2", "-O", "rbd-diff", "--out", "-", "--dry-run"]).expect(0);
    assert!(dry.text().contains(&format!("{} bytes", out.len())), "{}", dry.text());
    assert!(!lab.path("-").exists());
}

fn refused() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 1M");
    let export = ["export", "a.qcow2", "--yes", "--out", "x"];
    for more in [
        &["-O", "rbd-diff", "--chain"][..],
        &["-O", "rbd-diff", "-c"],
        &["-O", "rbd-diff", "-o", "cluster_size=4k"],
        // The active state has no name that the target could know it by.
        &["-O", "rbd-diff", "--since", "a.qcow2"],
        &["--to-snap", "x"],
        &["--since", "a.qcow2"],
    ] {
        lab.cowherd(&[&export[..], more].concat()).expect(2);
        assert!(!lab.path("x").exists(), "{more:?}");
    }
}
