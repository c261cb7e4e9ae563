//! The ways to take a group of neighbours out of their chain, each rehearsed, and the cheapest that fits.

use std::path::{Path, PathBuf};

use super::drop_snapshots;
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node};
use crate::plan::sequence::Sequence;
use crate::plan::{
    CommitOptions, DeleteOptions, Hazard, HazardKind, RebaseOptions, commit, delete, pull, rebase,
};
use crate::text::{Shown, human_size};

/// Images of a group that others are tried to be merged into: the lowest, and the largest.
const MOST_TRIED: usize = 4;

/// Goes on from `so_far` by the cheapest way to take the images of `group` out, parents first.
///
/// Fails as the first way does when none can be gone.
pub(super) fn cheapest<'a>(so_far: Sequence<'a>, group: &[PathBuf]) -> Result<Sequence<'a>> {
    let before = so_far.cost().write_bytes;
    let mut ways = vec![Way { into: None, end: taken(&so_far, |way| pull_up(way, group)) }];
    // All at once moves least, but what is one layer's alone may fit its reader better by itself.
    let several = group.len() > 1;
    if several {
        ways.push(Way { into: None, end: taken(&so_far, |way| pull_up_each(way, group)) });
    }
    for (place, into) in worth_trying(so_far.forest(), group).into_iter().enumerate() {
        let end = taken(&so_far, |way| merge_into(way, group, &into, false));
        if several && place == 0 {
            let end = taken(&so_far, |way| merge_into(way, group, &into, true));
            ways.push(Way { into: Some(into.clone()), end });
        }
        ways.push(Way { into: Some(into), end });
    }
    let name = |way: &Way<'_>| match &way.into {
        None => "pulling what is read up".to_owned(),
        Some(image) => format!("merging down into {}", file_name(image)),
    };
    let (best, others) = best(ways)?;
    let cheapest_other = others
        .iter()
        .filter(|way| way.into != best.into)
        .filter_map(|way| Some((way, way.end.as_ref().ok()?.cost().write_bytes)));
    let other =
        cheapest_other.min_by_key(|(_, bytes)| *bytes).map(|(way, bytes)| (name(way), bytes - before));
    let chosen = name(&best);
    let mut sequence = best.end?;
    if let Some((other, bytes)) = other {
        let (group, bytes) = (names(group), human_size(bytes));
        let its = human_size(sequence.cost().write_bytes - before);
        let what = format!("{group}: {chosen} writes {its}; {other} would write {bytes}");
        sequence.hazard(Hazard::new(HazardKind::OtherWay, what));
    }
    Ok(sequence)
}

struct Way<'a> {
    /// The image that stays as the store of the others; nothing when all go.
    into: Option<PathBuf>,
    end: Result<Sequence<'a>>,
}

fn best(mut ways: Vec<Way<'_>>) -> Result<(Way<'_>, Vec<Way<'_>>)> {
    let rank = |way: &Way<'_>| match &way.end {
        Ok(end) => (!end.can_run(), end.cost().write_bytes, end.cost().read_bytes),
        Err(_) => (true, u64::MAX, u64::MAX),
    };
    let best = (0..ways.len()).min_by_key(|i| rank(&ways[*i]));
    let best = best.ok_or_else(|| Error::new(Kind::Internal, "no way to choose from"))?;
    let best = ways.swap_remove(best);
    Ok((best, ways))
}

fn taken<'a>(
    so_far: &Sequence<'a>,
    way: impl FnOnce(&mut Sequence<'a>) -> Result<()>,
) -> Result<Sequence<'a>> {
    let mut sequence = so_far.fork()?;
    way(&mut sequence)?;
    Ok(sequence)
}

