//! The archive of a backup: a zip file, with a table of contents that has the size and SHA-256 of each file.
//!
//! ```text
//! actions/actions.db                    the actions
//! datastores/connector_…_datastore.db   what Fetch remembers of each task
//! configuration/actiond.cfg             for people; it is not put back
//! backup.json                           the table of contents
//! ```

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use actiond_actors::store::sqlite::CopyContent;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::BackupError;
use crate::documents::beneath::Folder;

const CONTENTS: &str = "backup.json";
/// The format of the table of contents.
const FORMAT: u32 = 1;
/// Largest size of the table of contents, in bytes.
const MAX_CONTENTS: u64 = 10_000_000;
const CHUNK: usize = 256 << 10;
/// The fastest: databases shrink to a fifth by it, and little more by others.
const LEVEL: i64 = 1;

/// A file that is to be put into an archive.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    path: PathBuf,
}

impl Source {
    pub(super) fn new(name: impl Into<String>, path: &Path) -> Self {
        Self { name: name.into(), path: path.to_owned() }
    }
}

/// The table of contents.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Contents {
    format: u32,
    /// The version of the server that made it.
    version: String,
    actions: u64,
    running: u64,
    pub(super) files: Vec<Entry>,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
    sha256: String,
}

/// Writes an archive with these files into a directory, reads all of it again, and only then gives it its name; returns that and
/// the size in bytes.
pub(super) fn write_into(
    folder: &Folder,
    stem: &str,
    files: &[Source],
    content: CopyContent,
) -> Result<(String, u64), BackupError> {
    let io = |error: io::Error| BackupError::io(folder.path().display(), &error);
    // Without the time, so that the next one removes what a crash has left.
    let of_server = stem.split_once('_').map_or(stem, |(_, of_server)| of_server);
    let part = format!(".{of_server}.zip.part");
    folder.remove(&part).map_err(io)?;
    let written = folder.create(&part).map_err(io).and_then(|mut file| {
        let contents = write(&mut file, files, content)?;
        file.sync_all().map_err(io)?;
        verify(&file, &contents)?;
        Ok(file.metadata().map_err(io)?.len())
    });
    let named = written.and_then(|size| {
        let name = free_name(folder, stem).map_err(io)?;
        folder.publish(&part, &name).map_err(io)?;
        Ok((name, size))
    });
    if named.is_err() {
        // It may not be there.
        let _ = folder.remove(&part);
    }
    named
}

/// Returns a name that nothing has yet: two backups may be of one second.
fn free_name(folder: &Folder, stem: &str) -> io::Result<String> {
    let mut name = format!("{stem}.zip");
    let mut number = 1;
    while folder.has(&name)? {
        number += 1;
        name = format!("{stem}_{number}.zip");
    }
    Ok(name)
}

fn write(file: &mut File, files: &[Source], content: CopyContent) -> Result<Contents, BackupError> {
    let failed =
        |error: ZipError| BackupError::Io(format!("the archive can't be written: {error}"));
    let mut zip = ZipWriter::new(file);
    let mut entries = Vec::new();
    for Source { name, path } in files {
        let unread = |error: io::Error| BackupError::io(path.display(), &error);
        let mut source = File::open(path).map_err(unread)?;
        let size = source.metadata().map_err(unread)?.len();
        zip.start_file(name, options(size)).map_err(failed)?;
        let (size, sha256) = copy(&mut source, &mut zip)
            .map_err(|error| BackupError::Io(format!("the archive can't be written: {error}")))?;
        entries.push(Entry { name: name.clone(), size, sha256 });
    }
    let contents = Contents {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        actions: content.actions,
        running: content.running,
        files: entries,
    };
    let text =
        serde_json::to_vec_pretty(&contents).map_err(|error| BackupError::Io(error.to_string()))?;
    zip.start_file(CONTENTS, options(0)).map_err(failed)?;
    zip.write_all(&text).map_err(|error| failed(error.into()))?;
    zip.finish().map_err(failed)?;
    Ok(contents)
}

