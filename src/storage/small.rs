//! Whole small files that are not images, such as what other programs keep about them. Whoever owns the
//! folder may have put anything there under the expected name.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::{Error, Result};

/// The content of the regular file at `path`, which is no link and has at most `most` bytes.
///
/// Never blocks on a FIFO and takes no more memory than `most`, even of a file that grows meanwhile.
pub fn read_small(path: &Path, most: u64) -> Result<Vec<u8>> {
    let flags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::NOFOLLOW);
    let fail = |e| Error::io("cannot read", e).at(path);
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits() as i32);
    let file = options.open(path).map_err(fail)?;
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(Error::unsupported("not a regular file").at(path));
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
    match bytes.len() as u64 <= most {
        true => Ok(bytes),
        false => Err(Error::unsupported(format!("larger than {most} bytes")).at(path)),
    }
}
