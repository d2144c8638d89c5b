//! Settings for the memory allocator of the C library. herald has no allocator of its own.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Settings of glibc's allocator (`man mallopt`). By default, glibc keeps eight arenas for each processor and takes
/// large blocks from them, so that the memory of large answers stays with the process. With these settings, glibc
/// returns it to the system. Other C libraries ignore them.
const SETTINGS: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];

/// Starts this program again in the same process with these settings, unless the operator has set any of them. A
/// program cannot set them for itself, because glibc reads them before the program begins. If the start fails, this
/// function returns and herald goes on without them.
pub fn restart_with_settings() {
    if SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let mut arguments = std::env::args_os();
    let Some(name) = arguments.next() else { return };
    let Ok(program) = std::env::current_exe() else { return };
    // `exec` returns only if it fails.
    let _ = Command::new(program).arg0(name).args(arguments).envs(SETTINGS).exec();
}
