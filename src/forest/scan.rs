//! Looking through folders, in parallel: each file is opened, asked and closed by one worker.

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ignore::{DirEntry, WalkBuilder, WalkState};

use super::domains::Domains;
use super::probe::{Found, Look, Why};
use super::{Forest, ScanOptions, absolute, edges};
use crate::error::{Error, Result};
use crate::storage::{FileId, Holder, is_ours};

/// Walkers beyond this only wait for one another.
const MAX_THREADS: usize = 8;

/// Looks through `paths` (images, or folders with everything below).
///
/// Follows no symlinks and opens regular files only; backing files are followed where the scanned
/// folders or the gate of `options` allow it. What is wrong with an image becomes a
/// [`Problem`](super::Problem) of its node.
///
/// Fails when one of `paths` does not exist or is a folder that cannot be read, and for a named path that is neither a folder, a
/// regular file nor a block device.
pub fn scan(paths: &[PathBuf], options: &ScanOptions) -> Result<Forest> {
    let mut gate = options.gate.clone();
    let (mut roots, mut folders, mut named) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        let real = absolute(path)?;
        let meta = std::fs::metadata(&real).map_err(|e| Error::io("cannot examine", e).at(&real))?;
        if meta.is_dir() {
            // Without this a folder of somebody else would pass for an empty one.
            std::fs::read_dir(&real).map_err(|e| Error::io("cannot read the folder", e).at(&real))?;
            gate.allow(&real);
            folders.push(real.clone());
        } else if meta.is_file() || meta.file_type().is_block_device() {
            gate.allow(real.parent().unwrap_or(&real));
            named.push(real.clone());
        } else {
            return Err(Error::unsupported("neither a folder, a regular file nor a block device").at(&real));
        }
        if !roots.contains(&real) {
            roots.push(real);
        }
    }
    let look = Look { gate, space: options.space };
    // Named files come first, so that they win over the same file met in a folder.
    let mut found: Vec<Found> = named.iter().filter_map(|path| look.at(path, Why::Named)).collect();
    found.extend(walk(&folders, &look));
    let mut found = edges::tie(found, &look);
    name_holders(&mut found);
    let domains = Domains::read(&options.domain_folders);
    name_domains(&mut found, &domains);
    let nodes = found.into_iter().map(|f| f.node).collect();
    Ok(Forest { roots, nodes, unread_domains: domains.unread() })
}

/// Every image in `folders`.
fn walk(folders: &[PathBuf], look: &Look) -> Vec<Found> {
    let Some((first, rest)) = folders.split_first() else { return Vec::new() };
    let mut builder = WalkBuilder::new(first);
    for folder in rest {
        builder.add(folder);
    }
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, MAX_THREADS));
    builder.standard_filters(false).follow_links(false).threads(threads);
    builder.filter_entry(|entry| !is_ours(entry.file_name()));
    let all = Mutex::new(Vec::new());
    builder.build_parallel().run(|| {
        let mut mine = Batch { found: Vec::new(), all: &all };
        Box::new(move |entry| {
            if let Some(found) = entry.ok().filter(is_regular).and_then(|e| look.at(e.path(), Why::Walked)) {
                mine.found.push(found);
            }
            WalkState::Continue
        })
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What one worker found, handed over when it ends.
struct Batch<'a> {
    found: Vec<Found>,
    all: &'a Mutex<Vec<Found>>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.found);
    }
}

fn is_regular(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|t| t.is_file())
}

/// Finds the processes behind the locks; looks through `/proc` only when there are any.
fn name_holders(found: &mut [Found]) {
    let held: Vec<FileId> = found.iter().filter_map(|f| f.node.in_use.as_ref().and(f.id)).collect();
    if held.is_empty() {
        return;
    }
    let holders = Holder::of_all(&held);
    for f in found {
        if let (Some(in_use), Some(id)) = (&mut f.node.in_use, f.id) {
            in_use.by = holders.get(&id).cloned();
        }
    }
}

/// Notes the domains that name an image or, which nobody should, its data file.
fn name_domains(found: &mut [Found], domains: &Domains) {
    for Found { node, id } in found {
        node.domains = domains.naming(&node.path, *id);
        if let Some(data) = node.data_file.as_ref().and_then(|data| data.resolved.as_deref()) {
            node.domains.extend(domains.naming_file(data));
        }
    }
}
