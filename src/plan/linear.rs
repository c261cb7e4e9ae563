//! The linear chain: every view of an image and of what it is based on, each as a file that holds what differs
//! from the one before it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::draft::Draft;
use super::export::{One, Since, by_id, delta, memory, recorded};
use super::file_names::FileNames;
use super::{Plan, Ranges};
use crate::chain::{Chain, Gate, Layer, StateSpec, View, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::Forest;
use crate::image::{Format, NewImage, Snapshot, State};
use crate::text::Shown;

/// Most views of one chain: each is a file under way, and is opened by itself.
const MOST_VIEWS: usize = 500;

/// What tells which file of the folder is what.
const MANIFEST: &str = "manifest.json";

/// How the files of a linear chain are written.
#[derive(Debug, Clone, Default)]
pub struct ChainOptions {
    /// Only the views that come after this one, on the image that holds it.
    pub since: Option<Since>,
    /// Store clusters compressed where that makes them smaller. qcow2 only.
    pub compress: bool,
    /// Compare content where places say nothing about it.
    pub by_content: bool,
}

/// One view of the chain, in its place.
pub(super) struct Link<'a> {
    pub(super) view: View,
    layer: &'a Layer,
    snapshot: Option<(usize, &'a Snapshot)>,
}

/// Plans the export of every view of `image` (an absolute path in `forest`) and of all that it is based on
/// into the folder `out` (absolute): oldest first, each file based on the one before it, with saved machine
/// state beside it and a list of what is what. `new` says of what sort the files are.
///
/// Fails with [`Kind::Usage`](crate::error::Kind::Usage) when one of the names is taken.
pub fn export_chain(
    forest: &Forest,
    image: &Path,
    out: &Path,
    new: &NewImage,
    how: ChainOptions,
    gate: Gate,
) -> Result<Plan> {
    let mut draft = Draft::new("export", forest, gate);
    let chain = draft.opener().open(image)?;
    draft.layers_of(&chain.view(State::Active))?;
    let mut names = FileNames::default();
    // Nothing else may have this name.
    names.take("manifest", "json");
    let (mut links, mut entries) = (links(&chain)?, Vec::new());
    let mut before = how.since.as_ref().map(|since| older(&mut draft, since, &mut links)).transpose()?;
    for link in links {
        let spec = link.spec();
        let stem = link.stem();
        let file = out.join(names.take(&stem, new.format().name()));
        let backing = before.as_ref().map(|before| recorded(&file, &before.file, before.format));
        let ranges = match &before {
            None => Ranges::All,
            Some(before) => delta(&link.view, &before.view, before.spec.clone(), how.by_content),
        };
        let (format, new) = (new.format(), new.clone().with(link.view.size(), backing)?);
        let mut entry = entry(&link, &file, &new);
        One { spec: spec.clone(), ranges, out: &file, new, compress: how.compress, sparse: false }
            .add(&mut draft)?;
        if let Some((index, snapshot)) = link.snapshot.filter(|(_, s)| s.vm_state_size > 0) {
            let to = out.join(names.take(&stem, "vmstate"));
            let spec = ViewSpec { state: StateSpec::VmState(snapshot.id.clone()), ..spec.clone() };
            let state = Chain::from_layers(vec![link.layer.clone()]).view(State::VmState(index));
            memory(&mut draft, &state, spec, &to)?;
            entry["memory"] = json!(file_name(&to));
        }
        entries.push(entry);
        before = Some(Before { file, format, view: link.view, spec });
    }
    let list = json!({ "cowherd": env!("CARGO_PKG_VERSION"), "chain": entries });
    draft.write(&out.join(MANIFEST), format!("{list:#}\n"), &chain.top().path)?;
    let title = format!("export the chain of {} to {}", Shown::path(image), Shown::path(out));
    let undo = format!("remove what was made in {}; nothing else was changed", Shown::path(out));
    draft.finish(title, undo, Vec::new())
}

/// The file before the next one, and the view that it holds.
struct Before {
    file: PathBuf,
    format: Format,
    view: View,
    spec: ViewSpec,
}

/// What the first file goes on; takes the views away that come before.
fn older(draft: &mut Draft<'_>, since: &Since, links: &mut Vec<Link<'_>>) -> Result<Before> {
    let opener = draft.opener();
    let (view, spec) = by_id(&opener, &since.view)?;
    let held = since.open(draft, &view)?;
    let same = |link: &Link<'_>| {
        let of = |view: &View| (view.layers()[0].image.file().id(), view.state());
        of(&link.view) == of(&view)
    };
    let unknown =
        || Error::new(Kind::Usage, format!("{} is no view of this chain", spec.name())).at(&spec.path);
    let place = links.iter().position(same).ok_or_else(unknown)?;
    links.drain(..=place);
    Ok(Before { file: held.top().path.clone(), format: held.top().image.format(), view, spec })
}

