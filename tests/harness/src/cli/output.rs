//! Files that were asked for.

use core::fmt;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::Error;

/// Writes a file, or standard output where its name is `-`.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let written = if path == Path::new("-") {
        std::io::stdout().write_all(text.as_bytes())
    } else {
        fs::write(path, text)
    };
    written.map_err(|error| Error::File {
        path: path.to_path_buf(),
        why: error.to_string(),
    })
}

/// The same, of JSON.
pub(super) fn json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::Unverified(format!("the JSON cannot be written: {error}")))?;
    write(path, &format!("{text}\n"))
}

/// What people read: on standard output, unless a file was asked for there.
#[derive(Clone, Copy)]
pub(super) struct Human {
    aside: bool,
}

impl Human {
    /// Beside these files.
    pub(super) fn beside<'a>(files: impl IntoIterator<Item = &'a Option<PathBuf>>) -> Self {
        let aside = files.into_iter().flatten().any(|path| path == Path::new("-"));
        Self { aside }
    }

    /// Says something.
    pub(super) fn line(self, text: impl fmt::Display) {
        if self.aside {
            anstream::eprintln!("{text}");
        } else {
            anstream::println!("{text}");
        }
    }
}
