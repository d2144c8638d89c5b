//! Where programs are.

use std::path::{Path, PathBuf};

/// Where Debian installs servers, which not everybody's PATH has.
const SERVERS: &str = "/usr/sbin";

/// The program of this name, which the Debian package of the same name has.
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from(SERVERS)])
        .map(|folder| Path::join(&folder, name))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("no {name} is installed: install the package {name}"))
}
