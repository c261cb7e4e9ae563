//! Runs of plain data in an L2 table, found without decoding every entry.

use super::entry::COPIED;
use super::header::Header;
use super::tables::L2;

/// Neighbours in guest and file that an L2 table maps as plain data, all with the same flag.
pub(super) struct DataRun {
    pub(super) host: u64,
    pub(super) clusters: u64,
    pub(super) copied: bool,
}

/// The run of data clusters that starts at entry `index`, no further than `most` of them; empty for
/// anything else.
pub(super) fn data_run(table: &L2, header: &Header, index: u64, most: u64) -> DataRun {
    let (first, bitmap) = table.raw(header, index);
    let host = first & !COPIED;
    let mut run = DataRun { host, clusters: 0, copied: first & COPIED != 0 };
    // Any other bit, or an offset inside a cluster, is for the careful way.
    if bitmap != 0
        || host == 0
        || host >> 56 != 0
        || !host.is_multiple_of(header.cluster_size())
        || header.extended_l2()
    {
        return run;
    }
    let step = header.cluster_size();
    let rest = table.words().get(index as usize..).unwrap_or_default();
    run.clusters = (0..most).zip(rest).take_while(|(i, word)| **word == first + i * step).count() as u64;
    run
}
