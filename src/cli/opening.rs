//! Opening what the user named: gates, formats and locks.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Allow, Reading};
use super::out::Out;
use crate::chain::{Chain, Gate, Opener, View, ViewSpec, reading_needs_locks};
use crate::error::{Error, Kind, Result};
use crate::forest::{self, Forest, Node, ScanOptions};
use crate::image::{self, Format, Image};
use crate::job;
use crate::storage::{Access, File, Lock, RealFile};
use crate::text::Shown;

/// A gate for these paths and what the user allowed beyond.
pub(super) fn gate<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, allow: &Allow) -> Gate {
    let mut gate = Gate::for_paths(paths);
    allow.allow.iter().for_each(|path| gate.allow(path));
    gate
}

/// The view a user wrote, through its whole chain, under read locks.
pub(super) fn view(text: &OsStr, reading: &Reading, allow: &Allow, out: &Out) -> Result<View> {
    let spec = ViewSpec::parse(text);
    let view = opener(&spec.path, reading, allow).open_view(&spec)?;
    told(&view, out);
    Ok(view)
}

fn told(view: &View, out: &Out) {
    for layer in view.layers() {
        out.note(opened(&layer.path, layer.image.format(), layer.is_locked()));
        layer.data.iter().for_each(|data| out.note(format!("opened {}: its data", Shown::path(data))));
    }
}

pub(super) fn opened(path: &Path, format: Format, locked: bool) -> String {
    let lock = if locked { "under a read lock" } else { "without a lock" };
    format!("opened {} as {format}, {lock}", Shown::path(path))
}

fn opener(path: &Path, reading: &Reading, allow: &Allow) -> Opener {
    let gate = gate([path], allow);
    Opener { gate, format: reading.format, force_share: reading.force_share, ..Opener::default() }
}

/// The view a user wrote, of this one image without its backing files.
pub(super) fn layer_view(text: &OsStr, reading: &Reading, allow: &Allow, out: &Out) -> Result<View> {
    let spec = ViewSpec::parse(text);
    let layer = opener(&spec.path, reading, allow).layer(&spec.path, reading.format)?;
    let chain = Chain::from_layers(vec![layer]);
    let state = chain.find_state(&spec.state)?;
    let view = chain.view(state);
    told(&view, out);
    Ok(view)
}

/// This one file, under a read lock unless the user waived it.
pub(super) fn locked(path: &Path, reading: &Reading, out: &Out) -> Result<(Arc<dyn Image>, Option<Lock>)> {
    let file: Arc<dyn File> = Arc::new(RealFile::open(path, false)?);
    let lock = match reading.force_share {
        true => None,
        false => Some(Lock::acquire(file.clone(), Access::Read).map_err(reading_needs_locks)?),
    };
    let image = image::open(file, reading.format)?;
    out.note(opened(path, image.format(), lock.is_some()));
    Ok((image, lock))
}

/// This one file without a lock: only for what its header says.
pub(super) fn header(path: &Path, format: Option<Format>, out: &Out) -> Result<Arc<dyn Image>> {
    let image = image::open(Arc::new(RealFile::open(path, false)?), format)?;
    out.note(opened(path, image.format(), false));
    Ok(image)
}

/// What a plan for `image` needs: its absolute path, the gate, and the forest of everything that may
/// read through it: all in its folder, and in whatever the user allowed.
///
/// A format that the user gave and the forest does not agree to is refused: what is to be read as raw
/// must never be taken for what a guest wrote into it.
pub(super) fn herd(image: &Path, format: Option<Format>, allow: &Allow) -> Result<(PathBuf, Gate, Forest)> {
    herd_with(image, None, format, allow)
}

/// The same, when `other` is named as well: that is an image too, however it looks.
pub(super) fn herd_with(
    image: &Path,
    other: Option<&Path>,
    format: Option<Format>,
    allow: &Allow,
) -> Result<(PathBuf, Gate, Forest)> {
    // What an interrupted job moved away is not found, which is not what there is to say about it.
    let named = std::path::absolute(image).unwrap_or_else(|_| image.to_path_buf());
    let found = forest::absolute(image);
    job::none_in_the_way([found.as_deref().unwrap_or(&named)])?;
    let image = found?;
    let gate = gate([&image], allow);
    let mut paths = vec![image.parent().unwrap_or(Path::new("/")).to_path_buf()];
    paths.extend(allow.allow.iter().cloned());
    if let Some(other) = other.map(forest::absolute).transpose()?
        && gate.admit(&other).is_ok()
    {
        paths.push(other);
    }
    let options = ScanOptions { gate: gate.clone(), space: false, domain_folders: forest::domain_folders() };
    let mut forest = forest::scan(&paths, &options)?;
    let names_it = |node: &&Node| node.data_file.as_ref().and_then(|d| d.resolved.as_ref()) == Some(&image);
    if let (None, Some(owner)) = (forest.find(&image), forest.nodes.iter().find(names_it)) {
        let what = format!("is the data file of {}", Shown::path(&owner.path));
        return Err(Error::new(Kind::Usage, what).at(&image).remedy("name that image instead"));
    }
    if forest.find(&image).is_none() {
        // A folder shows what looks like an image; what was named is one however it looks.
        paths.push(image.clone());
        forest = forest::scan(&paths, &options)?;
    }
    let seen = forest.find(&image).and_then(|id| forest.get(id)?.format);
    if let (Some(wanted), Some(seen)) = (format, seen)
        && wanted != seen
    {
        let what = format!("is {seen} by its first bytes, and {wanted} was asked for");
        return Err(Error::unsupported(what).at(&image));
    }
    Ok((image, gate, forest))
}

/// The forest of these paths, or of the current folder.
pub(super) fn forest(paths: &[PathBuf], allow: &Allow, space: bool, out: &Out) -> Result<Forest> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here[..] } else { paths };
    for path in paths {
        std::fs::metadata(path).map_err(|e| Error::io("cannot find", e).at(path))?;
    }
    let domain_folders = forest::domain_folders();
    let forest = forest::scan(paths, &ScanOptions { gate: gate(paths, allow), space, domain_folders })?;
    let roots: Vec<_> = forest.roots.iter().map(|root| Shown::path(root).into_string()).collect();
    out.note(format!("looked through {}: {} images", roots.join(", "), forest.nodes.len()));
    Ok(forest)
}
