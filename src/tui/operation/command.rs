//! The command that does the same, for scripts and for those who want to see it.

use std::path::Path;

use super::Operation;
use crate::chain::{StateSpec, ViewSpec};
use crate::plan::SnapshotRequest;

/// `cowherd ...`, quoted for a shell; `verify` has it compare what it makes and keeps.
pub(in crate::tui) fn command(operation: &Operation, verify: bool) -> String {
    let mut line = Line(vec!["cowherd".to_owned()]);
    match operation {
        Operation::Commit { top, base, keep, remove, no_protect } => {
            line.word("commit").path(top).option("--base", base.as_deref());
            line.flag("--keep", *keep).flag("--remove", *remove).flag("--no-protect", *no_protect);
        }
        Operation::Pull { image, base } => {
            line.word("pull").path(image).option("--base", base.as_deref());
        }
        Operation::Rebase { image, base, is_unsafe } => {
            line.word("rebase").path(image).option("--base", base.as_deref());
            line.flag("--none", base.is_none()).flag("--unsafe", *is_unsafe);
        }
        Operation::Overlay { image, new } => {
            line.word("overlay").path(image).new_path(image, new);
        }
        Operation::Snapshot { image, request } => {
            line.word("snapshot");
            match request {
                SnapshotRequest::Create { name } => line.word("create").path(image).word(name),
                SnapshotRequest::Apply(which) => line.word("apply").path(image).state(which),
                SnapshotRequest::Delete(which) => line.word("delete").path(image).state(which),
                SnapshotRequest::Rename(which, name) => {
                    line.word("rename").path(image).state(which).word(name)
                }
            };
        }
        Operation::Delete { image, no_protect } => {
            line.word("delete").path(image).flag("--no-protect", *no_protect);
        }
        Operation::Rename { image, new } => {
            line.word("rename").path(image).new_path(image, new);
        }
        Operation::Resize { image, size, shrink } => {
            line.word("resize").path(image).word(&size.to_string()).flag("--shrink", *shrink);
        }
        Operation::Revert { image } => {
            line.word("revert").path(image);
        }
        Operation::Compact { image } => {
            line.word("compact").path(image);
        }
        Operation::Convert { image, to, no_compact } => {
            line.word("convert").path(image).word("--to").word(to.name()).word("--in-place");
            line.flag("--no-compact", *no_compact);
        }
        Operation::Repair { image, what } => {
            line.word("check").path(image).word("-r").word(what.name());
        }
        Operation::Export { view, out, format, since, compress, by_content } => {
            line.word("export").view(view);
            if let Some((older, holder)) = since {
                line.word("--since").view(older).word("-b").new_path(&view.path, holder);
            }
            line.word("--out").new_path(&view.path, out).word("-O").word(format.name());
            line.flag("-c", *compress).flag("--by-content", *by_content);
        }
        Operation::ExportChain { image, out, format, compress, by_content } => {
            line.word("export").path(image).word("--chain").word("--out").new_path(image, out);
            line.word("-O").word(format.name()).flag("-c", *compress).flag("--by-content", *by_content);
        }
        Operation::Import { top, out, compress } => {
            line.word("import").path(top).word("--out").new_path(top, out).flag("-c", *compress);
        }
        Operation::CleanUp { goes } => {
            line.word("cleanup");
            for view in goes {
                line.word("--delete").word(&view.in_full());
            }
        }
        Operation::Recover { journal, roll_back } => {
            line.word("recover").path(journal.parent().unwrap_or(journal)).flag("--roll-back", *roll_back);
        }
        Operation::Restore { file } => {
            line.word("trash").word("restore").path(file);
        }
        Operation::Empty { folders } => {
            line.word("trash").word("empty");
            for folder in folders {
                line.path(folder);
            }
        }
    }
    if verify {
        line.word("--verify").word("full");
    }
    line.0.join(" ")
}

/// A command line that grows word by word.
struct Line(Vec<String>);

impl Line {
    fn word(&mut self, word: &str) -> &mut Self {
        self.0.push(quoted(word));
        self
    }

    fn path(&mut self, path: &Path) -> &mut Self {
        self.word(&path.to_string_lossy())
    }

    /// A name that may be relative to the folder of `image`.
    fn new_path(&mut self, image: &Path, path: &Path) -> &mut Self {
        self.path(&image.parent().unwrap_or(Path::new("/")).join(path))
    }

    fn option(&mut self, name: &str, path: Option<&Path>) -> &mut Self {
        match path {
            Some(path) => self.word(name).path(path),
            None => self,
        }
    }

    fn flag(&mut self, name: &str, on: bool) -> &mut Self {
        if on { self.word(name) } else { self }
    }

    fn state(&mut self, state: &StateSpec) -> &mut Self {
        match state {
            StateSpec::Name(name) => self.word(name),
            StateSpec::Id(id) | StateSpec::VmState(id) => self.word(&format!("#{id}")),
            StateSpec::Active => self,
        }
    }

    fn view(&mut self, view: &ViewSpec) -> &mut Self {
        let path = view.path.to_string_lossy();
        match &view.state {
            StateSpec::Active => self.word(&path),
            StateSpec::Name(name) => self.word(&format!("{path}@{name}")),
            StateSpec::Id(id) | StateSpec::VmState(id) => self.word(&format!("{path}@#{id}")),
        }
    }
}

/// `word` as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@=%,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_shell_would_read_are_quoted() {
        let operation = Operation::Overlay { image: "/x/a b.qcow2".into(), new: "it's.qcow2".into() };
        assert_eq!(command(&operation, false), r"cowherd overlay '/x/a b.qcow2' '/x/it'\''s.qcow2'");
        let request = SnapshotRequest::Delete(StateSpec::Id("3".into()));
        let operation = Operation::Snapshot { image: "/x/a.qcow2".into(), request };
        assert_eq!(command(&operation, true), "cowherd snapshot delete /x/a.qcow2 '#3' --verify full");
    }
}
