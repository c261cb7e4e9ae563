//! The operations, chosen at random, and what each is to do to the views that it names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use cowherd::chain::{Gate, Opener, StateSpec, ViewSpec};
use cowherd::error::Result;
use cowherd::forest::{Forest, Node, NodeId};
use cowherd::image::{Format, NewImage, State};
use cowherd::plan::{
    self, ChainOptions, CommitOptions, CopyMode, DeleteOptions, ExportOptions, Plan, RebaseOptions, Since,
    SnapshotRequest, Step,
};
use cowherd::units::Guest;

use crate::common::Random;

type Views = BTreeMap<String, u64>;

/// An operation on one image of a herd.
#[derive(Clone)]
pub(crate) enum Act {
    Commit { top: PathBuf, base: PathBuf, remove: bool, keep: bool, no_protect: bool },
    Pull { image: PathBuf, base: Option<PathBuf> },
    Rebase { image: PathBuf, base: Option<PathBuf> },
    Delete { image: PathBuf, no_protect: bool },
    Overlay { image: PathBuf, new: PathBuf },
    Rename { image: PathBuf, new: PathBuf },
    Grow { image: PathBuf, size: u64 },
    Save { image: PathBuf, name: String },
    Apply { image: PathBuf, id: String },
    Drop { image: PathBuf, id: String },
    Revert { image: PathBuf },
    Compact { image: PathBuf },
    Convert { image: PathBuf, to: Format },
    Export { image: PathBuf, id: Option<String>, since: Option<PathBuf>, format: Format, new: PathBuf },
    Chain { image: PathBuf, folder: PathBuf, format: Format },
    Import { image: PathBuf, new: PathBuf, compress: bool },
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let onto = |p: &Option<PathBuf>| p.as_deref().map_or("nothing".to_owned(), name);
        match self {
            Self::Commit { top, base, remove, keep, no_protect } => write!(
                f,
                "commit {} into {} (remove {remove}, keep {keep}, no protection {no_protect})",
                name(top),
                name(base)
            ),
            Self::Pull { image, base } => write!(f, "pull {} onto {}", name(image), onto(base)),
            Self::Rebase { image, base } => write!(f, "rebase {} onto {}", name(image), onto(base)),
            Self::Delete { image, no_protect } => {
                write!(f, "delete {} (no protection {no_protect})", name(image))
            }
            Self::Overlay { image, new } => write!(f, "overlay {} over {}", name(new), name(image)),
            Self::Rename { image, new } => write!(f, "rename {} to {}", name(image), name(new)),
            Self::Grow { image, size } => write!(f, "grow {} to {size}", name(image)),
            Self::Save { image, name: new } => write!(f, "snapshot {} as {new}", name(image)),
            Self::Apply { image, id } => write!(f, "apply #{id} to {}", name(image)),
            Self::Drop { image, id } => write!(f, "delete #{id} of {}", name(image)),
            Self::Revert { image } => write!(f, "revert {}", name(image)),
            Self::Compact { image } => write!(f, "compact {}", name(image)),
            Self::Convert { image, to } => write!(f, "convert {} to {to}", name(image)),
            Self::Export { image, id, since, format, new } => {
                write!(f, "export {}@{id:?} since {} to {} ({format})", name(image), onto(since), name(new))
            }
            Self::Chain { image, folder, format } => {
                write!(f, "export the chain of {} to {} ({format})", name(image), name(folder))
            }
            Self::Import { image, new, compress } => {
                write!(f, "import the chain of {} into {} (compressed {compress})", name(image), name(new))
            }
        }
    }
}

/// All that a guest reads from an image.
pub(crate) fn content(dir: &Path, path: &Path) -> Vec<u8> {
    content_of(dir, &ViewSpec::active(path))
}

fn content_of(dir: &Path, view: &ViewSpec) -> Vec<u8> {
    let opener = Opener { gate: Gate::for_paths([dir]), ..Opener::default() };
    let view = opener.open_view(view).unwrap();
    let mut out = vec![0; view.size() as usize];
    view.read_at(Guest(0), &mut out).unwrap();
    out
}

