//! Files that hold secrets: their owner's alone, and replaced whole or not at all.

use super::FolderError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Bytes that any of these files may have.
const BYTES_MAX: u64 = 64 << 10;

/// A buffer that is wiped on drop.
pub(super) struct Wiped(Vec<u8>);

impl std::ops::Deref for Wiped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

/// Makes the folder, durably, unless it is there.
pub(super) fn make_folder(path: &Path) -> Result<(), FolderError> {
    if path.is_dir() {
        return Ok(());
    }
    let failed = |problem| FolderError::Io { what: "make the folder", path: path.to_owned(), problem };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent).map_err(failed),
        _ => sync_folder(Path::new(".")).map_err(failed),
    }
}

/// The bytes of a secret; `None` when there is no such file.
pub(super) fn read_secret(path: &Path) -> Result<Option<Wiped>, FolderError> {
    let failed = |problem| FolderError::Io { what: "read", path: path.to_owned(), problem };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(problem) if problem.kind() == ErrorKind::NotFound => return Ok(None),
        Err(problem) => return Err(failed(problem)),
    };
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FolderError::Exposed { path: path.to_owned(), mode });
    }
    // Room for all of it from the start: what a growing buffer leaves behind would not be wiped.
    let mut bytes = Wiped(Vec::with_capacity(metadata.len().min(BYTES_MAX) as usize + 1));
    file.take(BYTES_MAX).read_to_end(&mut bytes.0).map_err(failed)?;
    Ok(Some(bytes))
}

/// Replaces the file `name` in `folder`: after a crash it holds all of `bytes`, or what it held before.
pub(super) fn write_secret(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
    let path = folder.join(name);
    replace(folder, name, bytes).map_err(|problem| FolderError::Io { what: "write", path, problem })
}

fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let fresh = folder.join(format!("{name}.new"));
    match fs::remove_file(&fresh) {
        Err(problem) if problem.kind() != ErrorKind::NotFound => return Err(problem),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(name))?;
    sync_folder(folder)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
