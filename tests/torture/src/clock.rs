//! The wall clock of one node, which libfaketime lets jump.

use std::path::PathBuf;

/// Where Debian keeps libraries, by architecture.
const LIBRARIES: &str = "/usr/lib";

/// libfaketime, for programs with threads.
const FAKETIME: &str = "faketime/libfaketimeMT.so.1";

/// libfaketime, where it is installed.
pub(crate) fn library() -> Option<PathBuf> {
    let architectures = std::fs::read_dir(LIBRARIES).ok()?.flatten();
    architectures.map(|folder| folder.path().join(FAKETIME)).find(|library| library.is_file())
}

/// A clock that is as far from the true time as its file says. Only the wall clock: what measures how long
/// something takes goes on as it was.
#[derive(Debug)]
pub(crate) struct Clock {
    library: PathBuf,
    file: PathBuf,
    /// By how many milliseconds it is ahead of the true time when nothing befalls it.
    ahead: i64,
}

impl Clock {
    /// A clock that is so many milliseconds ahead of the true time.
    pub(crate) fn new(library: PathBuf, file: PathBuf, ahead: i64) -> Result<Self, String> {
        let clock = Self { library, file, ahead };
        clock.step(0)?;
        Ok(clock)
    }

    /// The environment in which a program has this clock.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let (library, file) = (self.library.display().to_string(), self.file.display().to_string());
        let env = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
            ("FAKETIME_NO_CACHE", "1"),
            // The name of this variable depends on the version of libfaketime.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
            // Its shared memory would stay behind when a process is killed.
            ("FAKETIME_DISABLE_SHM", "1"),
        ];
        env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Has the clock be so many milliseconds further ahead than when nothing befalls it.
    pub(crate) fn step(&self, further: i64) -> Result<(), String> {
        let ahead = self.ahead + further;
        let (sign, millis) = (if ahead < 0 { '-' } else { '+' }, ahead.unsigned_abs());
        let offset = format!("{sign}{}.{:03}", millis / 1_000, millis % 1_000);
        // The file is replaced in one step, because it may be read at any time.
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{offset}\n"))
            .and_then(|()| std::fs::rename(&next, &self.file))
            .map_err(|error| format!("cannot write {}: {error}", self.file.display()))
    }
}
