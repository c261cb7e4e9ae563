//! Export: a view as an image of its own, in full or as what differs from another view.
//!
//! Nothing that exists is changed. What is written has no name until all of it is there.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::draft::{Draft, quoted};
use super::{Copy, Flow, HazardKind, HazardSeverity, Plan, Ranges};
use crate::chain::{Chain, Gate, Opener, StateSpec, View, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, reference};
use crate::image::{BackingRef, Format, NewImage, State};
use crate::text::{Shown, human_size};

/// What is exported into what.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The new image; its size and backing file are worked out.
    pub new: NewImage,
    /// What it is to be a delta to; all of the view without one.
    pub delta: Option<Since>,
    /// Where the saved machine state of the snapshot goes.
    pub vm_state: Option<PathBuf>,
    /// Store clusters compressed where that makes them smaller. qcow2 only.
    pub compress: bool,
    /// Compare content where places say nothing about it, so that what was written twice alike is left out.
    pub by_content: bool,
}

/// The older view of a delta.
#[derive(Debug, Clone)]
pub struct Since {
    /// It, on absolute paths.
    pub view: ViewSpec,
    /// An image with its content, an absolute path: the backing file of the new one.
    pub older: PathBuf,
    /// The format of that.
    pub format: Option<Format>,
}

impl Since {
    /// Opens the image that is to hold `older`, and says what is taken on trust about it.
    pub(super) fn open(&self, draft: &mut Draft<'_>, older: &View) -> Result<Chain> {
        let held = Opener { format: self.format, ..draft.opener() }.open(&self.older)?;
        draft.layers_of(&held.view(State::Active))?;
        compare_sizes(draft, self, older, &held);
        let (top, looks) = (&held.top().path, held.top().image.format());
        if looks == Format::Raw && self.format.is_none() && !draft.before.records_format_of(top) {
            let what = format!("the format of {} is recorded nowhere; it looks raw", Shown::path(top));
            draft.hazard(HazardKind::BackingFormat, what);
        }
        Ok(held)
    }
}

/// Whether a file at `out` can share blocks with what `of` is read from: then nothing is read to be left out.
fn shares_blocks(of: &View, out: &Path) -> bool {
    let file = of.layers()[0].image.file();
    let folder = std::fs::metadata(out.parent().unwrap_or(out));
    file.shares_blocks() && folder.is_ok_and(|folder| folder.dev() == file.id().dev)
}

/// What `of` is and `older` is not. Content decides where the two are no relation, or when it is wanted.
pub(super) fn delta(of: &View, older: &View, since: ViewSpec, by_content: bool) -> Ranges {
    Ranges::Delta { since, by_content: by_content || !of.is_related(older) }
}

/// Plans the export of `view` (on an absolute path in `forest`) into the file `out` (absolute, not existing).
///
/// Fails with [`Kind::NotFound`] when there is no such view, with [`Kind::Usage`] when a name is taken, for
/// raw over an older view, and for machine state where none was saved.
pub fn export(
    forest: &Forest,
    view: &ViewSpec,
    out: &Path,
    options: &ExportOptions,
    gate: Gate,
) -> Result<Plan> {
    let mut draft = Draft::new("export", forest, gate);
    let opener = draft.opener();
    let (of, spec) = by_id(&opener, view)?;
    draft.layers_of(&of)?;
    let (mut title, mut below) = (format!("export {} to {}", view.name(), Shown::path(out)), None);
    let mut ranges = Ranges::All;
    if let Some(since) = &options.delta {
        let (older, wanted) = by_id(&opener, &since.view)?;
        draft.layers_of(&older)?;
        let held = since.open(&mut draft, &older)?;
        below = Some(recorded(out, &held.top().path, held.top().image.format()));
        title = format!(
            "export what {} is and {} is not to {}",
            view.name(),
            since.view.name(),
            Shown::path(out)
        );
        ranges = delta(&of, &older, wanted, options.by_content);
    }
    let lines = lines(&of, view, out, options);
    let new = options.new.clone().with(of.size(), below)?;
    let sparse = options.delta.is_none() && !shares_blocks(&of, out);
    let one = One { spec, ranges, out, new, compress: options.compress, sparse };
    one.add(&mut draft)?;
    if let Some(to) = &options.vm_state {
        vm_state(&mut draft, &opener, view, to)?;
    }
    let undo = format!("remove {}; nothing else was changed", Shown::path(out));
    draft.finish(title, undo, lines)
}

/// One new image of a plan.
pub(super) struct One<'a> {
    pub(super) spec: ViewSpec,
    pub(super) ranges: Ranges,
    pub(super) out: &'a Path,
    pub(super) new: NewImage,
    pub(super) compress: bool,
    pub(super) sparse: bool,
}

