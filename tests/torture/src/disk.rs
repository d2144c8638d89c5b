//! A small disk that can be filled.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use herald_processes::is_root;

/// Its size, in the words of `mount`. Some minutes of a log find room in it.
const SIZE: &str = "size=96m";

/// Bytes that are written at a time; and at the end, so that really nothing is left.
const CHUNKS: [usize; 2] = [64 * 1024, 512];

/// A folder on a disk of its own, where that can be had. Unmounted on drop.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    is_mounted: bool,
}

impl Disk {
    /// A folder at this path; for root it is a disk of its own.
    pub(crate) fn new(path: PathBuf) -> Result<Self, String> {
        std::fs::create_dir(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "herald-torture"]).arg(&path);
        let mounted = is_root().then(|| mount.stdout(Stdio::null()).stderr(Stdio::null()).status());
        let is_mounted = matches!(mounted, Some(Ok(status)) if status.success());
        Ok(Self { path, is_mounted })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be filled without filling the whole machine.
    pub(crate) fn can_be_full(&self) -> bool {
        self.is_mounted
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("cannot fill {}: {error}", self.path.display());
        let mut file = File::create(self.ballast()).map_err(failed)?;
        for size in CHUNKS {
            let chunk = vec![0_u8; size];
            loop {
                match file.write_all(&chunk) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        Ok(())
    }

    /// Makes room again.
    pub(crate) fn empty(&self) -> Result<(), String> {
        match std::fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(format!("cannot empty {}: {error}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            // Lazily: a process that is being killed may still hold a file.
            let mut unmount = std::process::Command::new("umount");
            let _ = unmount.arg("-l").arg(&self.path).status();
        }
    }
}
