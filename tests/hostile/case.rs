//! One malformed image, and what each command must say about it.

use crate::build::Bytes;
use crate::stage::Stage;

/// An exit code, and words that must be in the answer.
pub(crate) type Expect = (i32, &'static str);

/// What each command must say. Where a command fails, the words are in its error line.
#[derive(Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) info: Expect,
    pub(crate) check: Expect,
    pub(crate) map: Expect,
    pub(crate) cat: Expect,
    /// Always exit code 0: a forest shows what is wrong with its images. Words in the text.
    pub(crate) tree: &'static str,
    /// Committing an overlay into the image; where that is fine, only planned.
    pub(crate) commit: Expect,
}

/// Nothing is wrong as far as anybody can tell.
pub(crate) fn sound() -> Verdict {
    Verdict {
        info: (0, "x.img"),
        check: (0, "clean"),
        map: (0, ""),
        cat: (0, ""),
        tree: "x.img",
        commit: (0, "over.qcow2"),
    }
}

/// The image cannot be opened at all; these words name the field.
pub(crate) fn refused(words: &'static str) -> Verdict {
    let no = (13, words);
    Verdict { info: no, check: (1, words), map: no, cat: no, tree: words, commit: no }
}

/// The image opens and reads, but the check finds it corrupt; nothing is written.
pub(crate) fn corrupt(words: &'static str) -> Verdict {
    Verdict { check: (2, words), commit: (13, "damaged"), ..sound() }
}

/// The same, and what is damaged is not read either.
pub(crate) fn unreadable(words: &'static str) -> Verdict {
    Verdict { map: (13, words), cat: (13, words), ..corrupt(words) }
}

impl Verdict {
    pub(crate) fn info(self, code: i32, words: &'static str) -> Self {
        Self { info: (code, words), ..self }
    }

    pub(crate) fn check(self, code: i32, words: &'static str) -> Self {
        Self { check: (code, words), ..self }
    }

    pub(crate) fn map(self, code: i32, words: &'static str) -> Self {
        Self { map: (code, words), ..self }
    }

    pub(crate) fn cat(self, code: i32, words: &'static str) -> Self {
        Self { cat: (code, words), ..self }
    }

    pub(crate) fn tree(self, words: &'static str) -> Self {
        Self { tree: words, ..self }
    }

    pub(crate) fn commit(self, code: i32, words: &'static str) -> Self {
        Self { commit: (code, words), ..self }
    }
}

/// A named case.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// Further files that `map` and `cat` may open, and `tree` may look at.
    pub(crate) may_open: Vec<String>,
    pub(crate) set: Box<dyn Fn(&Stage) + Send + Sync>,
}

/// A case that is one file.
pub(crate) fn case(name: impl Into<String>, bytes: Bytes, verdict: Verdict) -> Case {
    scene(name, verdict, &[], move |stage| stage.put("x.img", &bytes))
}

/// A case that is more than one file; `x.img` is the one in question.
pub(crate) fn scene(
    name: impl Into<String>,
    verdict: Verdict,
    may_open: &[&str],
    set: impl Fn(&Stage) + Send + Sync + 'static,
) -> Case {
    let may_open = may_open.iter().map(|s| (*s).to_owned()).collect();
    Case { name: name.into(), verdict, may_open, set: Box::new(set) }
}
