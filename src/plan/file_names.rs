//! Names for new files, made from what somebody else wrote into an image.

use std::collections::HashSet;

/// Longest part of a name that is taken over, in bytes: file systems stop at 255, and an ending and the mark
/// of a file under way come on top.
const MOST: usize = 160;

/// Names that are taken.
#[derive(Debug, Default)]
pub(super) struct FileNames(HashSet<String>);

impl FileNames {
    /// A name like `wish.ending` that no other one is like: of letters, digits and `_ - . +` alone, so that it
    /// leads nowhere and no shell, terminal or option parser takes it for something else.
    pub(super) fn take(&mut self, wish: &str, ending: &str) -> String {
        self.unlike_others(&safe(wish), &format!(".{ending}"))
    }

    /// The same, without an ending.
    pub(super) fn bare(&mut self, wish: &str) -> String {
        self.unlike_others(&safe(wish), "")
    }

    fn unlike_others(&mut self, stem: &str, ending: &str) -> String {
        let mut count = 1;
        loop {
            let name = match count {
                1 => format!("{stem}{ending}"),
                n => format!("{stem}-{n}{ending}"),
            };
            // Some file systems do not tell cases apart.
            if self.0.insert(name.to_lowercase()) {
                return name;
            }
            count += 1;
        }
    }
}

fn safe(wish: &str) -> String {
    let fine = |c: char| c.is_alphanumeric() || "_-.+".contains(c);
    let mut out = String::new();
    for c in wish.chars() {
        let c = if fine(c) { c } else { '_' };
        if out.len() + c.len_utf8() > MOST {
            break;
        }
        out.push(c);
    }
    let out = out.trim_start_matches(['.', '-']);
    if out.is_empty() { "unnamed".to_owned() } else { out.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_and_are_unlike_each_other() {
        let mut names = FileNames::default();
        for (wish, name) in [
            ("imageA_sn0", "imageA_sn0.qcow2"),
            ("imageA_sn0", "imageA_sn0-2.qcow2"),
            ("IMAGEA_sn0", "IMAGEA_sn0-3.qcow2"),
            ("../../etc/passwd", "_.._etc_passwd.qcow2"),
            ("-rf", "rf.qcow2"),
            ("", "unnamed.qcow2"),
            ("...", "unnamed-2.qcow2"),
            ("a b\n\u{1b}[2J", "a_b___2J.qcow2"),
            ("größe", "größe.qcow2"),
        ] {
            assert_eq!(names.take(wish, "qcow2"), name);
        }
        let long = names.take(&"ä".repeat(300), "qcow2");
        assert!(long.len() < 200 && long.ends_with("ä.qcow2"));
    }
}
