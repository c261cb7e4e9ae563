//! Images in memory, the model they are held against, and what a power cut leaves.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use crate::common::Random;
use cowherd::chain::{Chain, Layer};
use cowherd::image::qed::{self, CreateOptions};
use cowherd::image::{self, BackingRef, CheckReport, Format, State, Target, Written};
use cowherd::storage::{Event, File, MemFile, apply_event};
use cowherd::units::{Guest, align_up};

pub(crate) fn memory(bytes: Vec<u8>) -> Arc<dyn File> {
    Arc::new(MemFile::new("mem", bytes))
}

pub(crate) fn created(cluster_size: u64, table_size: u32, size: u64, backed: bool) -> Arc<dyn File> {
    let file = memory(Vec::new());
    let backing = backed.then(|| BackingRef { name: OsString::from("base"), format: None });
    qed::create(&*file, &CreateOptions { cluster_size, table_size, virtual_size: size, backing }).unwrap();
    file
}

/// What a guest reads from this image over a base of nothing but `below`.
pub(crate) fn read_all(file: &Arc<dyn File>, below: u8) -> Vec<u8> {
    let image = image::open(file.clone(), Some(Format::Qed)).unwrap();
    let size = image.virtual_size(State::Active);
    let mut layers = vec![Layer::new(PathBuf::from("mem"), image.clone())];
    if image.backing().is_some() {
        let base = image::open(memory(vec![below; size as usize]), Some(Format::Raw)).unwrap();
        layers.push(Layer::new(PathBuf::from("base"), base));
    }
    let view = Chain::from_layers(layers).view(State::Active);
    let mut out = vec![0xaa; size as usize];
    assert_eq!(view.read_at(Guest(0), &mut out).unwrap(), out.len());
    out
}

pub(crate) fn check(file: &Arc<dyn File>) -> CheckReport {
    image::open(file.clone(), Some(Format::Qed)).unwrap().check().unwrap()
}

pub(crate) fn assert_clean(file: &Arc<dyn File>, what: &str) {
    let report = check(file);
    assert_eq!((report.leaks, report.corruptions), (0, 0), "{what}: {:#?}", report.findings);
}

pub(crate) fn bytes(file: &Arc<dyn File>) -> Vec<u8> {
    let mut out = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut out).unwrap();
    out
}

pub(crate) fn write(target: &mut dyn Target, at: u64, bytes: &[u8]) {
    let mut done = 0;
    while done < bytes.len() {
        let (host, len) = target.allocate(Guest(at + done as u64), (bytes.len() - done) as u64).unwrap();
        let n = (len as usize).min(bytes.len() - done);
        if !target.is_dry() {
            target.file().write_at(host.0, &bytes[done..done + n]).unwrap();
        }
        target.map(Guest(at + done as u64), host, len).unwrap();
        done += n;
    }
}

/// One random change of the image and of the model; `dry` only counts, and leaves the model alone.
pub(crate) fn change(
    file: &Arc<dyn File>,
    model: &mut Vec<u8>,
    below: u8,
    random: &mut Random,
    dry: bool,
) -> Written {
    let model = if dry { &mut model.clone() } else { model };
    let mut target = image::write(file.clone(), Format::Qed, dry).unwrap();
    let backed = image::open(file.clone(), Some(Format::Qed)).unwrap().backing().is_some();
    let unit = target.unit();
    let mut at = random.below(9);
    if random.below(6) == 0 {
        // What the base shows in the rest of the last old cluster is the caller's to cover.
        let step = if backed { unit } else { 512 };
        let size = align_up(model.len() as u64 + random.below(64 * unit), step);
        target.grow(size).unwrap();
        model.resize(size as usize, if backed { below } else { 0 });
        at += size / unit;
    }
    let clusters = (model.len() as u64).div_ceil(unit);
    while at < clusters {
        let n = (1 + random.below(7)).min(clusters - at);
        let range = (at * unit) as usize..(((at + n) * unit) as usize).min(model.len());
        if random.below(4) == 0 {
            assert!(target.zero(Guest(at * unit), n * unit).unwrap());
            model[range].fill(0);
        } else {
            let mut bytes = vec![random.next() as u8 | 1; (n * unit) as usize];
            bytes[0] = random.next() as u8;
            // Behind the end of the disk there must be zeros, for the day it grows.
            bytes[range.len()..].fill(0);
            write(&mut *target, at * unit, &bytes);
            model[range.clone()].copy_from_slice(&bytes[..range.len()]);
        }
        at += n + random.below(9);
    }
    target.finish().unwrap()
}

/// Replays every prefix of `events` on `old`, whole and with the next write torn at a sector, and
/// calls `fine` on what is left.
pub(crate) fn power_cuts(old: &[u8], events: &[Event], fine: &dyn Fn(&Arc<dyn File>, &str)) {
    for cut in 0..=events.len() {
        for torn in [None, Some(0), Some(512), Some(4096)] {
            let crashed = memory(old.to_vec());
            events[..cut].iter().for_each(|e| apply_event(&*crashed, e).unwrap());
            if let (Some(keep), Some(Event::Write { offset, bytes, .. })) = (torn, events.get(cut)) {
                crashed.write_at(*offset, &bytes[..keep.min(bytes.len())]).unwrap();
            }
            fine(&crashed, &format!("cut after {cut} of {}, torn {torn:?}", events.len()));
        }
        // Of the writes that nothing has made durable yet, any one may be the only one missing.
        let open = events[..cut].iter().rposition(|e| matches!(e, Event::Sync { .. })).map_or(0, |i| i + 1);
        for lost in open..cut {
            let crashed = memory(old.to_vec());
            let kept = events[..cut].iter().enumerate().filter(|(i, _)| *i != lost);
            kept.for_each(|(_, e)| apply_event(&*crashed, e).unwrap());
            fine(&crashed, &format!("cut after {cut} of {}, without {lost}", events.len()));
        }
    }
}