/// All views, oldest first: of each image, from the base up, its snapshots by date, then the active state.
///
/// Fails with [`Kind::Unsupported`] when there are too many.
pub(super) fn links(chain: &Chain) -> Result<Vec<Link<'_>>> {
    let count: usize = chain.layers().iter().map(|layer| 1 + layer.image.snapshots().len()).sum();
    if count > MOST_VIEWS {
        let what = format!("the chain has {count} views, more than the {MOST_VIEWS} that are done at once");
        return Err(Error::unsupported(what)
            .at(&chain.top().path)
            .remedy("export the views you want one by one"));
    }
    let mut links = Vec::new();
    for depth in (0..chain.layers().len()).rev() {
        let layer = &chain.layers()[depth];
        let below = Chain::from_layers(chain.layers()[depth..].to_vec());
        let mut snapshots: Vec<(usize, &Snapshot)> = layer.image.snapshots().iter().enumerate().collect();
        let number = |s: &Snapshot| s.id.parse::<u64>().unwrap_or(u64::MAX);
        snapshots.sort_by(|(i, a), (j, b)| {
            let key = |s: &Snapshot, place: usize| (s.date_sec, s.date_nsec, number(s), place);
            key(a, *i).cmp(&key(b, *j))
        });
        links.extend(snapshots.into_iter().map(|(index, snapshot)| Link {
            view: below.view(State::Snapshot(index)),
            layer,
            snapshot: Some((index, snapshot)),
        }));
        links.push(Link { view: below.view(State::Active), layer, snapshot: None });
    }
    Ok(links)
}

impl Link<'_> {
    pub(super) fn spec(&self) -> ViewSpec {
        let state = self.snapshot.map_or(StateSpec::Active, |(_, s)| StateSpec::Id(s.id.clone()));
        ViewSpec { path: self.layer.path.clone(), state, format: Some(self.layer.image.format()) }
    }

    /// Whether it is what the chain shows.
    pub(super) fn is_last(&self, chain: &Chain) -> bool {
        self.snapshot.is_none() && self.layer.path == chain.top().path
    }

    /// `image`, or `image_snapshot`.
    pub(super) fn stem(&self) -> String {
        let image = self.layer.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match self.snapshot {
            None => image,
            Some((_, s)) if s.name.is_empty() => format!("{image}_{}", s.id),
            Some((_, s)) => format!("{image}_{}", s.name),
        }
    }
}

/// What the list says of one file.
fn entry(link: &Link<'_>, file: &Path, new: &NewImage) -> Value {
    let snapshot = link.snapshot.map(|(_, s)| {
        json!({
            "id": s.id,
            "name": s.name,
            "date_sec": s.date_sec,
            "date_nsec": s.date_nsec,
            "vm_clock_nsec": s.vm_clock_nsec,
            "icount": s.icount,
            "vm_state_size": s.vm_state_size,
        })
    });
    json!({
        "file": file_name(file),
        "format": new.format().name(),
        "kind": if new.backing().is_some() { "delta" } else { "base" },
        "backing": new.backing().map(|b| b.name.to_string_lossy()),
        "virtual_size": new.virtual_size(),
        "image": link.layer.path.to_string_lossy(),
        "snapshot": snapshot,
        "memory": null,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
