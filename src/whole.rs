//! Files that are there whole, or not at all.

use crate::error::Error;
use std::fs;
use std::path::Path;

/// Writes a file so that it is there whole or as it was before: written beside it, synced, renamed.
pub(crate) fn write_whole(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
    let failed = |problem| Error::Write { path: path.into(), problem };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = fs::File::create(&beside).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes.as_ref()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}
