//! A folder's files in one zip file. Names are sorted and times are given: the same files give the same bytes.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use anyhow::{Context as _, Result};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::inf::civil;

/// Zips the files of a folder, which has no folders in it.
pub(crate) fn zip(dir: &Path, to: &Path, time: u64) -> Result<()> {
    write(dir, to, time).with_context(|| format!("cannot make {}", to.display()))
}

fn write(dir: &Path, to: &Path, time: u64) -> Result<()> {
    let mut names: Vec<String> = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(moment(time));
    let mut archive = ZipWriter::new(File::create(to)?);
    for name in names {
        archive.start_file(&name, options)?;
        archive.write_all(&fs::read(dir.join(&name))?)?;
    }
    archive.finish()?;
    Ok(())
}

/// A time as zip files have it, which begin in 1980.
fn moment(time: u64) -> DateTime {
    let days = i64::try_from(time / 86_400).unwrap_or(i64::MAX / 2);
    let (year, month, day) = civil(days);
    let second = time % 86_400;
    let part = |value: u64| u8::try_from(value).unwrap_or(0);
    let date = |value: i64| u8::try_from(value).unwrap_or(0);
    u16::try_from(year)
        .ok()
        .and_then(|year| {
            DateTime::from_date_and_time(
                year,
                date(month),
                date(day),
                part(second / 3_600),
                part(second / 60 % 60),
                part(second % 60),
            )
            .ok()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_archive_has_the_folders_files_whatever_their_times() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).expect("create");
        let make = |name: &str| {
            for file in ["b", "a"] {
                fs::write(folder.join(file), [file, file].concat()).expect("write");
            }
            let to = dir.path().join(name);
            zip(&folder, &to, 1_709_251_199).expect("it zips");
            fs::read(to).expect("it is there")
        };
        assert_eq!(make("one.zip"), make("two.zip"));

        let file = File::open(dir.path().join("one.zip")).expect("it is there");
        let mut archive = zip::ZipArchive::new(file).expect("a zip file");
        assert_eq!(archive.len(), 2);
        let mut entry = archive.by_index(0).expect("an entry");
        assert_eq!(entry.name().expect("it has a name"), "a");
        let time = entry.last_modified().expect("it has a time");
        assert_eq!(
            (time.year(), time.month(), time.day(), time.hour()),
            (2024, 2, 29, 23)
        );
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        assert_eq!(text, "aa");
    }

    #[test]
    fn a_time_before_1980_is_the_first_that_there_is() {
        assert_eq!(moment(0), DateTime::default());
    }
}
