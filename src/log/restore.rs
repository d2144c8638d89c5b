//! Puts a backup in the place of an SQLite database. herald may be stopped at any moment: the database that is opened
//! next is the previous one or the restored one, and each is whole.
//!
//! 1. herald copies the backup to `herald.db-restoring`, checks the copy, brings its schema up to date, and begins a
//!    new
//!    epoch in it.
//! 2. It renames the copy to `herald.db-restored`. From here on the restore is decided: the next process that has the
//!    lock of the database completes it ([`finish`]).
//! 3. It gives the previous database a second name, moves the WAL to that name, and puts the restored database in its
//!    place.

use std::ffi::OsString;
use std::fs::{File, hard_link, remove_file, rename};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::address::Address;
use super::backup::{copy, sync_folder_of};
use super::damage::{examine, open};
use super::database::acquire_lock;
use super::file::{RESTORED, SqliteFile};
use super::head::read_head;
use super::{Database, DatabaseOptions};

/// The suffix of a copy that is not complete.
const RESTORING: &str = "-restoring";

/// The suffixes of files that SQLite reads as part of the database beside them.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The suffixes of files that SQLite and herald keep beside an open database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-lock"];

/// What to do on Postgres instead.
const ON_POSTGRES: &str = "herald restore is for SQLite. For Postgres, stop every herald, restore with pg_restore or \
    from the base backup, run `herald migrate --restored`, and start them again";

/// A backup that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The position at which its log ends.
    pub position: i64,
    /// The file of the previous database; `None` if that was empty or did not exist.
    pub kept: Option<PathBuf>,
}

/// Puts the backup `from` in the place of the database, and begins a new epoch. No herald may have the database open.
/// The previous database is kept.
///
/// # Errors
/// Why the restore failed, for the operator. Unless the error says otherwise, the database has not changed.
pub async fn restore(options: &DatabaseOptions, from: &Path) -> Result<Restored, String> {
    let address = Address::parse(&options.url)?;
    let Address::Sqlite(url) = &address else { return Err(ON_POSTGRES.into()) };
    let wrong = |error: &dyn std::fmt::Display| format!("cannot restore {}: {error}", from.display());
    let from = &from.canonicalize().map_err(|error| wrong(&error))?;
    let database = SqliteFile::create(url)?;
    if from == database.path() {
        return Err(wrong(&"it is the database itself"));
    }
    let _lock = acquire_lock(&database, &address, options.patience, false).await?;
    let mut backup = open(from, options.patience).await?;
    examine(&mut backup, None).await.map_err(|damage| wrong(&format!("it is damaged: {damage}")))?;
    drop(backup);
    let restoring = database.beside(RESTORING);
    // A restore that was killed may have left these files.
    remove_with_companions(&restoring);
    let (partial, _) = copy(from, restoring.clone(), options).await?;
    let position = begin_anew(&database, &restoring, options).await.map_err(|error| wrong(&error))?;
    let renamed = rename(&restoring, database.beside(RESTORED));
    drop(partial);
    renamed.map_err(|error| wrong(&error))?;
    sync_folder_of(&restoring)?;
    let kept = finish(&database)?;
    Ok(Restored { position, kept })
}

/// Brings the schema of the copy up to date, and begins a new epoch in it. Returns the position at which its log ends.
async fn begin_anew(database: &SqliteFile, copy: &Path, options: &DatabaseOptions) -> Result<i64, String> {
    let owner = database.path().metadata().map_err(|error| error.to_string())?;
    // When root restores a database, the file keeps its owner. For any other user the owner is right already.
    let _ = chown(copy, Some(owner.uid()), Some(owner.gid()));
    let name =
        utf8_percent_encode(copy.to_str().ok_or("its name is not UTF-8")?, NON_ALPHANUMERIC).to_string();
    let options = DatabaseOptions { url: format!("sqlite://{name}?mode=rw"), ..options.clone() };
    let opened = Database::open(&options).await?;
    let begun = match read_head(&opened.reader).await {
        Ok(head) => opened.begin_epoch_after(head.epoch).await,
        Err(fault) => Err(fault),
    };
    opened.close().await;
    let head = begun.map_err(|fault| format!("herald cannot begin a new epoch: {fault}"))?;
    let has_wal = std::fs::metadata(with_suffix(copy, "-wal")).is_ok();
    for suffix in COMPANIONS {
        drop(remove_file(with_suffix(copy, suffix)));
    }
    if has_wal {
        return Err("SQLite cannot empty its WAL".into());
    }
    File::open(copy).and_then(|file| file.sync_all()).map_err(|error| error.to_string())?;
    Ok(head.position.0)
}

