//! Runs that are killed right before their first, second, third ... write, sync, new name or removed name.
//! Between two of those no file and no folder changes, so together they are every moment there is. (What
//! a power cut leaves of writes that no sync has followed yet is the matter of `tests/engine.rs`.)
//!
//! After each: what the plan does not name reads as before, the check finds nothing but leaks, `recover`
//! finishes what was begun, or undoes it, and the same command does what it was asked for.
//!
//! The default run takes some of the moments of each trial; `COWHERD_KILLS=all` takes all of them.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use cowherd::image;
use cowherd::storage::RealFile;

use crate::kill_trials::{Herd, TRIALS, Trial};
use crate::lab::{Lab, Views, assert_same};
use crate::{Case, case};

/// What changes a file, a folder, or what is durable of them; those that a system lacks left out.
const CALLS: &str = "?write,?writev,?pwrite64,?pwritev,?pwritev2,?fallocate,?ftruncate,?fdatasync,?fsync,\
    ?sync_file_range,?copy_file_range,?sendfile,?splice,?rename,?renameat,?renameat2,?link,?linkat,?unlink,\
    ?unlinkat,?mkdir,?mkdirat";
/// Moments of a trial in the default run.
const SOME: usize = 5;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, trial) in TRIALS {
        let programs = &["qemu-img", "qemu-io", "strace"];
        let killed = case(format!("kill::{name}"), move || cut(name, trial, Signal::Kill));
        let stopped = case(format!("kill::stop::{name}"), move || cut(name, trial, Signal::Term));
        cases.extend([killed, stopped].map(|case| case.needs(programs).unless(no_tracing)));
    }
    cases
}

/// Containers may forbid one process to trace another.
fn no_tracing() -> Option<String> {
    let run = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let works = run.is_ok_and(|done| done.status.success());
    (!works).then(|| "strace may not trace here".to_owned())
}

#[derive(Clone, Copy, PartialEq)]
enum Signal {
    Kill,
    /// Asks to stop, and the call takes long enough for that to be seen.
    Term,
}

/// The `nth` call by this name in some thread.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Moment {
    call: String,
    nth: usize,
}

fn cut(name: &str, trial: &Trial, signal: Signal) {
    let lab = Lab::new();
    (trial.make)(&lab);
    let before = lab.views();
    let (images, pristine) = (lab.dir(), lab.outside().join("pristine"));
    copy_folder(&images, &pristine);
    let all = moments(&lab, trial);
    let herd = Herd { lab: &lab, before: &before };
    assert!((trial.done)(&herd), "{name}: not what was asked for, and nobody disturbed it");
    let wanted = match (std::env::var("COWHERD_KILLS").as_deref(), signal) {
        (Ok("all"), _) => all.len(),
        (_, Signal::Kill) => SOME,
        (_, Signal::Term) => 2,
    };
    let mut seen = HashSet::new();
    let mut cut_off = 0;
    let again = |moment, what: &str| {
        std::fs::remove_dir_all(&images).unwrap();
        copy_folder(&pristine, &images);
        let done = interrupted(&lab, trial, moment, signal);
        // A plan is made without a handler: nothing has begun that could be left.
        let planning = signal == Signal::Term && done.status.signal() == Some(15);
        match planning {
            true => assert_eq!(content(&images), content(&pristine), "{what}: planning left something"),
            false => assert_ended(what, &done, signal),
        }
        !done.status.success()
    };
    for moment in spread(&all, wanted) {
        let what = format!("{name}: {} {}", moment.call, moment.nth);
        cut_off += usize::from(again(moment, &what));
        // Two moments may leave the same; the rest would be the same too.
        if seen.insert(content(&images)) {
            assert_unharmed(&what, &lab, trial, &before);
            if assert_finishes(&what, &herd, trial) {
                assert_unharmed(&format!("{what}, and recovered"), &lab, trial, &before);
                again(moment, &what);
                if assert_rolls_back(&what, &herd, trial) && trial.leaves_file() {
                    assert_same_file(&what, &pristine, &images, trial.image());
                }
            }
            assert_completes(&what, &herd, trial);
            assert_unharmed(&format!("{what}, and once more"), &lab, trial, &before);
        }
    }
    assert!(signal == Signal::Term || cut_off > 0, "{name}: no run was cut off");
}

