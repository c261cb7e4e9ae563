//! `export` and `import`: views as images of their own, and chains as one image.

use std::path::{Path, PathBuf};

use super::args::{Export, ExportFormat, Import};
use super::names::new_name;
use super::out::Out;
use super::{change, opening, options};
use crate::chain::{Gate, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest;
use crate::image::{Format, NewImage, Preallocation};
use crate::plan::{self, ChainOptions, ExportOptions, Since};
use crate::text::Shown;

pub(super) fn run(args: &Export, out: &mut Out) -> anyhow::Result<u8> {
    let mut view = ViewSpec::parse(&args.view);
    let (image, mut gate, forest) = opening::herd(&view.path, args.how.known.format, &args.how.allow)?;
    (view.path, view.format) = (image, args.how.known.format);
    let new = new_image(args)?;
    let plan = if args.chain {
        let how = ChainOptions { compress: args.compress, by_content: args.by_content };
        plan::export_chain(&forest, &view.path, &new_folder(&args.out)?, &new, how, gate)?
    } else {
        let to = new_name(&args.out)?;
        let options = ExportOptions {
            new,
            delta: args.since.as_ref().map(|since| delta(since, args, &to, &mut gate)).transpose()?,
            vm_state: args.vmstate.as_deref().map(new_name).transpose()?,
            compress: args.compress,
            by_content: args.by_content,
        };
        plan::export(&forest, &view, &to, &options, gate)?
    };
    change::run(plan, &args.how.changing, out)
}

pub(super) fn import(args: &Import, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.top, args.how.known.format, &args.how.allow)?;
    let new = checked(NewImage::of(Format::Qcow2, 0, None)?, &args.options)?;
    let how = ChainOptions { compress: args.compress, by_content: args.by_content };
    let plan = plan::import(&forest, &image, &new_name(&args.out)?, &new, how, gate)?;
    change::run(plan, &args.how.changing, out)
}

/// What the new image is to be, apart from its size and backing file.
fn new_image(args: &Export) -> Result<NewImage> {
    let format = match args.to_format {
        ExportFormat::Qcow2 => Format::Qcow2,
        ExportFormat::Qed => Format::Qed,
        ExportFormat::Raw => Format::Raw,
    };
    checked(NewImage::of(format, 0, None)?, &args.options)
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

/// The older view, and the image that holds it. What the user named may be read.
fn delta(since: &std::ffi::OsStr, args: &Export, to: &Path, gate: &mut Gate) -> Result<Since> {
    let mut view = ViewSpec::parse(since);
    view.path = forest::absolute(&view.path)?;
    let older = args.backing.as_deref().ok_or_else(|| usage("--since needs -b, the image that holds it"))?;
    let older = older_image(older, to)?;
    for path in [&view.path, &older] {
        path.parent().into_iter().for_each(|folder| gate.allow(folder));
    }
    Ok(Since { view, older, format: args.backing_format })
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
