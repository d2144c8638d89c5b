//! Copies an SQLite database while a herald writes to it. `herald backup` copies the database into a file, and
//! `herald restore` copies the other way.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf, absolute};

use sea_orm::sqlx::{self, Connection};

use super::DatabaseOptions;
use super::address::Address;
use super::damage::{examine, open, read_position};
use super::file::SqliteFile;

/// The refusal where the database is Postgres. It says what to do instead.
const ON_POSTGRES: &str = "herald backup is for SQLite. For Postgres, use pg_dump --format=custom, or a base backup with an archive of \
    the WAL (pg_basebackup); docs/operations.md says what to mind";

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The position of the newest event in it.
    pub position: i64,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Copies the database, as of one moment, into a new file that only its owner may read. A herald may write meanwhile.
/// The file gets its name when it is complete, checked and on disk. An existing file is never replaced.
///
/// # Errors
/// In words for the operator.
pub async fn backup(options: &DatabaseOptions, file: &Path) -> Result<Backup, String> {
    let Address::Sqlite(url) = Address::parse(&options.url)? else { return Err(ON_POSTGRES.into()) };
    let database = SqliteFile::find(&url)?;
    let file = absolute(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let taken = || format!("{} is there already, and a backup replaces nothing", file.display());
    if file.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let mut partial = file.clone().into_os_string();
    partial.push(format!(".partial-{}", std::process::id()));
    let (partial, backup) = copy(database.path(), partial.into(), options).await?;
    std::fs::hard_link(&partial.0, &file).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => taken(),
        _ => format!("cannot name the backup {}: {error}", file.display()),
    })?;
    drop(partial);
    sync_folder_of(&file)?;
    Ok(backup)
}

/// An unfinished file. It is removed when this is dropped, unless it got its final name.
#[derive(Debug)]
pub(super) struct Partial(pub(super) PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // A file that got its final name is no longer here.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Copies the database in the file `from`, with its WAL, into the new file `to`. The copy is complete, checked and on
/// disk when this returns.
///
/// # Errors
/// In words for the operator. Nothing is left behind.
pub(super) async fn copy(
    from: &Path,
    to: PathBuf,
    options: &DatabaseOptions,
) -> Result<(Partial, Backup), String> {
    let wrong = |error: &dyn std::fmt::Display| {
        format!("cannot copy {} to {}: {error}", from.display(), to.display())
    };
    let name = to.to_str().ok_or_else(|| wrong(&"its name is no UTF-8"))?;
    // SQLite writes into an existing file if it is empty, and keeps its permissions.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to).map_err(|error| wrong(&error))?;
    let partial = Partial(to.clone());
    let mut source = open(from, options.patience).await?;
    // One statement reads as of one moment. It blocks no writer, however long it takes.
    sqlx::query("VACUUM INTO $1").bind(name).execute(&mut source).await.map_err(|error| wrong(&error))?;
    source.close().await.map_err(|error| wrong(&error))?;
    let file = File::open(&to).map_err(|error| wrong(&error))?;
    file.sync_all().map_err(|error| wrong(&error))?;
    let bytes = file.metadata().map_err(|error| wrong(&error))?.len();
    let mut copied = open(&to, options.patience).await?;
    let is_damaged = |what: String| format!("the copy of {} is of no use: {what}", from.display());
    examine(&mut copied, None).await.map_err(is_damaged)?;
    let position = read_position(&mut copied).await.map_err(is_damaged)?;
    let position = position.ok_or_else(|| is_damaged("there is no log in it".into()))?;
    copied.close().await.map_err(|error| wrong(&error))?;
    Ok((partial, Backup { position, bytes }))
}

/// Writes the folder of `file` to disk, with the names in it.
pub(super) fn sync_folder_of(file: &Path) -> Result<(), String> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| format!("cannot write {}: {error}", folder.display()))
}
