//! As whom programs run.

use std::os::unix::fs::MetadataExt;

/// Whether this process is root's. The system shows a process as a folder that its user owns.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Whom Postgres and PgBouncer run as where we are root, as which they refuse to run.
pub(crate) const USER: &str = "postgres";
