//! The stream of `rbd export-diff`, version 1 ("RBD Incremental Backup" in Ceph's developer documents): a
//! header, then records of one letter each; numbers are little endian.

use crate::chain::{Content, View};
use crate::error::{Error, Kind, Result};
use crate::units::Guest;

const HEADER: &[u8] = b"rbd diff v1\n";
/// Most data of one record: a whole one is read into memory by whoever imports it, and objects of an RBD image
/// are that large.
const MOST: u64 = 4 << 20;
/// Places of two views that are no relation are compared in pieces of this size.
const UNIT: u64 = 64 << 10;
/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// A view, or what it is and an older view is not, as a stream.
#[derive(Debug, Clone)]
pub struct RbdDiff<'a> {
    /// What is written.
    pub view: &'a View,
    /// What the target shows already; nothing for an image of zeros.
    pub since: Option<&'a View>,
    /// The snapshot of the target that the stream goes on.
    pub from_snap: Option<&'a str>,
    /// The snapshot that the target takes at the end.
    pub to_snap: Option<&'a str>,
}

/// A range of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// First guest byte.
    pub at: Guest,
    /// Bytes.
    pub len: u64,
    /// Zeros, without data.
    pub zero: bool,
}

impl RbdDiff<'_> {
    /// The ranges of the stream, in guest order.
    pub fn records(&self) -> Box<dyn Iterator<Item = Result<Record>> + '_> {
        let Some(since) = self.since else {
            // The target is zeros where nothing is written.
            let runs = self.view.extents(0, self.view.size());
            let data = runs.filter(|run| run.as_ref().map_or(true, |run| !run.reads_zero()));
            return Box::new(data.flat_map(|run| cut(run.map(|run| (run.start.0, run.end(), false)))));
        };
        let content = match self.view.is_related(since) {
            true => Content::Unread,
            false => Content::Compared,
        };
        let ranges = self.view.differs(Some(since), UNIT, content);
        Box::new(ranges.flat_map(|range| cut(range.map(|range| (range.start, range.end, range.zero)))))
    }

    /// Bytes that the stream will have; metadata alone is read where the views are related.
    pub fn size(&self) -> Result<u64> {
        let mut len = self.beginning()?.len() as u64 + 1;
        for record in self.records() {
            let record = record?;
            len += 17 + if record.zero { 0 } else { record.len };
        }
        Ok(len)
    }

    /// Gives the stream to `put`, part by part; when that fails, that is the end.
    ///
    /// Fails with [`Kind::Usage`] when a snapshot name is longer than a stream can say, with [`Kind::Changed`]
    /// when a snapshot was deleted while it was read.
    pub fn write<E: From<Error>>(
        &self,
        put: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        put(&self.beginning()?)?;
        let mut buf = vec![0; CHUNK];
        for record in self.records() {
            let Record { at, len, zero } = record?;
            let mut head = vec![if zero { b'z' } else { b'w' }];
            head.extend(at.0.to_le_bytes());
            head.extend(len.to_le_bytes());
            put(&head)?;
            let mut done = 0;
            while !zero && done < len {
                let part = &mut buf[..(len - done).min(CHUNK as u64) as usize];
                self.view.read_at(Guest(at.0 + done), part)?;
                put(part)?;
                done += part.len() as u64;
            }
        }
        self.view.still_there()?;
        self.since.map_or(Ok(()), View::still_there)?;
        put(b"e")
    }

    /// All that comes before the ranges.
    fn beginning(&self) -> Result<Vec<u8>> {
        let mut out = HEADER.to_vec();
        for (tag, name) in [(b'f', self.from_snap), (b't', self.to_snap)] {
            let Some(name) = name else { continue };
            let too_long = |_| Error::new(Kind::Usage, "a snapshot name of more than 4 GiB");
            out.push(tag);
            out.extend(u32::try_from(name.len()).map_err(too_long)?.to_le_bytes());
            out.extend(name.as_bytes());
        }
        out.push(b's');
        out.extend(self.view.size().to_le_bytes());
        Ok(out)
    }
}

/// A range in records that are not too long; cut where whoever imports it cuts.
fn cut(range: Result<(u64, u64, bool)>) -> Box<dyn Iterator<Item = Result<Record>>> {
    let (mut at, end, zero) = match range {
        Ok(range) => range,
        Err(e) => return Box::new(std::iter::once(Err(e))),
    };
    Box::new(std::iter::from_fn(move || {
        let to = match zero {
            true => end,
            false => end.min((at / MOST).saturating_add(1).saturating_mul(MOST)),
        };
        let record = Record { at: Guest(at), len: to - at, zero };
        (at < end).then(|| {
            at = to;
            Ok(record)
        })
    }))
}
