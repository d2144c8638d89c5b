//! The file of an SQLite database: made for its owner only, and locked for as long as a herald has it open.
//!
//! The lock is on a file of its own beside the database (`herald.db-lock`), which stays. A lock on the database itself
//! would take SQLite's own locks away when it is let go, as locks of POSIX belong to the process.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;

/// An SQLite database, by the one name that all links to it lead to.
#[derive(Debug)]
pub(super) struct SqliteFile {
    path: PathBuf,
}

impl SqliteFile {
    /// Makes the file where there is none and the URL allows it (`mode=rwc`).
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn create(url: &str) -> Result<Self, String> {
        let sqlite: SqliteConnectOptions = url
            .parse()
            .map_err(|_| "the SQLite URL cannot be read: expected sqlite://FILE?mode=rwc".to_owned())?;
        let file = sqlite.get_filename();
        if url.contains("mode=rwc") {
            create_private(file)?;
        }
        let wrong = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => {
                format!("there is no {}: with ?mode=rwc in its URL, it would be made", file.display())
            }
            _ => format!("cannot open {}: {error}", file.display()),
        };
        let path = file.canonicalize().map_err(wrong)?;
        let names = path.metadata().map_err(wrong)?.nlink();
        if names > 1 {
            return Err(format!(
                "{} has {names} names (hard links), and SQLite would keep a log beside each: changes would be lost. \
                 Make a copy of it, and name that",
                path.display()
            ));
        }
        Ok(Self { path })
    }

    /// Takes the lock; `None` while another herald has it.
    ///
    /// # Errors
    /// In words for the operator: why there can be no lock.
    pub(super) fn try_lock(&self) -> Result<Option<FileLock>, String> {
        let file = self.open_lock()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock(Arc::new(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(format!("cannot lock {}: {error}. Is it on a local disk?", self.lock_path().display()))
            }
        }
    }

    /// What to tell an operator whose other herald has the lock.
    pub(super) fn is_taken(&self) -> String {
        format!(
            "another herald has {} open, and two cannot share an SQLite file. Stop the other one first (`fuser {}` says \
             which it is), or use Postgres",
            self.path.display(),
            self.lock_path().display()
        )
    }

    fn lock_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push("-lock");
        path.into()
    }

    fn open_lock(&self) -> Result<File, String> {
        let path = self.lock_path();
        let open = || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            // What root does to somebody's database must not keep its owner out, as SQLite sees to for its own files.
            let owner = |of: &Metadata| (of.uid(), of.gid());
            let (database, lock) = (self.path.metadata()?, file.metadata()?);
            if owner(&database) != owner(&lock) {
                // Only root may; whoever else has the lock's file open may lock it.
                let _ = fchown(&file, Some(database.uid()), Some(database.gid()));
            }
            Ok(file)
        };
        open().map_err(|error: std::io::Error| {
            format!(
                "cannot open {}: {error}. herald locks this file, and has to be able to write it and its folder",
                path.display()
            )
        })
    }
}

/// Held for as long as the database is open. The system lets it go with the process, however that ends.
#[derive(Debug, Clone)]
pub(super) struct FileLock(Arc<File>);

impl FileLock {
    /// Lets it go, whoever still holds a clone.
    pub(super) fn release(&self) {
        // A lock that cannot be let go goes with the process.
        let _ = self.0.unlock();
    }
}

/// Makes a file that only its owner may read, where there is none: it holds password hashes. What SQLite puts beside it
/// has the same permissions.
fn create_private(file: &Path) -> Result<(), String> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(format!("cannot create {}: {error}", file.display()))
        }
        _ => Ok(()),
    }
}
