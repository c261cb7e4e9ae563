//! What the user asks for: a verb, what it is about, and answers; all that an operation is made of.
//!
//! | file | concern |
//! |---|---|
//! | this one | verbs and requests |
//! | `field` | texts, choices and switches |
//! | `ask` | what has to be asked for each verb, with proposed answers |
//! | `build` | from the answers to an operation; what is wrong with them, in words |
//! | `propose_names` | names for new files and snapshots |
//! | `why_not` | why a verb cannot act on what is selected |

mod ask;
mod build;
mod field;
mod propose_names;
mod why_not;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) use field::{Asked, Choice, Field, Value};

use super::operation::Operation;
use crate::chain::{StateSpec, ViewSpec};
use crate::forest::{Forest, Node};
use crate::job::Leftover;
use crate::plan::ViewId;
use crate::text::Shown;

/// What can be asked for. Which operation it leads to may depend on what is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    Commit,
    Pull,
    Rebase,
    Snapshot,
    Overlay,
    Export,
    Delete,
    Rename,
    GoBack,
    Resize,
    Compact,
    Convert,
    Import,
    Repair,
    CleanUp,
    Recover,
    Restore,
    EmptyTrash,
}

impl Verb {
    /// Its name in the palette and in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Pull => "pull",
            Self::Rebase => "rebase",
            Self::Snapshot => "snapshot",
            Self::Overlay => "overlay",
            Self::Export => "export",
            Self::Delete => "delete",
            Self::Rename => "rename",
            Self::GoBack => "go-back",
            Self::Resize => "resize",
            Self::Compact => "compact",
            Self::Convert => "convert",
            Self::Import => "import",
            Self::Repair => "repair",
            Self::CleanUp => "clean-up",
            Self::Recover => "recover",
            Self::Restore => "trash-restore",
            Self::EmptyTrash => "trash-empty",
        }
    }

    /// What the command line calls it, and other words that lead to it.
    pub(super) fn other_words(self) -> &'static str {
        match self {
            Self::Commit => "merge down",
            Self::Pull => "flatten stream merge up",
            Self::Snapshot => "snapshot create internal",
            Self::Overlay => "snapshot create external",
            Self::Export => "copy since delta chain",
            Self::Delete => "remove snapshot delete trash",
            Self::Rename => "move snapshot rename",
            Self::GoBack => "snapshot apply revert undo",
            Self::Resize => "grow shrink",
            Self::Compact => "shrink punch sparse",
            Self::Convert => "format in place qcow2 qed raw amend",
            Self::Repair => "check fix leaks",
            Self::CleanUp => "cleanup tidy keep last orphans delete several free space",
            Self::Recover => "finish roll back interrupted",
            Self::Rebase | Self::Import | Self::Restore | Self::EmptyTrash => "",
        }
    }

    /// Whether it is about what is selected, and not about a folder.
    fn is_about_a_row(self) -> bool {
        !matches!(self, Self::CleanUp | Self::Recover | Self::Restore | Self::EmptyTrash)
    }

    /// The words before a name, in titles: `Rebase Snap-2.qcow2`.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Commit => "Commit",
            Self::Pull => "Pull",
            Self::Rebase => "Rebase",
            Self::Snapshot => "Snapshot of",
            Self::Overlay => "Overlay on",
            Self::Export => "Export",
            Self::Delete => "Delete",
            Self::Rename => "Rename",
            Self::GoBack => "Go back to",
            Self::Resize => "Resize",
            Self::Compact => "Compact",
            Self::Convert => "Convert",
            Self::Import => "Import",
            Self::Repair => "Repair",
            Self::CleanUp => "Clean up",
            Self::Recover => "Recover",
            Self::Restore => "Restore from the trash",
            Self::EmptyTrash => "Empty the trash",
        }
    }
}

/// The row that a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) image: PathBuf,
    /// The internal snapshot: its id and its name.
    pub(super) snapshot: Option<(String, String)>,
}

impl Subject {
    /// The view, by what names it best.
    pub(super) fn view(&self) -> ViewSpec {
        let state = match &self.snapshot {
            None => StateSpec::Active,
            Some(_) => self.state(),
        };
        ViewSpec { path: self.image.clone(), state, format: None }
    }

    /// The snapshot: ids are never ambiguous.
    fn state(&self) -> StateSpec {
        self.snapshot.as_ref().map_or(StateSpec::Active, |(id, _)| StateSpec::Id(id.clone()))
    }

    /// As it is shown: safe to print.
    pub(super) fn name(&self) -> String {
        let file = self.image.file_name().unwrap_or(self.image.as_os_str()).to_string_lossy();
        let file = Shown::new(&file).into_string();
        match &self.snapshot {
            None => file,
            Some((id, name)) if name.is_empty() => format!("{file}@#{}", Shown::new(id)),
            Some((_, name)) => format!("{file}@{}", Shown::new(name)),
        }
    }
}