/// The images of a group that others could be merged into: they have some of it on top of them.
fn worth_trying(forest: &Forest, group: &[PathBuf]) -> Vec<PathBuf> {
    let below_others = |path: &&PathBuf| next_up(forest, path, group).is_some();
    let mut tried: Vec<&PathBuf> = group.iter().filter(below_others).collect();
    let size = |path: &Path| node(forest, path).map_or(0, |node| node.disk_size);
    tried.sort_by_key(|path| std::cmp::Reverse((Some(*path) == group.first(), size(path))));
    tried.into_iter().take(MOST_TRIED).cloned().collect()
}

fn node<'f>(forest: &'f Forest, path: &Path) -> Option<&'f Node> {
    forest.find(path).and_then(|id| forest.get(id))
}

/// The child of `path` within the group that has most in and above it.
fn next_up(forest: &Forest, path: &Path, group: &[PathBuf]) -> Option<PathBuf> {
    let bytes = |node: &Node| {
        let above = forest.find(&node.path).map_or_else(Vec::new, |id| forest.descendants(id));
        let above = above.into_iter().filter_map(|id| forest.get(id)).filter(|n| group.contains(&n.path));
        node.disk_size + above.map(|node| node.disk_size).sum::<u64>()
    };
    let children = node(forest, path)?.children.iter().filter_map(|id| forest.get(*id));
    children
        .filter(|child| group.contains(&child.path))
        .max_by_key(|child| bytes(child))
        .map(|n| n.path.clone())
}

/// Those of `paths` that are still there, what is on top first.
fn top_first(forest: &Forest, paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<_> = paths.iter().filter_map(|path| forest.find(path)).collect();
    found.sort_by_key(|id| std::cmp::Reverse(forest.ancestors(*id).len()));
    found.into_iter().filter_map(|id| Some(forest.get(id)?.path.clone())).collect()
}

/// Method 2: whoever reads through the group gets what it reads there; all of the group goes to the trash.
fn pull_up(sequence: &mut Sequence<'_>, group: &[PathBuf]) -> Result<()> {
    let base = base_of(sequence.forest(), group.first())?;
    take_out(sequence, group, base.as_deref())
}

/// The same, one layer after the other from the top.
fn pull_up_each(sequence: &mut Sequence<'_>, group: &[PathBuf]) -> Result<()> {
    for image in top_first(sequence.forest(), group) {
        let base = base_of(sequence.forest(), Some(&image))?;
        take_out(sequence, std::slice::from_ref(&image), base.as_deref())?;
    }
    Ok(())
}

/// Method 1: what lies above `into` is merged down into it, and it gets what it reads of those below. It
/// stays, as what the readers of the group are based on. If `each` is said, one layer after
/// the other, branches too.
fn merge_into(sequence: &mut Sequence<'_>, group: &[PathBuf], into: &Path, each: bool) -> Result<()> {
    let forest = sequence.forest();
    let id = |path: &Path| forest.find(path);
    let on_top = |path: &Path, of: &Path| {
        id(path).zip(id(of)).is_some_and(|(path, of)| forest.ancestors(path).contains(&of))
    };
    let mut spine = vec![into.to_path_buf()];
    if each {
        // Branches too, each protected from the ones before it.
        spine.extend(group.iter().filter(|path| on_top(path, into)).cloned());
    }
    while let Some(next) = spine.last().filter(|_| !each).and_then(|last| next_up(forest, last, group)) {
        spine.push(next);
    }
    // Every other branch goes by itself, from the highest image of the spine that it is on.
    let mut branches: Vec<Vec<PathBuf>> = Vec::new();
    for member in spine.iter().rev() {
        let taken = |path: &PathBuf| branches.iter().flatten().any(|known| known == path);
        let branch =
            group.iter().filter(|path| on_top(path, member) && !spine.contains(path) && !taken(path));
        branches.push(branch.cloned().collect());
    }
    let above =
        |path: &&PathBuf| spine.contains(path) || branches.iter().flatten().any(|known| known == *path);
    let below: Vec<PathBuf> = group.iter().filter(|path| !above(path)).cloned().collect();
    for (branch, member) in branches.iter().zip(spine.iter().rev()) {
        take_out(sequence, branch, Some(member))?;
    }
    drop_snapshots(sequence, into, |_| true)?;
    if !below.is_empty() {
        let base = base_of(sequence.forest(), group.first())?;
        take_out(sequence, &below, base.as_deref())?;
    }
    for (place, member) in spine.iter().enumerate().skip(1) {
        let forest = sequence.forest();
        let is_last = place + 1 == spine.len();
        let has_others = node(forest, member).is_some_and(|node| node.children.len() > 1);
        // As many at once as have no other readers.
        if each || is_last || has_others {
            let (base, gate) = (Some(into.to_path_buf()), sequence.gate());
            let options = CommitOptions { base, remove: true, gate, ..CommitOptions::default() };
            sequence.then(|scene| commit(scene, member, &options))?;
        }
    }
    Ok(())
}

