//! `info`: what an image says about itself. Takes no lock and opens nothing else without `--chain`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::args::Info;
use super::out::Out;
use super::table::{self, Lean};
use super::{exit, opening, snapshots};
use crate::chain::Opener;
use crate::error::Result;
use crate::forest::{self, Domains};
use crate::image::{BackingRef, Bitmap, Details, Image, State};
use crate::storage::{Holder, LockState, probe_locks};
use crate::text::{Shown, human_size};

/// Snapshots shown to people.
const MAX_SNAPSHOTS: usize = 1000;

pub(super) fn run(args: &Info, out: &mut Out) -> anyhow::Result<u8> {
    let domains = Domains::read(&forest::domain_folders());
    if !args.chain {
        let image = opening::header(&args.image, args.format, out)?;
        match args.json {
            true => out.json(&as_json(&*image, &args.image, &domains)?)?,
            false => out.lines(describe(&*image, &args.image, &domains)?)?,
        }
        return Ok(exit::DONE);
    }
    let gate = opening::gate([&args.image], &args.allow);
    // Headers do not change under a running guest, so no lock is needed.
    let opener = Opener { gate, format: args.format, force_share: true, no_data: true, ..Opener::default() };
    let chain = opener.open(&args.image)?;
    for layer in chain.layers() {
        out.note(opening::opened(&layer.path, layer.image.format(), false));
    }
    if args.json {
        let all = chain
            .layers()
            .iter()
            .map(|l| as_json(&*l.image, &l.path, &domains))
            .collect::<Result<Vec<_>>>()?;
        out.json(&all)?;
        return Ok(exit::DONE);
    }
    for (i, layer) in chain.layers().iter().enumerate() {
        if i > 0 {
            out.line("")?;
        }
        out.lines(describe(&*layer.image, &layer.path, &domains)?)?;
    }
    Ok(exit::DONE)
}

/// qemu-img's keys, and `in-use` and `domains` of our own.
pub(super) fn as_json(image: &dyn Image, path: &Path, domains: &Domains) -> Result<Value> {
    let details = image.details();
    let mut info = json!({
        "filename": path.to_string_lossy(),
        "format": image.format().name(),
        "virtual-size": image.virtual_size(State::Active),
        "actual-size": image.file().disk_size()?,
        "dirty-flag": details.dirty(),
        "in-use": in_use(image).map(|(mode, by)| json!({ "mode": mode, "by": by })),
        "domains": domains.naming_file(path),
    });
    let Some(map) = info.as_object_mut() else { return Ok(info) };
    if !matches!(details, Details::Raw) {
        map.insert("cluster-size".into(), image.cluster_size().into());
    }
    if details.encryption().is_some() {
        map.insert("encrypted".into(), true.into());
    }
    if let Some(backing) = image.backing() {
        map.insert("backing-filename".into(), backing.name.to_string_lossy().into());
        map.insert("full-backing-filename".into(), full_name(path, backing).into());
        if let Some(format) = &backing.format {
            map.insert("backing-filename-format".into(), format.as_str().into());
        }
    }
    if !image.snapshots().is_empty() {
        map.insert("snapshots".into(), snapshots::as_json(image.snapshots()));
    }
    if let Some(data) = format_specific(image, &details) {
        map.insert("format-specific".into(), json!({ "type": image.format().name(), "data": data }));
    }
    Ok(info)
}

fn format_specific(image: &dyn Image, details: &Details) -> Option<Map<String, Value>> {
    let Details::Qcow2 {
        version,
        refcount_bits,
        corrupt,
        lazy_refcounts,
        extended_l2,
        compression,
        encryption,
        bitmaps,
        ..
    } = details
    else {
        return None;
    };
    let mut data = Map::new();
    data.insert("compat".into(), if *version == 2 { "0.10" } else { "1.1" }.into());
    data.insert("compression-type".into(), (*compression).into());
    data.insert("refcount-bits".into(), (*refcount_bits).into());
    if *version >= 3 {
        data.insert("lazy-refcounts".into(), (*lazy_refcounts).into());
        data.insert("corrupt".into(), (*corrupt).into());
        data.insert("extended-l2".into(), (*extended_l2).into());
    }
    if let Some(file) = image.data_file() {
        data.insert("data-file".into(), file.name.to_string_lossy().into());
        data.insert("data-file-raw".into(), file.raw.into());
    }
    if let Some(how) = encryption {
        data.insert("encrypt".into(), json!({ "format": how }));
    }
    if !bitmaps.is_empty() {
        data.insert("bitmaps".into(), bitmaps.iter().map(bitmap).collect());
    }
    Some(data)
}