fn view(image: &Path, id: &Option<String>) -> ViewSpec {
    let state = id.clone().map_or(StateSpec::Active, StateSpec::Id);
    ViewSpec { state, ..ViewSpec::active(image) }
}

/// The views of an image and of what it is based on, oldest first.
fn linear(forest: &Forest, image: &Path) -> Vec<String> {
    let top = forest.find(image).unwrap();
    let mut views = Vec::new();
    for id in std::iter::once(top).chain(forest.ancestors(top)).collect::<Vec<_>>().into_iter().rev() {
        let node = forest.get(id).unwrap();
        let mut snapshots: Vec<_> = node.snapshots.iter().collect();
        snapshots.sort_by_key(|s| (s.date.clone(), s.id.parse::<u64>().unwrap()));
        let path = node.path.to_string_lossy().into_owned();
        views.extend(snapshots.iter().map(|s| format!("{path}@#{}", s.id)));
        views.push(path);
    }
    views
}

impl Act {
    /// Whether views may be named that are still there afterwards.
    pub(crate) fn no_protect(&self) -> bool {
        matches!(self, Self::Commit { no_protect: true, .. } | Self::Delete { no_protect: true, .. })
    }

    /// Something to do in this forest. `number` makes new names.
    pub(crate) fn any(forest: &Forest, number: usize, random: &mut Random) -> Self {
        let tops: Vec<NodeId> = forest.ids().filter(|id| forest.parent(*id).is_some()).collect();
        match random.below(16) {
            0..9 if !tops.is_empty() => Self::in_chain(forest, *random.pick(&tops), random),
            _ => Self::alone(forest, number, random),
        }
    }

    /// Something about an image that has a backing file.
    fn in_chain(forest: &Forest, id: NodeId, random: &mut Random) -> Self {
        let path = |id: NodeId| forest.get(id).unwrap().path.clone();
        let (image, below) = (path(id), forest.ancestors(id));
        match random.below(9) {
            0..4 => {
                let base = path(*random.pick(&below));
                let (remove, keep) = (random.one_in(4), random.one_in(4));
                Self::Commit { top: image, base, remove, keep, no_protect: random.one_in(4) }
            }
            4 => {
                let lower: Vec<_> = below.iter().skip(1).map(|id| Some(path(*id))).chain([None]).collect();
                Self::Pull { image, base: random.pick(&lower).clone() }
            }
            5 | 6 => {
                let others = forest.ids().filter(|other| {
                    *other != id
                        && !forest.ancestors(*other).contains(&id)
                        && forest.parent(id) != Some(*other)
                });
                let others: Vec<_> = others.map(|id| Some(path(id))).chain([None]).collect();
                Self::Rebase { image, base: random.pick(&others).clone() }
            }
            7 => Self::Revert { image },
            _ => Self::Delete { image, no_protect: random.one_in(4) },
        }
    }

    /// Something about any image.
    fn alone(forest: &Forest, number: usize, random: &mut Random) -> Self {
        let node: &Node = random.pick(&forest.nodes);
        // A raw image is one by its name alone.
        let ending = if node.format == Some(Format::Raw) { "raw" } else { "img" };
        let (image, new) = (node.path.clone(), node.path.with_file_name(format!("n{number}.{ending}")));
        let ids: Vec<String> = node.snapshots.iter().map(|s| s.id.clone()).collect();
        let saves = node.format == Some(Format::Qcow2);
        let folder = node.path.parent().unwrap();
        let id = (!ids.is_empty() && random.one_in(2)).then(|| random.pick(&ids).clone());
        match random.below(12) {
            8 | 9 => {
                let since = random.one_in(2).then(|| random.pick(&forest.nodes).path.clone());
                let formats = [Format::Qcow2, Format::Qed, Format::Raw];
                let format = formats[random.below(if since.is_some() { 2 } else { 3 }) as usize];
                Self::Export { image, id, since, format, new: folder.join(format!("n{number}.{format}")) }
            }
            10 => {
                let format = *random.pick(&[Format::Qcow2, Format::Qed]);
                Self::Chain { image, folder: folder.join(format!("c{number}")), format }
            }
            11 => {
                let new = folder.join(format!("n{number}.qcow2"));
                Self::Import { image, new, compress: random.one_in(3) }
            }
            0 => Self::Rename { image, new },
            1 => Self::Grow { image, size: node.virtual_size + 512 * (1 + random.below(100)) },
            2 | 3 if saves => Self::Save { image, name: format!("s{number}") },
            4 if !ids.is_empty() => Self::Apply { image, id: random.pick(&ids).clone() },
            5 if !ids.is_empty() => Self::Drop { image, id: random.pick(&ids).clone() },
            6 if node.format != Some(Format::Raw) => Self::Compact { image },
            7 if node.format.is_some() && random.one_in(2) => {
                let all = [Format::Qcow2, Format::Qed, Format::Raw];
                let others: Vec<_> = all.into_iter().filter(|to| node.format != Some(*to)).collect();
                Self::Convert { image, to: *random.pick(&others) }
            }
            _ => Self::Overlay { image, new },
        }
    }