fn spread(all: &[Moment], wanted: usize) -> Vec<&Moment> {
    let wanted = wanted.clamp(1, all.len());
    // The first leaves all as it was, so a sample ends with the last instead.
    (1..=wanted).map(|i| &all[i * all.len() / wanted - 1]).collect()
}

fn strace(lab: &Lab, options: &[&str], trial: &Trial) -> Output {
    Command::new("strace")
        .args(["-f", "-qq"])
        .args(options)
        .arg(env!("CARGO_BIN_EXE_cowherd"))
        .args(trial.line.split_whitespace())
        .args(["--yes", "-q"])
        .current_dir(lab.dir())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Every moment of an undisturbed run, in order.
fn moments(lab: &Lab, trial: &Trial) -> Vec<Moment> {
    let log = lab.outside().join("calls");
    let done = strace(lab, &["-o", log.to_str().unwrap(), "-e", &format!("trace={CALLS}")], trial);
    assert!(done.status.success(), "{}: {}", trial.line, String::from_utf8_lossy(&done.stderr));
    let mut counts = std::collections::HashMap::new();
    let mut moments = Vec::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        // `PID call(...`; what begins otherwise goes on with an earlier line.
        let Some((pid, rest)) = line.split_once(char::is_whitespace) else { continue };
        let call = rest.trim_start().split('(').next().unwrap();
        if call.starts_with(['<', '+', '-']) {
            continue;
        }
        let count = counts.entry((pid.to_owned(), call.to_owned())).or_insert(0);
        *count += 1;
        let moment = Moment { call: call.to_owned(), nth: *count };
        if !moments.contains(&moment) {
            moments.push(moment);
        }
    }
    assert!(moments.len() > 2, "{}: {moments:?}", trial.line);
    moments
}

fn interrupted(lab: &Lab, trial: &Trial, moment: &Moment, signal: Signal) -> Output {
    let how = match signal {
        Signal::Kill => "signal=KILL",
        Signal::Term => "signal=TERM:delay_exit=80000",
    };
    let inject = format!("inject={}:{how}:when={}", moment.call, moment.nth);
    strace(lab, &["-o", "/dev/null", "-e", &format!("trace={}", moment.call), "-e", &inject], trial)
}

fn assert_ended(what: &str, done: &Output, signal: Signal) {
    let said = String::from_utf8_lossy(&done.stderr);
    match (signal, done.status.code(), done.status.signal()) {
        (_, Some(0), _) | (Signal::Kill, _, Some(9)) => {}
        (Signal::Term, Some(143), _) => {
            assert!(said.contains("rolled back") || said.contains("resumable"), "{what}: {said}");
        }
        (_, code, number) => panic!("{what}: ended with {code:?} {number:?}: {said}"),
    }
}

fn assert_unharmed(what: &str, lab: &Lab, trial: &Trial, before: &Views) {
    let refused = refused(lab);
    for (view, bytes) in before.iter().filter(|(view, _)| !trial.names(view)) {
        let image = view.split('@').next().unwrap_or_default();
        if refused.iter().any(|name| name == image) {
            continue;
        }
        let (image, snapshot) = view.split_once('@').map_or((&**view, None), |(i, s)| (i, Some(s)));
        assert_same(&format!("{what}: {view}"), &lab.bytes(image, snapshot), bytes);
    }
    for name in lab.names().iter().filter(|name| !name.starts_with('.') && !refused.contains(name)) {
        let code = lab.try_tool("qemu-img", &["check", name]).status.code();
        assert!(matches!(code, Some(0 | 3 | 63)), "{what}: qemu-img check {name}: {code:?}");
    }
}

