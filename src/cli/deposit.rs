//! Files put in their place whole: written beside it, synced, and then moved, so that there is never
//! half of one, whatever happens.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::exit::{Code, Failure};

/// Writes a new file. One that is there is replaced where `overwrite` says so; its permissions stay.
pub fn write(output: &Path, bytes: &[u8], overwrite: bool) -> Result<(), Failure> {
    // What is behind a link is replaced, not the link.
    let real = if overwrite { fs::canonicalize(output).ok() } else { None };
    let place = real.as_deref().unwrap_or(output);
    let mut beside = OsString::from(".");
    beside.push(place.file_name().unwrap_or_default());
    beside.push(format!(".{}", std::process::id()));
    let beside = place.with_file_name(beside);
    let written = File::create_new(&beside)
        .map_err(|error| (Code::FILE_CREATE, error))
        .and_then(|mut file| fill(&mut file, bytes, place).map_err(|error| (Code::FILE_IO, error)))
        .and_then(|()| {
            // A link does not replace what has come to be there meanwhile.
            let moved = if overwrite { fs::rename(&beside, place) } else { fs::hard_link(&beside, place) };
            moved.map_err(|error| (Code::FILE_CREATE, error))
        });
    let _ = fs::remove_file(&beside);
    written.map_err(|(code, error)| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(output),
        _ => Failure::file(code, "write", output, &error),
    })
}

fn fill(file: &mut File, bytes: &[u8], place: &Path) -> io::Result<()> {
    if let Ok(old) = fs::metadata(place) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

/// Something is in the way.
pub fn exists(output: &Path) -> Failure {
    let output = output.display();
    Failure::new(
        Code::EXISTS,
        format_args!("{output} is there already; give --overwrite or another --output"),
    )
}
