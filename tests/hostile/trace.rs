//! What the kernel was asked to open, by strace: of the whole file system, not only where a watch is.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// System calls that bring in what is in a file or folder.
const OPENING: &[&str] = &["open", "openat", "openat2", "creat", "execve", "execveat", "name_to_handle_at"];
/// System calls with a path that change nothing.
const HARMLESS: &[&str] = &[
    "access",
    "faccessat",
    "faccessat2",
    "getcwd",
    "newfstatat",
    "fstatat64",
    "stat",
    "lstat",
    "statx",
    "statfs",
    "statfs64",
    "readlink",
    "readlinkat",
    "chdir",
];

/// One path that a program went to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    /// Where it really lies; where nothing could be opened, the name that was asked for.
    pub(crate) path: PathBuf,
    /// Whether it was to be written to, made, renamed, removed or otherwise changed.
    pub(crate) change: bool,
}

/// Why nothing can be traced here.
pub(crate) fn unavailable() -> Option<String> {
    let run = Command::new("strace").args(["-f", "--seccomp-bpf", "-e", "trace=%file", "true"]).output();
    match run {
        Err(_) => Some("strace not installed".to_owned()),
        Ok(run) if !run.status.success() => {
            let said = String::from_utf8_lossy(&run.stderr);
            Some(format!("strace does not work here: {}", said.lines().next().unwrap_or_default()))
        }
        Ok(_) => None,
    }
}

/// Runs cowherd in `dir`; everything that it opened or changed, or tried to.
pub(crate) fn touched(dir: &Path, args: &[&str]) -> Vec<Touch> {
    let logs = TempDir::new().unwrap();
    // A log for each thread: lines are never cut in two by another thread's.
    let traced = Command::new("strace")
        .args(["-ff", "--seccomp-bpf", "-qq", "-y", "-e", "trace=%file", "-e", "signal=none", "-o"])
        .arg(logs.path().join("log"))
        .arg(env!("CARGO_BIN_EXE_cowherd"))
        .args(args)
        .current_dir(dir)
        // Cargo's own, which the loader would search.
        .env_remove("LD_LIBRARY_PATH")
        .env("COWHERD_LIBVIRT_DIRS", "")
        // Nobody's settings.
        .env_remove("HOME")
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(traced.unwrap().code().is_some(), "{args:?} was killed");
    let logs = fs::read_dir(logs.path()).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()));
    let all: Vec<_> =
        logs.flat_map(|log| log.unwrap().lines().filter_map(touch).collect::<Vec<_>>()).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_cowherd"));
    assert!(all.iter().any(|touch| touch.path == program), "the trace of {args:?} shows nothing: {all:?}");
    all
}

/// What a line of a log opens or changes. A line that cannot be read might hide something.
fn touch(line: &str) -> Option<Touch> {
    let read = || {
        let (call, rest) = line.split_once('(')?;
        let (arguments, result) = rest.rsplit_once(" = ")?;
        let (before, name) = arguments.split_once('"')?;
        Some((call, before, name, result))
    };
    let (call, before, name, result) = read().unwrap_or_else(|| panic!("cannot read the trace: {line}"));
    if HARMLESS.contains(&call) {
        return None;
    }
    let (name, flags) = unquote(name);
    let change = !OPENING.contains(&call)
        || call == "creat"
        || ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| flags.contains(flag));
    let path = match inside(result) {
        Some(real) => real,
        None => normal(&inside(before).unwrap_or_default().join(name)),
    };
    Some(Touch { path, change })
}

/// The path in angle brackets that follows the number of an open file.
fn inside(text: &str) -> Option<PathBuf> {
    let (_, path) = text.split_once('<')?;
    let (path, _) = path.rsplit_once('>')?;
    Some(unquote(path).0)
}