/// Images that a fence keeps everybody from, and those that read through one.
fn refused(lab: &Lab) -> Vec<String> {
    let reads = |name: &str| {
        let file = RealFile::open(&lab.path(name), false).unwrap();
        let format = image::probe(&file).unwrap();
        !image::is_fenced(&file, format).unwrap_or(false)
    };
    let names = lab.names().into_iter().filter(|name| !name.starts_with('.'));
    let chain = |name: &str| {
        let done = lab.try_tool("qemu-img", &["info", "--backing-chain", name]);
        done.status.success()
    };
    let all: Vec<_> = names.collect();
    match all.iter().all(|name| reads(name)) {
        true => Vec::new(),
        false => all.into_iter().filter(|name| !reads(name) || !chain(name)).collect(),
    }
}

/// Finishes what was interrupted, and says whether anything was: then all is as the command was to leave it.
fn assert_finishes(what: &str, herd: &Herd<'_>, trial: &Trial) -> bool {
    let left = herd.lab.run("recover --dry-run --json").expect(0).json();
    let left = left["interrupted"].as_array().unwrap().len();
    if left > 0 {
        let refused = herd.lab.run(&format!("{} --yes", trial.line));
        assert_eq!(refused.code, 14, "{what}: {}", refused.err);
    }
    let done = herd.lab.run("recover --yes");
    assert_eq!(done.code, 0, "{what}: recover: {}", done.err);
    assert!(
        left == 0 || (trial.done)(herd),
        "{what}: recover did not end it: {}",
        String::from_utf8_lossy(&done.out)
    );
    let (before, again) = (content(&herd.lab.dir()), herd.lab.run("recover --yes"));
    assert_eq!(
        (again.code, content(&herd.lab.dir())),
        (0, before),
        "{what}: recovering twice: {}",
        again.err
    );
    left > 0
}

/// Undoes what was interrupted: every view as before, the named ones too. Or says that it is too late. Gives
/// whether it was undone.
fn assert_rolls_back(what: &str, herd: &Herd<'_>, trial: &Trial) -> bool {
    let left = herd.lab.run("recover --dry-run --json").expect(0).json();
    let Some(can) = left["interrupted"][0]["can_roll_back"].as_bool() else { return false };
    let done = herd.lab.run("recover --roll-back --yes");
    assert_eq!(done.code == 0, can, "{what}: roll-back: {}", done.err);
    match can {
        true => {
            let now = herd.lab.views();
            assert_eq!(now.keys().collect::<Vec<_>>(), herd.before.keys().collect::<Vec<_>>(), "{what}");
            for (view, bytes) in herd.before {
                assert_same(&format!("{what}: {view}, rolled back"), &now[view], bytes);
            }
            let left = herd.lab.run("recover --dry-run --json").expect(0).json();
            assert_eq!(left["interrupted"].as_array().map(Vec::len), Some(0), "{what}: {left}");
        }
        false => assert_eq!(herd.lab.run("recover --yes").code, 0, "{what}"),
    }
    assert_unharmed(&format!("{what}, rolled back"), herd.lab, trial, herd.before);
    can
}

/// The file is what it was, byte for byte.
fn assert_same_file(what: &str, then: &Path, now: &Path, name: &str) {
    let [then, now] = [then, now].map(|folder| std::fs::read(folder.join(name)).unwrap());
    assert_same(&format!("{what}: the file {name}, rolled back"), &now, &then);
}

/// What was not done yet is done now; what was done may be refused, by a sentence and not by a defect.
fn assert_completes(what: &str, herd: &Herd<'_>, trial: &Trial) {
    let is_done = (trial.done)(herd);
    let again = herd.lab.run(&format!("{} --yes", trial.line));
    match is_done {
        true => assert!(matches!(again.code, 0..=2), "{what}: {}: {}", again.code, again.err),
        false => assert!(again.code == 0, "{what}: {}: {}", again.code, again.err),
    }
    assert!((trial.done)(herd), "{what}: the second run did not end it");
    let left: Vec<_> = herd.lab.names().into_iter().filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "{what}: {left:?} left behind");
}

fn copy_folder(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success(), "cp -a");
}

/// Names and bytes of everything in a folder, but for when it was written.
fn content(root: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            path.strip_prefix(root).unwrap().hash(&mut hasher);
            match path.is_dir() {
                true => folders.push(path),
                false => std::fs::read(&path).unwrap().hash(&mut hasher),
            }
        }
    }
    hasher.finish()
}