impl One<'_> {
    pub(super) fn add(self, draft: &mut Draft<'_>) -> Result<()> {
        let format = self.new.format();
        if self.compress && format != Format::Qcow2 {
            return Err(Error::new(Kind::Usage, format!("{format} has no compressed clusters; qcow2 has")));
        }
        let made = ViewSpec { format: Some(format), ..ViewSpec::active(self.out) };
        draft.reads_as(made, self.spec.clone(), self.new.virtual_size());
        draft.create(self.out, self.new, &self.spec.path)?;
        draft.flow(Flow { from: self.spec.path.clone(), into: self.out.to_path_buf(), label: "export data" });
        let copy = Copy::into_new(self.spec, self.out, format, self.ranges);
        draft.copy_always(Copy { compress: self.compress, sparse: self.sparse, ..copy })?;
        draft.verify_image(self.out, format);
        Ok(())
    }
}

/// Adds the export of the machine state that was saved with the snapshot `view`.
fn vm_state(draft: &mut Draft<'_>, opener: &Opener, view: &ViewSpec, to: &Path) -> Result<()> {
    let none =
        || Error::new(Kind::Usage, format!("no machine state was saved with {}", view.name())).at(&view.path);
    let (of, spec) = by_id(opener, view)?;
    let StateSpec::Id(id) = spec.state else { return Err(none()) };
    let spec = ViewSpec { state: StateSpec::VmState(id), ..spec };
    let of = opener.open_for(&spec.path, &spec.state)?.view(match of.state() {
        State::Snapshot(index) => State::VmState(index),
        _ => return Err(none()),
    });
    if of.size() == 0 {
        return Err(none());
    }
    memory(draft, &of, spec, to)
}

/// Adds the machine state `view` as a file.
pub(super) fn memory(draft: &mut Draft<'_>, view: &View, spec: ViewSpec, out: &Path) -> Result<()> {
    One {
        spec,
        ranges: Ranges::All,
        out,
        new: NewImage::Raw { virtual_size: view.size() },
        compress: false,
        sparse: false,
    }
    .add(draft)
}

/// The view, and how to find it again whatever happens to names: by id.
pub(super) fn by_id(opener: &Opener, spec: &ViewSpec) -> Result<(View, ViewSpec)> {
    let view = opener.open_view(spec)?;
    let top = &view.layers()[0];
    let state = match view.state() {
        State::Active => StateSpec::Active,
        State::Snapshot(index) | State::VmState(index) => {
            let gone = || Error::new(Kind::Internal, "a snapshot that is not in its table");
            StateSpec::Id(top.image.snapshots().get(index).ok_or_else(gone)?.id.clone())
        }
    };
    let spec = ViewSpec { path: top.path.clone(), state, format: Some(top.image.format()) };
    // Two of one id cannot be told apart later.
    Chain::from_layers(view.layers().to_vec()).find_state(&spec.state)?;
    Ok((view, spec))
}

/// How an image at `out` names the one at `older`.
pub(super) fn recorded(out: &Path, older: &Path, format: Format) -> BackingRef {
    BackingRef { name: reference(out, older).into(), format: Some(format.name().to_owned()) }
}

/// The image that the delta goes on has to show what the older view shows. Only its size is looked at.
fn compare_sizes(draft: &mut Draft<'_>, since: &Since, older: &View, held: &Chain) {
    let top = held.top();
    if top.path == older.layers()[0].path && older.state() == State::Active {
        return;
    }
    let (name, of) = (Shown::path(&since.older).into_string(), since.view.name());
    let (has, wants) = (top.image.virtual_size(State::Active), older.size());
    if has == wants {
        let what = format!(
            "that {name} shows what {of} shows is taken on trust; `cowherd compare` tells whether it does"
        );
        draft.hazard_of(HazardKind::OlderView, HazardSeverity::Info, what);
    } else {
        let what =
            format!("{name} cannot show what {of} shows: it is {} and not {} long", bytes(has), bytes(wants));
        draft.hazard(HazardKind::OlderView, what);
    }
}

fn bytes(n: u64) -> String {
    format!("{} ({n} bytes)", human_size(n))
}

/// The nearest to it in qemu-img's terms. It takes a snapshot for as long as its image is now.
fn lines(view: &View, spec: &ViewSpec, out: &Path, options: &ExportOptions) -> Vec<String> {
    let snapshot = match view.state() {
        State::Snapshot(index) => {
            let id = view.layers()[0].image.snapshots().get(index).map(|s| Shown::new(&s.id).into_string());
            id.map_or(String::new(), |id| format!(" -l snapshot.id={id}"))
        }
        _ => String::new(),
    };
    let (format, from, to) = (options.new.format(), quoted(&spec.path), quoted(out));
    let convert = format!("qemu-img convert{snapshot} -O {format} {from} {to}");
    let rebase = options.delta.as_ref().map(|since| {
        let older_format = since.format.map_or(String::new(), |f| format!(" -F {f}"));
        format!("qemu-img rebase -b {}{older_format} {to}", quoted(&since.older))
    });
    std::iter::once(convert).chain(rebase).collect()
}
