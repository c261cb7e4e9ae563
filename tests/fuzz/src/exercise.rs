//! Everything a reader does with an image, on bytes that may be anything: open it, map every state,
//! read some of it, check it, count its space. Whatever comes back must be consistent.

use std::sync::Arc;

use cowherd::chain::{Chain, Layer};
use cowherd::image::{self, CheckReport, Image, State};
use cowherd::storage::MemFile;

/// Runs looked at and bytes read per state: a few bytes of file can describe terabytes of zeros.
const RUNS: usize = 256;
const BYTES: u64 = 64 << 10;
const STATES: usize = 4;

/// Opens `bytes` and does all of it. `true` when they passed for an image.
pub fn exercise(bytes: Vec<u8>) -> bool {
    let file = Arc::new(MemFile::new("fuzzed", bytes));
    let Ok(image) = image::open(file, None) else { return false };
    describe(&*image);
    let chain = Chain::from_layers(vec![Layer::new("fuzzed".into(), image.clone())]);
    let snapshots = image.snapshots().len().min(STATES);
    for state in std::iter::once(State::Active).chain((0..snapshots).map(State::Snapshot)) {
        map_and_read(&chain, state);
    }
    if let Ok(report) = image.check() {
        assert!(report.findings.len() <= CheckReport::MAX_FINDINGS);
        assert!(report.findings.len() as u64 <= report.leaks + report.corruptions);
    }
    if let Ok(space) = image.space() {
        assert_eq!(space.snapshots.len(), image.snapshots().len());
    }
    true
}

fn describe(image: &dyn Image) {
    let details = image.details();
    assert!(image.cluster_size().is_power_of_two());
    let _ = (details.dirty(), details.corrupt(), details.encryption(), image.backing());
    if let Some(backing) = image.backing() {
        assert!(backing.name.len() < 1024);
    }
}

/// Walks the map from the start and from the middle; runs must follow one another without a gap.
fn map_and_read(chain: &Chain, state: State) {
    let view = chain.view(state);
    let mut left = BYTES;
    let mut buf = vec![0; 16 << 10];
    for start in [0, view.size() / 2, view.size().saturating_sub(1000)] {
        let mut at = start;
        for run in view.extents(start, view.size()).take(RUNS) {
            let Ok(run) = run else { break };
            assert!(run.start.0 == at && run.len > 0, "a gap at {at}: {run:?}");
            at = run.end();
            assert!(at <= view.size(), "beyond the end: {run:?}");
            let n = run.len.min(left).min(buf.len() as u64);
            left -= n;
            let _ = view.read_extent(&run, 0, &mut buf[..n as usize]);
        }
    }
}
