//! Running every command on a case and comparing with its verdict.

use std::path::Path;

use crate::case::{Case, Expect};
use crate::child::{Answer, cowherd};
use crate::stage::{Stage, Watch};
use crate::trace::{self, Touch};

/// The promise, whatever is in the image and however the program was built.
const MAX_SECONDS: f64 = 2.0;
const MAX_MEMORY: u64 = 256 << 20;
/// Steps that open what another one opens.
const REPEATED: &[&str] = &["info x.img --json", "tree ."];

/// Done or refused: how far a damage reaches is for other steps to say.
const EITHER: i32 = -1;
/// Refused, for whatever is wrong first.
const REFUSED: i32 = -2;

/// One command line, what it must answer, and the files it may open.
struct Step<'a> {
    args: Vec<&'a str>,
    expect: Expect,
    opens: Vec<String>,
}

/// Everything that is wrong with how the program treats a case; empty when all is well.
pub(crate) fn judge(case: &Case) -> Vec<String> {
    let stage = Stage::set(case);
    let before = stage.state();
    let (inside, outside) = (Watch::on(&stage.herd), Watch::on(&stage.outside));
    let mut wrong = Vec::new();
    for step in steps(case) {
        let answer = cowherd(&stage.herd, &step.args);
        let (mut opened, mut beyond) = (inside.opened(), outside.opened());
        if !beyond.is_empty() || opened.iter().any(|name| !step.opens.contains(name)) {
            // A watch sees other programs too; what we open, we open again.
            cowherd(&stage.herd, &step.args);
            let (again, again_beyond) = (inside.opened(), outside.opened());
            opened.retain(|name| again.contains(name));
            beyond.retain(|name| again_beyond.contains(name));
        }
        let mut say = |what: String| wrong.push(format!("{}: {what}", step.args.join(" ")));
        for name in opened.iter().filter(|name| !step.opens.contains(name)) {
            say(format!("opened {name}"));
        }
        for name in beyond {
            say(format!("opened {name} outside"));
        }
        compare(&step, &answer, &mut say);
    }
    if stage.state() != before {
        wrong.push("a file changed".to_owned());
    }
    wrong
}

/// The same by strace, of the whole file system.
pub(crate) fn trace(case: &Case) -> Vec<String> {
    let stage = Stage::set(case);
    let mut wrong = Vec::new();
    for step in steps(case).iter().filter(|step| !REPEATED.contains(&step.args.join(" ").as_str())) {
        for touch in trace::touched(&stage.herd, &step.args) {
            if !step.may(&touch, &stage.herd) {
                wrong.push(format!("{}: {touch:?}", step.args.join(" ")));
            }
        }
    }
    wrong
}

impl Step<'_> {
    fn may(&self, touch: &Touch, herd: &Path) -> bool {
        let commits = ["commit", "convert"].contains(&self.args[0]);
        if touch.path == herd {
            return !touch.change && (commits || ["export", "tree"].contains(&self.args[0]));
        }
        match touch.path.strip_prefix(herd) {
            Ok(name) => self.opens.iter().any(|open| Path::new(open) == name) && (commits || !touch.change),
            Err(_) => !touch.change && trace::of_the_system(&touch.path),
        }
    }
}

fn steps(case: &Case) -> Vec<Step<'_>> {
    let verdict = &case.verdict;
    let alone = vec!["x.img".to_owned()];
    let chain = [alone.clone(), case.may_open.clone()].concat();
    let all = [chain.clone(), vec!["over.qcow2".to_owned()]].concat();
    let step = |line: &'static str, expect, opens: &[String]| Step {
        args: line.split(' ').collect(),
        expect,
        opens: opens.to_vec(),
    };
    let commit = match verdict.commit.0 {
        0 => "commit over.qcow2 --dry-run",
        _ => "commit over.qcow2 --yes",
    };
    let mut steps = vec![
        step("info x.img", verdict.info, &alone),
        step("info x.img --json", (verdict.info.0, ""), &alone),
        step("check x.img", verdict.check, &alone),
        step("map x.img", verdict.map, &chain),
        step("cat x.img --length 2M", verdict.cat, &chain),
        step("tree .", (0, verdict.tree), &all),
        step("tree . --space", (0, ""), &all),
        step(commit, verdict.commit, &all),
    ];
    // What can be done would change the image itself.
    let (expect, how) = if verdict.commit.0 == 13 && verdict.check.0 != 3 {
        (REFUSED, "--yes")
    } else {
        (EITHER, "--dry-run")
    };
    for to in ["qed", "raw"] {
        let line = step("convert x.img --in-place --to", (expect, ""), &all);
        steps.push(Step { args: [line.args, vec![to, how]].concat(), ..line });
    }
    // Every snapshot too, and its machine state. A plan for 256 layers, or of millions of tables, is as long as
    // they are.
    if !["bomb/", "chain/"].iter().any(|long| case.name.starts_with(long)) {
        steps.push(step("export x.img --chain --out out --dry-run", (EITHER, ""), &all));
    }
    steps
}

fn compare(step: &Step<'_>, answer: &Answer, say: &mut impl FnMut(String)) {
    let (code, words) = step.expect;
    let text = String::from_utf8_lossy(&answer.out);
    let is = answer.status.code();
    let fine = match code {
        EITHER => matches!(is, Some(0 | 1 | 2 | 12 | 13)),
        REFUSED => matches!(is, Some(2 | 10 | 12 | 13)),
        code => is == Some(code),
    };
    if !fine {
        say(format!("{} instead of {code}; {} {}", answer.status, answer.err, last_line(&text)));
    }
    let heard = if code <= 0 || !answer.out.is_empty() {
        format!("{text}{}", answer.err)
    } else {
        answer.err.clone()
    };
    if !heard.contains(words) {
        say(format!("no \"{words}\" in: {} {}", answer.err, &text[..text.len().min(600)]));
    }
    if answer.err.contains("panicked") {
        say(answer.err.clone());
    }
    if is != Some(0) && !matches!(code, 0 | 2 | 3) && !(1..=2).contains(&answer.err.lines().count()) {
        say(format!("not one line and a remedy: {}", answer.err));
    }
    if answer.seconds > MAX_SECONDS {
        say(format!("took {:.1} s", answer.seconds));
    }
    if answer.memory > MAX_MEMORY {
        say(format!("took {} MiB", answer.memory >> 20));
    }
    let shown = if step.args[0] == "cat" || step.args.contains(&"--json") { "" } else { &text };
    if let Some(c) = shown.chars().chain(answer.err.chars()).find(|c| is_unsafe(*c)) {
        say(format!("printed {}", c.escape_unicode()));
    }
}

fn last_line(text: &str) -> &str {
    let line = text.lines().last().unwrap_or_default();
    line.get(..200).unwrap_or(line)
}

/// What a terminal must not be given.
fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}