fn options(size: u64) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .unix_permissions(0o600)
        // A little more may come than there was.
        .large_file(size > u64::from(u32::MAX / 2))
}

/// Copies all of it; returns its size in bytes and its SHA-256.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut hash, mut size, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let read = from.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        to.write_all(bytes)?;
        size += read as u64;
    }
    Ok((size, format!("{:x}", hash.finalize())))
}

/// Reads an archive that was written, and compares each byte with what was put into it.
fn verify(file: &File, contents: &Contents) -> Result<(), BackupError> {
    let mut archive = Archive::open(file)?;
    if archive.contents.files != contents.files {
        return Err(BackupError::Io("the archive does not hold what was written".to_owned()));
    }
    archive.check().map_err(|error| match error {
        BackupError::Archive(error) => BackupError::Io(error),
        other => other,
    })
}

/// An archive that is read.
pub(super) struct Archive<R> {
    zip: ZipArchive<R>,
    contents: Contents,
}

impl<R: Read + Seek> Archive<R> {
    /// Opens an archive, and reads its table of contents.
    pub(super) fn open(file: R) -> Result<Self, BackupError> {
        let no = |why: String| BackupError::Archive(why);
        let mut zip =
            ZipArchive::new(file).map_err(|error| no(format!("no whole zip file: {error}")))?;
        let mut text = Vec::new();
        match zip.by_name(CONTENTS) {
            Ok(entry) => entry.take(MAX_CONTENTS).read_to_end(&mut text),
            Err(error) => return Err(no(format!("it has no {CONTENTS}: {error}"))),
        }
        .map_err(|error| no(format!("{CONTENTS}: {error}")))?;
        let contents: Contents =
            serde_json::from_slice(&text).map_err(|error| no(format!("{CONTENTS}: {error}")))?;
        if contents.format != FORMAT {
            let Contents { format, version, .. } = contents;
            return Err(no(format!(
                "it has format {format}, by version {version}; this version reads {FORMAT}"
            )));
        }
        let mut names = HashSet::new();
        match contents.files.iter().find(|entry| !names.insert(&entry.name)) {
            None => Ok(Self { zip, contents }),
            Some(twice) => Err(no(format!("{} is in it twice", twice.name))),
        }
    }

    pub(super) fn files(&self) -> &[Entry] {
        &self.contents.files
    }

    /// Reads all files, and checks that each is as it was put in.
    pub(super) fn check(&mut self) -> Result<(), BackupError> {
        for entry in self.contents.files.clone() {
            self.copy(&entry, &mut io::sink())?;
        }
        Ok(())
    }

    /// Copies a file out of it, and checks that it is as it was put in.
    pub(super) fn copy(&mut self, entry: &Entry, to: &mut impl Write) -> Result<(), BackupError> {
        let name = &entry.name;
        let found = self
            .zip
            .by_name(name)
            .map_err(|error| BackupError::Archive(format!("{name}: {error}")))?;
        // Not a byte more is written than was promised, whatever it unpacks to.
        let mut found = Unpacked { inner: found.take(entry.size.saturating_add(1)), error: None };
        let copied = copy(&mut found, to);
        match (copied, found.error) {
            (_, Some(error)) => Err(BackupError::Archive(format!("{name}: {error}"))),
            (Err(error), None) => {
                Err(BackupError::Io(format!("{name} can't be unpacked: {error}")))
            }
            (Ok((size, sha256)), None) if size == entry.size && sha256 == entry.sha256 => Ok(()),
            (Ok(_), None) => Err(BackupError::Archive(format!("{name} is not as it was put in"))),
        }
    }
}

/// A reader that keeps its error, to tell it from one of the writer.
struct Unpacked<R> {
    inner: R,
    error: Option<String>,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read(into).inspect_err(|error| self.error = Some(error.to_string()))
    }
}
