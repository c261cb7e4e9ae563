//! From answers to an operation; and what is wrong with an answer, in words.

use std::path::{Path, PathBuf};

use super::field::Pick;
use super::{Request, Value, Verb, Wrong};
use crate::forest::Forest;
use crate::image::{Format, Repair};
use crate::plan::SnapshotRequest;
use crate::text::human_size;
use crate::tui::operation::Operation;
use crate::units::NewSize;

pub(super) fn operation(request: &Request, forest: &Forest) -> Result<Operation, Wrong> {
    let image = request.image().to_path_buf();
    let on = |key| request.on(key);
    let snapshot = request.subject.as_ref().filter(|subject| subject.snapshot.is_some());
    Ok(match request.verb {
        Verb::Commit => Operation::Commit {
            top: image,
            base: request.path("base"),
            keep: on("keep"),
            remove: on("remove"),
            no_protect: on("no-protect"),
        },
        Verb::Pull => Operation::Pull { image, base: request.path("base") },
        Verb::Rebase => Operation::Rebase { image, base: request.path("base"), is_unsafe: on("unsafe") },
        Verb::Overlay => Operation::Overlay { new: new_file(request, forest, "new")?, image },
        Verb::Snapshot => Operation::Snapshot {
            request: SnapshotRequest::Create { name: snapshot_name(request, forest)? },
            image,
        },
        Verb::Delete => match snapshot {
            Some(subject) => Operation::Snapshot { image, request: SnapshotRequest::Delete(subject.state()) },
            None => Operation::Delete { image, no_protect: on("no-protect") },
        },
        Verb::GoBack => match snapshot {
            Some(subject) => Operation::Snapshot { image, request: SnapshotRequest::Apply(subject.state()) },
            None => Operation::Revert { image },
        },
        Verb::Rename => match snapshot {
            Some(subject) => {
                let name = snapshot_name(request, forest)?;
                Operation::Snapshot { image, request: SnapshotRequest::Rename(subject.state(), name) }
            }
            None => Operation::Rename { new: new_file(request, forest, "new")?, image },
        },
        Verb::Resize => {
            let now = request.node(forest).map_or(0, |node| node.virtual_size);
            let text = request.text("size");
            let wrong = |why: &str| Wrong { key: "size", why: why.to_owned() };
            let size = NewSize::parse(&text).ok_or_else(|| wrong("a number, then k, M, G, T or nothing"))?;
            let size =
                size.from(now).ok_or_else(|| wrong("a disk has at least one byte, and at most 8 EiB"))?;
            if size == now {
                return Err(wrong(&format!("it is {} long already", human_size(now))));
            }
            Operation::Resize { image, size, shrink: on("shrink") }
        }
        Verb::CleanUp => Operation::CleanUp { goes: request.goes.clone() },
        Verb::Compact => Operation::Compact { image },
        Verb::Convert => {
            let Some(Pick::Format(to)) = request.pick("to") else { return Err(nothing("to")) };
            Operation::Convert { image, to: *to, no_compact: on("no-compact") }
        }
        Verb::Repair => {
            let what =
                if request.pick("what") == Some(&Pick::Word("all")) { Repair::All } else { Repair::Leaks };
            Operation::Repair { image, what }
        }
        Verb::Export => export(request, forest)?,
        Verb::Import => {
            Operation::Import { out: new_file(request, forest, "out")?, top: image, compress: on("compress") }
        }
        Verb::Recover => {
            let journal = request.path("journal").ok_or_else(|| nothing("journal"))?;
            Operation::Recover { journal, roll_back: false }
        }
        Verb::Restore => Operation::Restore { file: request.path("file").ok_or_else(|| nothing("file"))? },
        Verb::EmptyTrash => Operation::Empty { folders: request.roots.clone() },
    })
}

/// Of a delta, the image that should hold the older view.
pub(super) fn held(request: &Request) -> Option<&Path> {
    match request.pick("what") {
        Some(Pick::View(_, held)) => Some(held),
        _ => None,
    }
}

fn nothing(key: &'static str) -> Wrong {
    Wrong { key, why: "nothing is chosen".to_owned() }
}

fn export(request: &Request, forest: &Forest) -> Result<Operation, Wrong> {
    let Some(subject) = &request.subject else { return Err(nothing("out")) };
    let out = new_file(request, forest, "out")?;
    let format = match request.pick("format") {
        Some(Pick::Format(format)) => *format,
        _ => Format::Qcow2,
    };
    let (compress, by_content) = (request.on("compress"), request.on("by-content"));
    if compress && format != Format::Qcow2 {
        return Err(Wrong { key: "compress", why: format!("{format} cannot be compressed; qcow2 can") });
    }
    let since = match request.pick("what") {
        Some(Pick::Word("chain")) => {
            return Ok(Operation::ExportChain {
                image: subject.image.clone(),
                out,
                format,
                compress,
                by_content,
            });
        }
        Some(Pick::View(view, held)) => {
            let typed = request.text("older");
            let older = if typed.is_empty() { held.clone() } else { PathBuf::from(typed) };
            if format == Format::Raw {
                return Err(Wrong { key: "format", why: "raw cannot be based on another image".to_owned() });
            }
            Some((view.clone(), subject.image.with_file_name(older)))
        }
        _ => None,
    };
    Ok(Operation::Export { view: subject.view(), out, format, since, compress, by_content })
}

fn new_file(request: &Request, forest: &Forest, key: &'static str) -> Result<PathBuf, Wrong> {
    let text = request.text(key);
    let wrong = |why: &str| Err(Wrong { key, why: why.to_owned() });
    let path = PathBuf::from(&text);
    if text.is_empty() {
        return wrong("it needs a name");
    }
    if text.chars().any(char::is_control) {
        return wrong("a name with control characters would only make trouble");
    }
    if path.file_name().is_none() {
        return wrong("this is a folder, not the name of a file");
    }
    let whole = request.image().parent().unwrap_or(Path::new("/")).join(&path);
    if forest.find(&whole).is_some() {
        return wrong("an image has this name already; nothing is ever overwritten");
    }
    Ok(path)
}

fn snapshot_name(request: &Request, forest: &Forest) -> Result<String, Wrong> {
    let name = request.text("name");
    let wrong = |why: &str| Err(Wrong { key: "name", why: why.to_owned() });
    if name.is_empty() {
        return wrong("it needs a name");
    }
    let known = request.node(forest).is_some_and(|node| node.snapshots.iter().any(|s| s.name == name));
    if known {
        return wrong("a snapshot of this image has this name already");
    }
    Ok(name)
}

impl Request {
    fn on(&self, key: &str) -> bool {
        matches!(self.field(key), Some(field) if matches!(field.value, Value::Toggle(true)))
    }

    fn text(&self, key: &str) -> String {
        match self.field(key).map(|field| &field.value) {
            Some(Value::Text(input)) => input.value().trim().to_owned(),
            _ => String::new(),
        }
    }

    fn pick(&self, key: &str) -> Option<&Pick> {
        match self.field(key).map(|field| &field.value) {
            Some(Value::Choice(choice)) => choice.item().map(|item| &item.pick),
            _ => None,
        }
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        match self.pick(key) {
            Some(Pick::Path(path)) => Some(path.clone()),
            _ => None,
        }
    }
}