/// What lies beside the images of the forest: jobs that were cut off, and the trash.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside {
    pub(super) leftovers: Vec<Leftover>,
    pub(super) trash: Vec<InTrash>,
}

impl Beside {
    /// The job on the image at `path` that was cut off and waits for somebody.
    pub(super) fn of(&self, path: &Path) -> Option<&Leftover> {
        self.leftovers.iter().find(|left| !left.running && left.files.iter().any(|file| file == path))
    }
}

/// A file in the trash, as much as a choice needs of it.
#[derive(Debug, Clone)]
pub(super) struct InTrash {
    pub(super) path: PathBuf,
    /// Where it would go back to.
    pub(super) destination: PathBuf,
    pub(super) disk_size: u64,
    /// The title of the plan that moved it away, untrusted.
    pub(super) why: Option<String>,
}

/// Something asked for.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) verb: Verb,
    /// What it is about; nothing for what is about a folder.
    pub(super) subject: Option<Subject>,
    pub(super) fields: Vec<Field>,
    roots: Vec<PathBuf>,
    /// The views that a clean-up takes away.
    goes: BTreeSet<ViewId>,
}

/// Asked of whatever keeps or makes a view.
fn verify() -> Field {
    let label = "verify in full: read every view before and after";
    Field::toggle("verify", label, Asked::InPlace)
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The field.
    pub(super) key: &'static str,
    /// One sentence, safe to print.
    pub(super) why: String,
}

impl Request {
    /// A request with proposed answers.
    pub(super) fn new(verb: Verb, subject: Option<Subject>, forest: &Forest, beside: &Beside) -> Self {
        let mut fields = ask::fields(verb, subject.as_ref(), forest, beside);
        fields.push(verify());
        let subject = subject.filter(|_| verb.is_about_a_row());
        Self { verb, subject, fields, roots: forest.roots.clone(), goes: BTreeSet::new() }
    }

    /// A clean-up of these views.
    pub(super) fn clean_up(goes: BTreeSet<ViewId>, forest: &Forest) -> Self {
        let (fields, roots) = (vec![verify()], forest.roots.clone());
        Self { verb: Verb::CleanUp, subject: None, fields, roots, goes }
    }

    /// Whether something has to be asked before it can be planned.
    pub(super) fn asks(&self) -> bool {
        self.fields.iter().any(|field| field.asked != Asked::InPlace)
    }

    /// Whether every view that is made or kept is to be compared with what it must read.
    pub(super) fn verifies(&self) -> bool {
        matches!(self.field("verify"), Some(field) if matches!(field.value, Value::Toggle(true)))
    }

    /// The operation that the answers make, or what is wrong with one of them.
    pub(super) fn operation(&self, forest: &Forest) -> Result<Operation, Wrong> {
        build::operation(self, forest)
    }

    /// Why `verb` cannot act on the subject, in words.
    pub(super) fn why_not(
        verb: Verb,
        subject: Option<&Subject>,
        forest: &Forest,
        beside: &Beside,
    ) -> Option<String> {
        why_not::why_not(verb, subject, forest, beside)
    }

    /// What is asked for, in words that are safe to print.
    pub(super) fn title(&self) -> String {
        match (&self.subject, self.verb) {
            (Some(subject), Verb::Snapshot | Verb::Import) => {
                format!("{} {}", self.verb.title(), Subject { snapshot: None, ..subject.clone() }.name())
            }
            (Some(subject), Verb::GoBack) if subject.snapshot.is_none() => {
                format!("Throw away the changes of {}", subject.name())
            }
            (Some(subject), _) => format!("{} {}", self.verb.title(), subject.name()),
            (None, _) => self.verb.title().to_owned(),
        }
    }

    /// What an empty answer stands for, safe to print.
    pub(super) fn placeholder(&self, field: &Field) -> String {
        let held = build::held(self).filter(|_| field.key == "older");
        held.and_then(Path::file_name)
            .map(|name| Shown::new(&name.to_string_lossy()).into_string())
            .unwrap_or_default()
    }

    /// Whether a field means anything with the other answers as they are.
    pub(super) fn matters(&self, field: &Field) -> bool {
        // Only a delta is based on something.
        field.key != "older" || build::held(self).is_some()
    }

    pub(super) fn field(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    fn image(&self) -> &Path {
        self.subject.as_ref().map_or(Path::new(""), |subject| &subject.image)
    }

    fn node<'a>(&self, forest: &'a Forest) -> Option<&'a Node> {
        forest.get(forest.find(self.image())?)
    }
}
