//! `create`: a new image. Never overwrites; a failure leaves nothing behind.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Create;
use super::out::Out;
use super::{exit, info, opening, options};
use crate::error::{Error, Kind, Result};
use crate::forest::Domains;
use crate::image::{BackingRef, Files, NewImage, Preallocation, State, probe, qcow2};
use crate::storage::{File, RealFile};
use crate::text::{Shown, human_size};
use crate::units::align_up;

pub(super) fn run(args: &Create, out: &mut Out) -> anyhow::Result<u8> {
    let backing = args.backing.as_deref().map(|name| backing(args, name, out)).transpose()?;
    let size = match (args.size, &backing) {
        (Some(size), _) => size,
        (None, Some((_, size))) => *size,
        (None, None) => return Err(usage("a size is needed, or a backing file (-b) to take it from").into()),
    };
    if size > i64::MAX as u64 - 512 {
        return Err(usage("the size does not fit a file offset").into());
    }
    let size = align_up(size, 512);
    let new = NewImage::of(args.format, size, backing.map(|(name, _)| name))?;
    let (new, ahead) = options::applied(new, &args.options)?;
    let file: Arc<dyn File> = Arc::new(create_new(&args.image)?);
    let data = data_file(&new, &args.image);
    let made = data.as_deref().map(create_new).transpose().and_then(|made| {
        let files = Files { image: file, data: made.map(|file| Arc::new(file) as Arc<dyn File>) };
        make(&new, ahead, &files)
            .inspect_err(|_| data.iter().for_each(|path| drop(std::fs::remove_file(path))))
    });
    if let Err(error) = made {
        // The file is ours and not an image; the first failure is the one to tell about.
        let _ = std::fs::remove_file(&args.image);
        return Err(error.at(&args.image).into());
    }
    told(args, data.as_deref(), out);
    if args.json {
        let image = opening::header(&args.image, Some(args.format), out)?;
        out.json(&info::as_json(&*image, &args.image, &Domains::default())?)?;
    } else if !out.quiet {
        let name = Shown::path(&args.image);
        out.line(format!("created {name}: {}, {} ({size} bytes)", args.format, human_size(size)))?;
    }
    Ok(exit::DONE)
}

/// What was made, and what it takes to open it: a backing file may lie where only `--allow` leads.
fn told(args: &Create, data: Option<&Path>, out: &Out) {
    for path in [Some(&*args.image), data].into_iter().flatten() {
        out.note(format!("made {}", Shown::path(path)));
    }
    if let Some(name) = &args.backing
        && let Err(refused) = opening::gate([&args.image], &args.allow).resolve(&args.image, name)
    {
        out.note(format!("its backing file is not followed yet: {refused}"));
        refused.what_to_do().iter().for_each(|what| out.note(Shown::new(what).as_str()));
    }
}

fn create_new(path: &Path) -> Result<RealFile> {
    RealFile::create_new(path).map_err(|e| match path.exists() {
        true => e.remedy("choose another name; nothing is ever overwritten"),
        false => e,
    })
}

/// Where the data file of the image at `path` goes.
fn data_file(new: &NewImage, path: &Path) -> Option<PathBuf> {
    match new {
        NewImage::Qcow2(options) => Some(path.with_file_name(&options.data_file.as_ref()?.name)),
        _ => None,
    }
}

fn make(new: &NewImage, ahead: Preallocation, files: &Files) -> Result<()> {
    new.create(&*files.image)?;
    match new {
        NewImage::Raw { virtual_size } => {
            ahead.fill(&*files.image, 0, *virtual_size)?;
            files.image.sync()
        }
        NewImage::Qcow2(options) => {
            let raw = options.data_file.as_ref().is_some_and(|data| data.raw);
            if let Some(data) = files.data.as_ref().filter(|_| raw) {
                data.set_len(options.virtual_size)?;
                data.sync()?;
            }
            qcow2::preallocate(files.clone(), ahead)
        }
        NewImage::Qed(_) => Ok(()),
    }
}

/// The reference to record, and how large the backing file is.
fn backing(args: &Create, name: &OsStr, out: &Out) -> Result<(BackingRef, u64)> {
    // A relative name is relative to the new image, as it will be when the image is opened.
    let path = args.image.parent().unwrap_or(Path::new("")).join(name);
    let file = RealFile::open(&path, false)?;
    let Some(format) = args.backing_format else {
        let seen = probe(&file)?;
        return Err(usage("the format of the backing file is not given, and guessing it is not safe")
            .at(&path)
            .remedy(format!("its first bytes say {seen}; if that is right, add -F {seen}")));
    };
    let image = opening::header(&path, Some(format), out)?;
    let reference = BackingRef { name: name.to_owned(), format: Some(format.name().to_owned()) };
    Ok((reference, image.virtual_size(State::Active)))
}

fn usage(what: impl Into<String>) -> Error {
    Error::new(Kind::Usage, what)
}
