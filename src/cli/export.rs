//! `export` and `import`: views as images of their own, and chains as one image.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::args::{Export, ExportFormat, Import};
use super::out::Out;
use super::{change, exit, opening, options};
use crate::chain::{Gate, Opener, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::{self, Forest, new_name};
use crate::image::{Format, NewImage, Preallocation};
use crate::plan::{self, ChainOptions, ExportOptions, Since, SnapNames};
use crate::stream::RbdDiff;
use crate::text::Shown;

pub(super) fn run(args: &Export, out: &mut Out) -> anyhow::Result<u8> {
    let mut view = ViewSpec::parse(&args.view);
    let (image, mut gate, forest) = opening::herd(&view.path, args.how.known.format, &args.how.allow)?;
    (view.path, view.format) = (image, args.how.known.format);
    let Some(new) = new_image(args)? else { return stream(args, &view, gate, &forest, out) };
    if args.from_snap.is_some() || args.to_snap.is_some() {
        return Err(usage("snapshots of the target are named with -O rbd-diff alone").into());
    }
    let plan = if args.chain {
        let out = new_folder(&args.out)?;
        // As it will be seen from the files of the folder.
        let since = args.since.as_ref().map(|since| delta(since, args, &out.join("file"), &mut gate));
        let (compress, by_content) = (args.copying.compress, args.copying.by_content);
        let how = ChainOptions { since: since.transpose()?, compress, by_content };
        plan::export_chain(&forest, &view.path, &out, &new, how, gate)?
    } else {
        let to = new_name(&args.out)?;
        let options = ExportOptions {
            new,
            delta: args.since.as_ref().map(|since| delta(since, args, &to, &mut gate)).transpose()?,
            vm_state: args.vmstate.as_deref().map(new_name).transpose()?,
            compress: args.copying.compress,
            by_content: args.copying.by_content,
        };
        plan::export(&forest, &view, &to, &options, gate)?
    };
    change::run(plan, &args.how.changing, out)
}

pub(super) fn import(args: &Import, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.top, args.how.known.format, &args.how.allow)?;
    let new = checked(NewImage::of(Format::Qcow2, 0, None)?, &args.copying.options)?;
    let how =
        ChainOptions { since: None, compress: args.copying.compress, by_content: args.copying.by_content };
    let plan = plan::import(&forest, &image, &new_name(&args.out)?, &new, how, gate)?;
    change::run(plan, &args.how.changing, out)
}

/// A view as a stream, into a file by a plan, or to standard output.
fn stream(
    args: &Export,
    view: &ViewSpec,
    mut gate: Gate,
    forest: &Forest,
    out: &mut Out,
) -> anyhow::Result<u8> {
    let images_only = args.chain || args.backing.is_some() || args.vmstate.is_some() || args.copying.compress;
    if images_only || !args.copying.options.is_empty() || args.copying.by_content {
        return Err(usage("a stream takes --since, --from-snap, --to-snap and --out alone").into());
    }
    let since = args.since.as_deref().map(|since| older_view(since, &mut gate)).transpose()?;
    let names = SnapNames { from: args.from_snap.clone(), to: args.to_snap.clone() };
    if args.out.as_os_str() != "-" {
        let to = new_name(&args.out)?;
        let plan = plan::export_stream(forest, view, since.as_ref(), names, &to, gate)?;
        return change::run(plan, &args.how.changing, out);
    }
    let opener = Opener { gate, ..Opener::default() };
    let since = since.map(|since| opener.open_view(&since)).transpose()?;
    let view = opener.open_view(view)?;
    let names = names.of(&view, since.as_ref())?;
    let (from_snap, to_snap) = (names.from.as_deref(), names.to.as_deref());
    let diff = RbdDiff { view: &view, since: since.as_ref(), from_snap, to_snap };
    if args.how.changing.dry_run {
        out.line(format!("a stream of {} bytes", diff.size()?))?;
        return Ok(exit::DONE);
    }
    // As it was said, so that a closed pipe is known for one.
    diff.write::<anyhow::Error>(&mut |bytes| Ok(out.bytes(bytes)?))?;
    Ok(exit::DONE)
}

/// What the new image is to be, apart from its size and backing file.
fn new_image(args: &Export) -> Result<Option<NewImage>> {
    let format = match args.to_format {
        ExportFormat::Qcow2 => Format::Qcow2,
        ExportFormat::Qed => Format::Qed,
        ExportFormat::Raw => Format::Raw,
        ExportFormat::RbdDiff => return Ok(None),
    };
    checked(NewImage::of(format, 0, None)?, &args.copying.options).map(Some)
}

fn checked(new: NewImage, texts: &[String]) -> Result<NewImage> {
    let (new, ahead) = options::applied(new, texts)?;
    let elsewhere = matches!(&new, NewImage::Qcow2(options) if options.data_file.is_some());
    if ahead != Preallocation::Off || elsewhere {
        return Err(usage(
            "a copy holds no more than there is, into one file: no preallocation, no data_file",
        ));
    }
    Ok(new)
}

/// The older view, and the image that holds it.
fn delta(since: &OsStr, args: &Export, to: &Path, gate: &mut Gate) -> Result<Since> {
    let view = older_view(since, gate)?;
    let older = args.backing.as_deref().ok_or_else(|| usage("--since needs -b, the image that holds it"))?;
    let older = older_image(older, to)?;
    older.parent().into_iter().for_each(|folder| gate.allow(folder));
    Ok(Since { view, older, format: args.backing_format })
}

/// The view of `--since`. What the user named may be read.
fn older_view(since: &OsStr, gate: &mut Gate) -> Result<ViewSpec> {
    let mut view = ViewSpec::parse(since);
    view.path = forest::absolute(&view.path)?;
    view.path.parent().into_iter().for_each(|folder| gate.allow(folder));
    Ok(view)
}

/// Where the older image lies: as a name on the command line, or else seen from the new image, which is how
/// it will be recorded.
fn older_image(name: &Path, to: &Path) -> Result<PathBuf> {
    let beside = to.with_file_name(name);
    match (forest::absolute(name), forest::absolute(&beside)) {
        (Ok(here), Ok(there)) if here != there => {
            let (here, there) = (Shown::path(&here).into_string(), Shown::path(&there).into_string());
            Err(usage(format!("-b can mean {here} or {there}: say which by its full path")))
        }
        (Err(_), Ok(there)) => Ok(there),
        (here, _) => here,
    }
}

/// The absolute path of a folder that need not exist yet, though the one it is to lie in must.
fn new_folder(path: &Path) -> Result<PathBuf> {
    if path.is_dir() { forest::absolute(path) } else { new_name(path) }
}

fn usage(what: impl Into<String>) -> Error {
    Error::new(Kind::Usage, what)
}