    /// Whether protecting others takes a copy. Where it takes none, none can be missing.
    pub(crate) fn fills(&self, forest: &Forest, dir: &Path) -> bool {
        let no_protect = false;
        let protecting = match self.clone() {
            Self::Commit { top, base, remove, keep, .. } => {
                Self::Commit { top, base, remove, keep, no_protect }
            }
            Self::Delete { image, .. } => Self::Delete { image, no_protect },
            other => other,
        };
        let fills = |step: &Step| matches!(step, Step::Copy(copy) if copy.mode == CopyMode::Fill);
        protecting.plan(forest, dir).unwrap().steps.iter().any(fills)
    }

    pub(crate) fn plan(&self, forest: &Forest, dir: &Path) -> Result<Plan> {
        let gate = Gate::for_paths([dir]);
        let onto = |base: &Option<PathBuf>| RebaseOptions {
            base: base.clone(),
            gate: gate.clone(),
            ..RebaseOptions::default()
        };
        let snapshot = |image: &Path, request| plan::snapshot(forest, image, &request, gate.clone());
        match self {
            Self::Commit { top, base, remove, keep, no_protect } => {
                let (base, gate) = (Some(base.clone()), gate.clone());
                let (remove, keep, no_protect) = (*remove, *keep, *no_protect);
                plan::commit(forest, top, &CommitOptions { base, remove, keep, no_protect, gate })
            }
            Self::Pull { image, base } => plan::pull(forest, image, &onto(base)),
            Self::Rebase { image, base } => plan::rebase(forest, image, &onto(base)),
            Self::Delete { image, no_protect } => {
                plan::delete(forest, image, &DeleteOptions { no_protect: *no_protect, gate })
            }
            Self::Overlay { image, new } => plan::overlay(forest, image, None, new, gate),
            Self::Rename { image, new } => plan::rename(forest, image, new, gate),
            Self::Grow { image, size } => plan::resize(forest, image, *size, false, gate),
            Self::Save { image, name } => snapshot(image, SnapshotRequest::Create { name: name.clone() }),
            Self::Apply { image, id } => snapshot(image, SnapshotRequest::Apply(StateSpec::Id(id.clone()))),
            Self::Drop { image, id } => snapshot(image, SnapshotRequest::Delete(StateSpec::Id(id.clone()))),
            Self::Revert { image } => plan::revert(forest, image, gate),
            Self::Compact { image } => plan::compact(forest, image, gate),
            Self::Convert { image, to } => {
                let (wishes, backing_format, no_compact) = (plan::Wanted::default(), None, false);
                let options = plan::ConvertOptions { to: *to, wishes, backing_format, no_compact, gate };
                plan::convert(forest, image, &options)
            }
            Self::Export { image, id, since, format, new } => {
                let delta = since.as_ref().map(|older| Since {
                    view: ViewSpec::active(older),
                    older: older.clone(),
                    format: None,
                });
                let new_image = NewImage::of(*format, 0, None)?;
                let options = ExportOptions {
                    new: new_image,
                    delta,
                    vm_state: None,
                    compress: false,
                    by_content: false,
                };
                plan::export(forest, &view(image, id), new, &options, gate)
            }
            Self::Chain { image, folder, format } => {
                let new = NewImage::of(*format, 0, None)?;
                plan::export_chain(forest, image, folder, &new, ChainOptions::default(), gate)
            }
            Self::Import { image, new, compress } => {
                let how = ChainOptions { compress: *compress, ..ChainOptions::default() };
                plan::import(forest, image, new, &NewImage::of(Format::Qcow2, 0, None)?, how, gate)
            }
        }
    }