/// Completes a restore that was decided, if there is one. The caller has the lock, and has not opened the database yet.
/// Returns the file of the previous database, if there is one.
///
/// # Errors
/// Why the files cannot be moved, for the operator.
pub(super) fn finish(database: &SqliteFile) -> Result<Option<PathBuf>, String> {
    let restored = database.beside(RESTORED);
    let replace = || {
        let since = match restored.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            metadata => metadata?.modified()?,
        };
        let kept = keep(database, Timestamp::try_from(since).unwrap_or_default())?;
        // Without this, a loss of power could bring the old WAL back, and SQLite would read it as part of the restored
        // database.
        let folder = File::open(restored.parent().unwrap_or(Path::new("/")))?;
        folder.sync_all()?;
        rename(&restored, database.path())?;
        folder.sync_all()?;
        Ok(kept)
    };
    replace().map_err(|error: std::io::Error| {
        format!("cannot put {} in the place of {}: {error}", restored.display(), database.path().display())
    })
}

/// Gives the database a second name with the time `since`, and moves its WAL there. It may be repeated wherever it was
/// stopped.
fn keep(database: &SqliteFile, since: Timestamp) -> std::io::Result<Option<PathBuf>> {
    let path = database.path();
    let is_empty = path.metadata()?.len() == 0 && !database.beside("-wal").exists();
    if is_empty {
        return Ok(None);
    }
    let stamp = since.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let inode = |path: &Path| path.metadata().ok().map(|metadata| metadata.ino());
    let mut kept = database.beside(&format!(".before-{stamp}"));
    let mut number = 1;
    while kept.symlink_metadata().is_ok() && inode(&kept) != inode(path) {
        number += 1;
        kept = database.beside(&format!(".before-{stamp}-{number}"));
    }
    if kept.symlink_metadata().is_err() {
        hard_link(path, &kept)?;
    }
    for suffix in LOGS {
        match rename(database.beside(suffix), with_suffix(&kept, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(Some(kept))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn remove_with_companions(path: &Path) {
    let _ = remove_file(path);
    for suffix in COMPANIONS {
        drop(remove_file(with_suffix(path, suffix)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [(&str, &str); 4] =
        [("", "old"), ("-wal", "old wal"), ("-shm", "old shm"), ("-journal", "old journal")];

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    /// A database with its WAL, and a decided restore that is to replace it.
    fn decided() -> (Folder, SqliteFile) {
        let folder = std::env::temp_dir().join(format!("herald_restore_{}", crate::random::id().simple()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("herald.db");
        for (suffix, text) in OLD {
            std::fs::write(with_suffix(&path, suffix), text).unwrap();
        }
        std::fs::write(with_suffix(&path, RESTORED), "new").unwrap();
        let file = SqliteFile::create(&format!("sqlite://{}", path.display())).unwrap();
        (Folder(folder), file)
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    fn assert_done(database: &SqliteFile, kept: &Path) {
        assert_eq!(read(database.path()), "new");
        for (suffix, text) in OLD {
            assert_eq!(read(&with_suffix(kept, suffix)), text);
        }
        for suffix in [&LOGS[..], &[RESTORED]].concat() {
            assert!(!database.beside(suffix).exists(), "{suffix}");
        }
        assert_eq!(database.path().metadata().unwrap().nlink(), 1);
    }

    #[test]
    fn a_decided_restore_is_completed_wherever_it_was_stopped() {
        // It stops before the first step, after the second name, or after each file that is moved.
        for steps in [None, Some(0), Some(1), Some(2), Some(3)] {
            let (_folder, database) = decided();
            let since = database.beside(RESTORED).metadata().unwrap().modified().unwrap();
            let kept = keep(&database, Timestamp::try_from(since).unwrap()).unwrap().unwrap();
            for suffix in &LOGS[steps.unwrap_or(0)..] {
                rename(with_suffix(&kept, suffix), database.beside(suffix)).unwrap();
            }
            if steps.is_none() {
                remove_file(&kept).unwrap();
            }
            // The file now has two names. It is found by the name in the URL.
            let again = SqliteFile::create(&format!("sqlite://{}", database.path().display())).unwrap();
            let kept = finish(&again).unwrap().unwrap();
            assert_done(&database, &kept);
            assert_eq!(finish(&again).unwrap(), None);
        }
    }

    #[test]
    fn a_previous_database_that_was_kept_before_is_never_replaced() {
        let (_folder, database) = decided();
        let since = database.beside(RESTORED).metadata().unwrap().modified().unwrap();
        let since = Timestamp::try_from(since).unwrap();
        let first = keep(&database, since).unwrap().unwrap();
        remove_file(database.path()).unwrap();
        std::fs::write(database.path(), "another").unwrap();
        let second = keep(&database, since).unwrap().unwrap();
        assert_eq!((read(&first).as_str(), read(&second).as_str()), ("old", "another"));
    }

    #[test]
    fn an_empty_database_is_not_kept() {
        let (_folder, database) = decided();
        std::fs::write(database.path(), "").unwrap();
        remove_file(database.beside("-wal")).unwrap();
        assert_eq!(finish(&database).unwrap(), None);
        assert_eq!(read(database.path()), "new");
    }
}