/// Undoes strace's escapes up to a quotation mark; the path, and what follows it.
fn unquote(text: &str) -> (PathBuf, &str) {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.bytes().next() {
        // Only ASCII is printed as it is.
        rest = &rest[1..];
        match c {
            b'"' => break,
            b'\\' => {
                let digits = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let (byte, len) = match rest.as_bytes()[0] {
                    _ if digits > 0 => (u8::from_str_radix(&rest[..digits], 8).unwrap(), digits),
                    b'n' => (b'\n', 1),
                    b't' => (b'\t', 1),
                    b'r' => (b'\r', 1),
                    b'v' => (0x0b, 1),
                    b'f' => (0x0c, 1),
                    other => (other, 1),
                };
                bytes.push(byte);
                rest = &rest[len..];
            }
            c => bytes.push(c),
        }
    }
    (OsString::from_vec(bytes).into(), rest)
}

/// Without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut out, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = out.pop(),
            part => out.push(part),
        }
        out
    })
}

/// What any program of this kind opens: the loader's libraries, and what the standard library wants
/// to know about the machine. Every path is spelled out.
pub(crate) fn of_the_system(path: &Path) -> bool {
    let Some(text) = path.to_str() else { return false };
    if let Some(of_process) = text.strip_prefix("/proc/") {
        let (process, what) = of_process.split_once('/').unwrap_or_default();
        return match process {
            // The stack's size; the share of processors.
            "self" => ["maps", "cgroup", "mountinfo"].contains(&what),
            number if number.bytes().all(|b| b.is_ascii_digit()) => {
                ["maps", "cgroup", "mountinfo"].contains(&what)
            }
            // The allocator.
            "sys" => what == "vm/overcommit_memory",
            _ => false,
        };
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if text.starts_with("/sys/fs/cgroup/") {
        return ["cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"].contains(&name);
    }
    let library = ["/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/"].iter().any(|dir| text.starts_with(dir));
    library && ["libc.so.6", "libm.so.6", "libgcc_s.so.1"].contains(&name)
        || ["/etc/ld.so.cache", "/etc/localtime"].contains(&text)
        || path == Path::new(env!("CARGO_BIN_EXE_cowherd"))
}

/// Checks of the reading itself: a trace that is misread proves nothing.
pub(crate) fn reads_its_lines() {
    let seen = |line: &str| touch(line).map(|t| (t.path.display().to_string(), t.change));
    let some = |path: &str, change| Some((path.to_owned(), change));
    for (line, expected) in [
        (r#"openat(AT_FDCWD</h>, "x.img", O_RDONLY|O_CLOEXEC) = 3</h/x.img>"#, some("/h/x.img", false)),
        (r#"openat(AT_FDCWD</h>, "link", O_RDWR) = 3</o/secret>"#, some("/o/secret", true)),
        (
            r#"openat(5</h/b>, "../../o/a\"\33\\", O_RDONLY) = -1 ENOENT (No such file or directory)"#,
            some("/o/a\"\u{1b}\\", false),
        ),
        (r#"openat2(AT_FDCWD</h>, "a", {flags=O_RDONLY, resolve=0}, 24) = 4</h/a>"#, some("/h/a", false)),
        (r#"open("/etc/shadow", O_RDONLY) = -1 EACCES (Permission denied)"#, some("/etc/shadow", false)),
        (r#"unlink("/h/x.img") = 0"#, some("/h/x.img", true)),
        (r#"execve("/bin/sh", ["sh"], 0x7ffc /* 3 vars */) = 0"#, some("/bin/sh", false)),
        (r#"statx(AT_FDCWD</h>, "/h/x.img", 0, STATX_ALL, {stx_size=1}) = 0"#, None),
    ] {
        assert_eq!(seen(line), expected, "{line}");
    }
    for path in ["/proc/self/mem", "/proc/1/root/etc", "/etc/passwd", "/dev/zero", "/sys/kernel/notes", "/"] {
        assert!(!of_the_system(Path::new(path)), "{path}");
    }
}
