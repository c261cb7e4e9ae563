//! Where images lie: on the usual file system, or on one that shares blocks between files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use tempfile::TempDir;

/// The file under a loop-mounted file system; sparse.
const XFS_BYTES: u64 = 24 << 30;
/// Says that this process has its mounts for itself.
const APART: &str = "COWHERD_BENCH_APART";

/// A folder, gone with the value.
pub(crate) struct Place {
    folder: TempDir,
    mounted: Option<PathBuf>,
}

impl Place {
    /// Where temporary files lie anyway.
    pub(crate) fn usual() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), mounted: None }
    }

    /// On a new XFS with reflinks; otherwise why there is none.
    pub(crate) fn reflink() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("mounting a file system takes root".to_owned());
        }
        let mut place = Self::usual();
        let (image, at) = (place.folder.path().join("xfs.img"), place.folder.path().join("mounted"));
        std::fs::create_dir(&at).unwrap();
        File::create_new(&image).unwrap().set_len(XFS_BYTES).unwrap();
        run(Command::new("mkfs.xfs").args(["-q", "-m", "reflink=1"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &at]))?;
        place.mounted = Some(at);
        Ok(place)
    }

    pub(crate) fn path(&self) -> &Path {
        self.mounted.as_deref().unwrap_or(self.folder.path())
    }

    /// What to say about it.
    pub(crate) fn name(&self) -> &'static str {
        if self.mounted.is_some() { "XFS with reflinks" } else { "usual file system" }
    }

    pub(crate) fn shares(&self) -> bool {
        self.mounted.is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(at) = &self.mounted {
            let _ = run(Command::new("umount").arg(at));
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|e| format!("{program}: {e}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}

/// As root, runs all of this again where its mounts are its own: then they end with it, however it ends.
pub(crate) fn apart() -> Option<ExitCode> {
    if !rustix::process::geteuid().is_root() || std::env::var_os(APART).is_some() {
        return None;
    }
    let mut again = Command::new("unshare");
    again.args(["--mount", "--propagation", "private"]).arg(std::env::current_exe().ok()?);
    let status = again.args(std::env::args_os().skip(1)).env(APART, "1").status().ok()?;
    Some(ExitCode::from(status.code().map_or(1, |code| code as u8)))
}