    /// What the view that is named must read afterwards, as far as the operation is about that.
    pub(crate) fn expected(&self, dir: &Path) -> Option<(PathBuf, Vec<u8>)> {
        match self {
            Self::Commit { top, base, .. } => {
                let (top, mut expected) = (content(dir, top), content(dir, base));
                expected.resize(expected.len().max(top.len()), 0);
                expected[..top.len()].copy_from_slice(&top);
                Some((base.clone(), expected))
            }
            Self::Grow { image, size } => {
                let mut expected = content(dir, image);
                expected.resize(size.next_multiple_of(512) as usize, 0);
                Some((image.clone(), expected))
            }
            Self::Overlay { image, new } => Some((new.clone(), content(dir, image))),
            Self::Export { image, id, new, .. } => Some((new.clone(), content_of(dir, &view(image, id)))),
            Self::Revert { image } => {
                let opener = Opener { gate: Gate::for_paths([dir]), ..Opener::default() };
                let chain = opener.open(image).unwrap();
                let mut expected = vec![0; chain.view(State::Active).size() as usize];
                chain.below().unwrap().view(State::Active).read_at(Guest(0), &mut expected).unwrap();
                Some((image.clone(), expected))
            }
            _ => None,
        }
    }

    /// What else must be true of the views, after and before, in the forest as it was.
    pub(crate) fn assert_views(
        &self,
        forest: &Forest,
        before: &Views,
        now: &Views,
        changed: &[String],
        what: &str,
    ) {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        match self {
            Self::Rename { image, new } => {
                for (view, hash) in before.iter().filter(|(view, _)| view.starts_with(&text(image))) {
                    let moved = view.replacen(&text(image), &text(new), 1);
                    assert!(now.get(&moved) == Some(hash) && !now.contains_key(view), "{what}: {view}");
                }
            }
            Self::Save { image, .. } => {
                let new: Vec<_> = now.iter().filter(|(view, _)| !before.contains_key(*view)).collect();
                assert_eq!(new.len(), 1, "{what}: {new:?}");
                assert_eq!(Some(new[0].1), before.get(&text(image)), "{what}: the snapshot reads otherwise");
            }
            Self::Apply { image, id } => {
                let saved = before.get(&format!("{}@#{id}", text(image)));
                assert_eq!(now.get(&text(image)), saved, "{what}: not what the snapshot held");
            }
            Self::Drop { image, id } => {
                assert!(!now.contains_key(&format!("{}@#{id}", text(image))), "{what}: it is still there");
            }
            Self::Chain { image, folder, .. } => {
                let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
                let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
                let files = manifest["chain"].as_array().unwrap();
                let wanted = linear(forest, image);
                assert_eq!(files.len(), wanted.len(), "{what}: {files:#?}");
                for (file, view) in files.iter().zip(wanted) {
                    let path = text(&folder.join(file["file"].as_str().unwrap()));
                    assert_eq!(now.get(&path), before.get(&view), "{what}: {path} is not {view}");
                }
            }
            Self::Import { image, new, .. } => {
                let wanted = linear(forest, image);
                for (i, view) in wanted.iter().enumerate() {
                    let active = i + 1 == wanted.len();
                    let snapshot = format!("{}@#{}", text(new), i + 1);
                    let path = if active { text(new) } else { snapshot };
                    assert_eq!(now.get(&path), before.get(view), "{what}: {path} is not {view}");
                }
            }
            Self::Commit { .. } | Self::Grow { .. } | Self::Revert { .. } => {}
            _ if self.no_protect() => {}
            _ => assert!(changed.iter().all(|c| !Path::new(c).exists()), "{what}: {changed:?} are named"),
        }
    }
}