fn bitmap(bitmap: &Bitmap) -> Value {
    let flags: Vec<_> = [("in-use", bitmap.in_use), ("auto", bitmap.auto)]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
        .collect();
    match bitmap.granularity {
        Some(granularity) => json!({ "name": bitmap.name, "granularity": granularity, "flags": flags }),
        None => json!({ "name": bitmap.name, "flags": flags }),
    }
}

/// The backing name as seen from where `path` is seen from. Text only; nobody looks for it.
fn full_name(path: &Path, backing: &BackingRef) -> String {
    let name = backing.name.to_string_lossy();
    let has_scheme = name.split('/').next().is_some_and(|head| head.contains(':'));
    if has_scheme {
        return name.into_owned();
    }
    path.with_file_name(&backing.name).to_string_lossy().into_owned()
}

/// Who holds the image now.
fn in_use(image: &dyn Image) -> Option<(LockState, Option<Holder>)> {
    let file = image.file();
    match probe_locks(file.fd()?) {
        LockState::Free => None,
        state => Some((state, Holder::of(file.id()))),
    }
}

fn describe(image: &dyn Image, path: &Path, domains: &Domains) -> Result<Vec<String>> {
    let details = image.details();
    let size = image.virtual_size(State::Active);
    let mut rows = vec![
        row("image", Shown::path(path).into_string()),
        row("format", format_words(image, &details)),
        row("virtual size", format!("{} ({size} bytes)", human_size(size))),
        row("disk size", human_size(image.file().disk_size()?)),
    ];
    if !matches!(details, Details::Raw) {
        rows.push(row("cluster size", human_size(image.cluster_size())));
    }
    if let Some(backing) = image.backing() {
        let name = Shown::new(&backing.name.to_string_lossy()).into_string();
        let format = match &backing.format {
            Some(format) => Shown::new(format).into_string(),
            None => "format not recorded".to_owned(),
        };
        rows.push(row("backing file", format!("{name} ({format})")));
    }
    for (name, value) in marks(image, &details) {
        rows.push(row(name, value));
    }
    for one in domains.naming_file(path) {
        let running = if one.running { ", running" } else { "" };
        let who = format!("domain {} ({}){running}", Shown::new(&one.domain), Shown::path(&one.from));
        rows.push(row("named by", who));
    }
    let mut lines = table::lines(&[Lean::Left, Lean::Left], &rows);
    if !image.snapshots().is_empty() {
        lines.push(String::new());
        let (shown, more) = image.snapshots().split_at(image.snapshots().len().min(MAX_SNAPSHOTS));
        lines.extend(snapshots::describe(shown));
        if !more.is_empty() {
            lines.push(format!("... and {} more; `snapshot list` has all of them", more.len()));
        }
    }
    Ok(lines)
}

fn row(name: &str, value: impl Into<String>) -> Vec<String> {
    vec![name.to_owned(), value.into()]
}

fn format_words(image: &dyn Image, details: &Details) -> String {
    match details {
        Details::Qcow2 { version, compression, refcount_bits, extended_l2, .. } => {
            let sub = if *extended_l2 { ", subclusters" } else { "" };
            format!("qcow2 version {version}, {compression}, {refcount_bits} bit refcounts{sub}")
        }
        _ => image.format().name().to_owned(),
    }
}

/// What deserves a line only when it is so.
fn marks(image: &dyn Image, details: &Details) -> Vec<(&'static str, String)> {
    let mut marks = Vec::new();
    if let Some((state, by)) = in_use(image) {
        let word = if state == LockState::Write { "written" } else { "read" };
        let who = by.map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
        marks.push(("in use", format!("{word} by {who}")));
    }
    if details.dirty() {
        marks.push(("dirty", "not closed cleanly".to_owned()));
    }
    if details.corrupt() {
        marks.push(("corrupt", "marked corrupt; QEMU refuses to write to it".to_owned()));
    }
    if let Some(how) = details.encryption() {
        marks.push(("encrypted", format!("{how:?}").to_uppercase()));
    }
    if let Some(file) = image.data_file() {
        let raw = if file.raw { " (a raw image by itself)" } else { "" };
        let name = if file.name.is_empty() { "(unnamed)".into() } else { file.name.to_string_lossy() };
        marks.push(("data file", format!("{}{raw}", Shown::new(&name))));
    }
    if !details.bitmaps().is_empty() {
        let names: Vec<_> = details.bitmaps().iter().map(|b| b.name.as_str()).collect();
        marks.push(("dirty bitmaps", Shown::new(&names.join(", ")).into_string()));
    }
    marks
}
