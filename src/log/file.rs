//! The file of an SQLite database. Only its owner may read it, and it is locked while a herald has it open.
//!
//! The lock is on a separate file beside the database (`herald.db-lock`), which is never removed. POSIX locks belong to
//! the process: if herald locked the database itself, the end of that lock would end SQLite's own locks too.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;

/// The suffix of a database that is completely restored and will replace the existing one.
pub(super) const RESTORED: &str = "-restored";

/// The path of an SQLite database, with all links resolved.
#[derive(Debug)]
pub(super) struct SqliteFile {
    path: PathBuf,
}

impl SqliteFile {
    /// Creates the file if it does not exist and the URL allows it (`mode=rwc`).
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn create(url: &str) -> Result<Self, String> {
        let named = path_in(url)?;
        if url.contains("mode=rwc") {
            create_private(&named)?;
        }
        let file = Self::at(&named, "with ?mode=rwc in its URL, it would be made")?;
        let links = file.path.metadata().map_err(|error| cannot_open(&named, &error))?.nlink();
        // Amid a restore, the previous file has a second name for a moment.
        if links > 1 && !file.beside(RESTORED).exists() {
            return Err(format!(
                "{} has {links} names (hard links), and SQLite would keep a log beside each: changes would be lost. \
                 Make a copy of it, and name that",
                file.path.display()
            ));
        }
        Ok(file)
    }

    /// Finds an existing file for reading, without the lock.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn find(url: &str) -> Result<Self, String> {
        let file = Self::at(&path_in(url)?, "--database must name the database of a herald")?;
        if file.beside(RESTORED).exists() {
            return Err(format!(
                "a restore of {} was interrupted: `herald migrate` brings it to its end",
                file.path.display()
            ));
        }
        Ok(file)
    }

    fn at(named: &Path, advice: &str) -> Result<Self, String> {
        let path = named.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                format!("there is no {}: {advice}", named.display())
            }
            _ => cannot_open(named, &error),
        })?;
        Ok(Self { path })
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the file beside it whose name is this one's name and `ending`.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
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

    /// The sentence for an operator whose other herald has the lock.
    pub(super) fn is_taken(&self) -> String {
        format!(
            "another herald has {} open, and two cannot share an SQLite file. Stop the other one first (`fuser {}` says \
             which it is), or use Postgres",
            self.path.display(),
            self.lock_path().display()
        )
    }

    fn lock_path(&self) -> PathBuf {
        self.beside("-lock")
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
            // If root creates the lock's file, the owner of the database must be able to open it. SQLite does so too.
            let owner = |of: &Metadata| (of.uid(), of.gid());
            let (database, lock) = (self.path.metadata()?, file.metadata()?);
            if owner(&database) != owner(&lock) {
                // Only root may do this. Every other user can lock the file that it has opened.
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

/// A lock that herald has while the database is open. The system releases it when the process ends in any way.
#[derive(Debug, Clone)]
pub(super) struct FileLock(Arc<File>);

impl FileLock {
    /// Releases the lock, even if clones of it exist.
    pub(super) fn release(&self) {
        // If this fails, the lock ends with the process.
        let _ = self.0.unlock();
    }
}

fn path_in(url: &str) -> Result<PathBuf, String> {
    let sqlite: SqliteConnectOptions = url
        .parse()
        // The error of sqlx quotes the URL, which may hold a password that was meant for Postgres.
        .map_err(|_| "the SQLite URL cannot be read: expected sqlite://FILE?mode=rwc".to_owned())?;
    Ok(sqlite.get_filename().to_owned())
}

fn cannot_open(file: &Path, error: &std::io::Error) -> String {
    format!("cannot open {}: {error}", file.display())
}

/// Creates a file that only its owner may read, unless it exists. It holds password hashes. SQLite gives the files
/// beside it the same permissions.
fn create_private(file: &Path) -> Result<(), String> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(format!("cannot create {}: {error}", file.display()))
        }
        _ => Ok(()),
    }
}
