//! How the C library keeps memory for later. What lives here: its settings. What never does: an allocator.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Settings of glibc's allocator (`man mallopt`). By default it keeps eight arenas for each processor, which hold what large
/// answers were made of, and takes ever larger blocks from them once large blocks were freed. With these it gives the
/// memory back. musl and others ignore them.
const SETTINGS: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];

/// Starts this program again in the same process with the settings, unless the operator has set any of them. They are read
/// before a program begins, so that it cannot set them for itself. Goes on without them where that fails.
pub fn settle() {
    if SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let mut arguments = std::env::args_os();
    let Some(name) = arguments.next() else { return };
    let Ok(program) = std::env::current_exe() else { return };
    // Comes back only if it fails.
    let _ = Command::new(program).arg0(name).args(arguments).envs(SETTINGS).exec();
}
