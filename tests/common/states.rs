//! Images of several states, each with a model of what it reads.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;

use cowherd::chain::{Chain, Layer};
use cowherd::image::qcow2::{self, CreateOptions, Writer};
use cowherd::image::{self, Format, Snapshot, State, Target};
use cowherd::storage::{File, MemFile};
use cowherd::units::Guest;

use crate::common::{Random, write_bytes};

/// What each state reads: the active one, then the snapshots.
pub(crate) type Models = Vec<Vec<u8>>;

pub(crate) fn state(index: usize) -> State {
    index.checked_sub(1).map_or(State::Active, State::Snapshot)
}

pub(crate) fn read_all(file: &Arc<dyn File>, count: usize) -> Models {
    let image = image::open(file.clone(), Some(Format::Qcow2)).unwrap();
    assert_eq!(image.snapshots().len() + 1, count);
    let chain = Chain::from_layers(vec![Layer::new(PathBuf::from("mem"), image)]);
    let read = |index| {
        let view = chain.view(state(index));
        let mut out = vec![0xaa; view.size() as usize];
        assert_eq!(view.read_at(Guest(0), &mut out).unwrap(), out.len());
        out
    };
    (0..count).map(read).collect()
}

pub(crate) fn assert_clean(file: &Arc<dyn File>, what: &str) {
    let report = image::open(file.clone(), Some(Format::Qcow2)).unwrap().check().unwrap();
    assert_eq!((report.leaks, report.corruptions), (0, 0), "{what}: {:#?}", report.findings);
}

pub(crate) fn snapshot(file: &Arc<dyn File>, models: &mut Models) {
    let mut writer = Writer::open(file.clone(), false).unwrap();
    let id = writer.next_snapshot_id();
    let shown = Snapshot {
        name: format!("sn{id}"),
        id,
        virtual_size: writer.size(),
        vm_state_size: 0,
        date_sec: 0,
        date_nsec: 0,
        vm_clock_nsec: 0,
        icount: None,
    };
    writer.snapshot(shown).unwrap();
    Box::new(writer).finish().unwrap();
    models.push(models[0].clone());
}

/// Writes, zeroes and packed clusters, each for some of the states, in guest order.
pub(crate) fn change(file: &Arc<dyn File>, models: &mut Models, random: &mut Random) {
    let mut writer = Writer::open(file.clone(), false).unwrap();
    let unit = writer.unit();
    let clusters = models[0].len() as u64 / unit;
    let mut at = random.below(4);
    while at < clusters {
        let n = (1 + random.below(5)).min(clusters - at);
        let most = writer.most_states().min(models.len());
        let mut chosen: Vec<usize> = (0..models.len()).filter(|_| random.below(2) == 0).collect();
        chosen.truncate(most);
        if chosen.is_empty() {
            chosen.push(random.below(models.len() as u64) as usize);
        }
        let states: Vec<State> = chosen.iter().map(|i| state(*i)).collect();
        writer.select(&states).unwrap();
        let range = (at * unit) as usize..((at + n) * unit) as usize;
        let mut bytes = vec![random.next() as u8 | 1; range.len()];
        if random.below(4) == 0 {
            bytes.fill(0);
            assert!(writer.zero(Guest(at * unit), n * unit).unwrap());
        } else {
            write_bytes(&mut writer, at * unit, &bytes);
        }
        chosen.iter().for_each(|i| models[*i][range.clone()].copy_from_slice(&bytes));
        at += n + random.below(6);
    }
    Box::new(writer).finish().unwrap();
}

pub(crate) fn created(random: &mut Random) -> (Arc<dyn File>, Models) {
    let bits = [2, 4, 8, 16, 16, 64][random.below(6) as usize];
    let version = if bits == 16 && random.below(2) == 0 { 2 } else { 3 };
    let extended_l2 = version == 3 && random.below(4) == 0;
    let cluster_size = if extended_l2 { 16384 } else { 512 << random.below(4) };
    // Several L2 tables where clusters are small.
    let size = 150 * cluster_size;
    let file: Arc<dyn File> = Arc::new(MemFile::new("mem", Vec::new()));
    let options = CreateOptions {
        version,
        cluster_size,
        refcount_bits: bits,
        extended_l2,
        virtual_size: size,
        ..CreateOptions::default()
    };
    qcow2::create(&*file, &options).unwrap();
    (file, vec![vec![0; size as usize]])
}
