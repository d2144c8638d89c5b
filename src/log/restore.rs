//! Putting a backup in the place of an SQLite database. Whatever stops herald in between, what is opened next is the
//! database of before or the restored one, each as a whole.
//!
//! 1. The backup is copied to `herald.db-restoring`, checked, brought up to date, and begins a new epoch there.
//! 2. It is renamed to `herald.db-restored`. From here on the restore is decided: whoever next has the lock of the database
//!    does what is left ([`finish`]).
//! 3. The database of before gets a second name, its WAL is moved to that name, and the restored one takes its place.

use std::ffi::OsString;
use std::fs::{File, hard_link, remove_file, rename};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::backup::{copy, sync_folder_of};
use super::connection::Address;
use super::damage::{examine, open};
use super::database::acquire_lock;
use super::file::{RESTORED, SqliteFile};
use super::head::read_head;
use super::{Database, DatabaseOptions};

/// What ends the name of the copy that is being made.
const RESTORING: &str = "-restoring";

/// What SQLite would take for part of a database that is beside it.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What SQLite and herald keep beside a database that is open.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-lock"];

/// What to do instead where the database is Postgres.
const ON_POSTGRES: &str = "herald restore is for SQLite. For Postgres, stop every herald, restore with pg_restore or from the base backup, \
    run `herald migrate --restored`, and start them again";

/// A backup that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where its log ends.
    pub position: i64,
    /// Where the database of before is now; `None` if there was none.
    pub kept: Option<PathBuf>,
}

/// Puts the backup `from` in the place of the database, which no herald may have open, and begins a new epoch. The
/// database of before is kept.
///
/// # Errors
/// In words for the operator. Unless they say otherwise, the database is as it was.
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
    // What a restore that was killed has left.
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

/// Brings the copy up to date and has it begin a new epoch. The answer is where its log ends.
async fn begin_anew(database: &SqliteFile, copy: &Path, options: &DatabaseOptions) -> Result<i64, String> {
    let owner = database.path().metadata().map_err(|error| error.to_string())?;
    // Where root restores somebody's database, it stays theirs. Nobody else can change this, or has to.
    let _ = chown(copy, Some(owner.uid()), Some(owner.gid()));
    let name =
        utf8_percent_encode(copy.to_str().ok_or("its name is no UTF-8")?, NON_ALPHANUMERIC).to_string();
    let options = DatabaseOptions { url: format!("sqlite://{name}?mode=rw"), ..options.clone() };
    let opened = Database::open(&options).await?;
    let begun = match read_head(&opened.reader).await {
        Ok(head) => opened.begin_epoch_after(head.epoch).await,
        Err(fault) => Err(fault),
    };
    opened.close().await;
    let head = begun.map_err(|fault| format!("no new epoch can be begun: {fault}"))?;
    let is_whole = std::fs::metadata(with(copy, "-wal")).is_err();
    for ending in BESIDE {
        drop(remove_file(with(copy, ending)));
    }
    if !is_whole {
        return Err("its WAL cannot be emptied".into());
    }
    File::open(copy).and_then(|file| file.sync_all()).map_err(|error| error.to_string())?;
    Ok(head.position.0)
}

/// Brings a restore to its end that was decided, if there is one: for whoever has the lock, before the database is
/// opened. The answer is where the database of before is now.
///
/// # Errors
/// In words for the operator.
pub(super) fn finish(database: &SqliteFile) -> Result<Option<PathBuf>, String> {
    let restored = database.beside(RESTORED);
    let put = || {
        let made = match restored.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            made => made?.modified()?,
        };
        let kept = keep(database, Timestamp::try_from(made).unwrap_or_default())?;
        // A WAL that came back after a loss of power would be taken for one of the restored database.
        let folder = File::open(restored.parent().unwrap_or(Path::new("/")))?;
        folder.sync_all()?;
        rename(&restored, database.path())?;
        folder.sync_all()?;
        Ok(kept)
    };
    put().map_err(|error: std::io::Error| {
        format!("cannot put {} in the place of {}: {error}", restored.display(), database.path().display())
    })
}

/// Gives the database a second name, and moves its WAL there. May be repeated after it was stopped anywhere.
fn keep(database: &SqliteFile, since: Timestamp) -> std::io::Result<Option<PathBuf>> {
    let path = database.path();
    let is_empty = path.metadata()?.len() == 0 && !database.beside("-wal").exists();
    if is_empty {
        return Ok(None);
    }
    let stamp = since.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let node = |path: &Path| path.metadata().ok().map(|metadata| metadata.ino());
    let mut kept = database.beside(&format!(".before-{stamp}"));
    let mut number = 1;
    while kept.symlink_metadata().is_ok() && node(&kept) != node(path) {
        number += 1;
        kept = database.beside(&format!(".before-{stamp}-{number}"));
    }
    if kept.symlink_metadata().is_err() {
        hard_link(path, &kept)?;
    }
    for ending in LOGS {
        match rename(database.beside(ending), with(&kept, ending)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(Some(kept))
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut path = OsString::from(path);
    path.push(ending);
    path.into()
}

fn remove_with_companions(path: &Path) {
    let _ = remove_file(path);
    for ending in BESIDE {
        drop(remove_file(with(path, ending)));
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

    /// A database with its WAL, and one that is to take its place.
    fn decided() -> (Folder, SqliteFile) {
        let folder = std::env::temp_dir().join(format!("herald_restore_{}", crate::random::id().simple()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("herald.db");
        for (ending, text) in OLD {
            std::fs::write(with(&path, ending), text).unwrap();
        }
        std::fs::write(with(&path, RESTORED), "new").unwrap();
        let file = SqliteFile::create(&format!("sqlite://{}", path.display())).unwrap();
        (Folder(folder), file)
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    fn assert_done(database: &SqliteFile, kept: &Path) {
        assert_eq!(read(database.path()), "new");
        for (ending, text) in OLD {
            assert_eq!(read(&with(kept, ending)), text);
        }
        for ending in [&LOGS[..], &[RESTORED]].concat() {
            assert!(!database.beside(ending).exists(), "{ending}");
        }
        assert_eq!(database.path().metadata().unwrap().nlink(), 1);
    }

    #[test]
    fn a_decided_restore_is_brought_to_its_end_wherever_it_was_stopped() {
        // Before its first step, and after each of the others: the second name, and what is moved to it.
        for steps in [None, Some(0), Some(1), Some(2), Some(3)] {
            let (_folder, database) = decided();
            let since = database.beside(RESTORED).metadata().unwrap().modified().unwrap();
            let kept = keep(&database, Timestamp::try_from(since).unwrap()).unwrap().unwrap();
            for ending in &LOGS[steps.unwrap_or(0)..] {
                rename(with(&kept, ending), database.beside(ending)).unwrap();
            }
            if steps.is_none() {
                remove_file(&kept).unwrap();
            }
            // It is found again by its name, although there are two of it for the moment.
            let again = SqliteFile::create(&format!("sqlite://{}", database.path().display())).unwrap();
            let kept = finish(&again).unwrap().unwrap();
            assert_done(&database, &kept);
            assert_eq!(finish(&again).unwrap(), None);
        }
    }

    #[test]
    fn nothing_that_was_kept_before_is_replaced() {
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