/// Bases every reader of `images` that is not one of them on `base`, or on nothing, and moves them to the trash.
fn take_out(sequence: &mut Sequence<'_>, images: &[PathBuf], base: Option<&Path>) -> Result<()> {
    let forest = sequence.forest();
    let mut readers = Vec::new();
    for image in images.iter().filter_map(|path| node(forest, path)) {
        let children = image.children.iter().filter_map(|id| forest.get(*id));
        readers
            .extend(children.filter(|child| !images.contains(&child.path)).map(|child| child.path.clone()));
    }
    for reader in readers {
        base_on(sequence, &reader, base)?;
    }
    for image in top_first(sequence.forest(), images) {
        trash(sequence, &image)?;
    }
    Ok(())
}

/// Bases every image that is based on `image` on what that is based on.
pub(super) fn pull_off(sequence: &mut Sequence<'_>, image: &Path) -> Result<()> {
    let forest = sequence.forest();
    let children = node(forest, image).map_or(&[][..], |node| &node.children);
    let readers: Vec<_> = children.iter().filter_map(|id| Some(forest.get(*id)?.path.clone())).collect();
    if readers.is_empty() {
        return Ok(());
    }
    let base = base_of(forest, Some(&image.to_path_buf()))?;
    readers.iter().try_for_each(|reader| base_on(sequence, reader, base.as_deref()))
}

/// What `image` is based on; nothing when it stands alone.
fn base_of(forest: &Forest, image: Option<&PathBuf>) -> Result<Option<PathBuf>> {
    let Some((image, id)) = image.and_then(|path| Some((path, forest.find(path)?))) else { return Ok(None) };
    let parent = forest.parent(id).and_then(|id| forest.get(id));
    if parent.is_none() && forest.get(id).is_some_and(|node| node.backing.is_some()) {
        return Err(
            Error::new(Kind::NotFound, "its backing file is not part of the scanned folders").at(image)
        );
    }
    Ok(parent.map(|node| node.path.clone()))
}

fn base_on(sequence: &mut Sequence<'_>, image: &Path, base: Option<&Path>) -> Result<()> {
    let (base, gate) = (base.map(Path::to_path_buf), sequence.gate());
    let options = RebaseOptions { base, gate, ..RebaseOptions::default() };
    sequence.then(|scene| match options.base {
        Some(_) => pull(scene, image, &options),
        None => rebase(scene, image, &options),
    })
}

/// Moves an image that nothing is based on to the trash.
pub(super) fn trash(sequence: &mut Sequence<'_>, image: &Path) -> Result<()> {
    let options = DeleteOptions { gate: sequence.gate(), ..DeleteOptions::default() };
    sequence.then(|scene| delete(scene, image, &options))
}

fn file_name(path: &Path) -> String {
    Shown::new(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()).into_string()
}

fn names(group: &[PathBuf]) -> String {
    const LISTED: usize = 4;
    let mut shown: Vec<_> = group.iter().take(LISTED).map(|path| file_name(path)).collect();
    if group.len() > LISTED {
        shown.push(format!("{} more", group.len() - LISTED));
    }
    shown.join(", ")
}
