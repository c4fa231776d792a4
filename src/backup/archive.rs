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
use crate::aci::words::shorten;
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

/// The name of an archive before it is whole. The time is not in it, so that the next one removes what a crash has left.
pub(super) fn part_name(stem: &str) -> String {
    let of_server = stem.split_once('_').map_or(stem, |(_, of_server)| of_server);
    format!(".{of_server}.zip.part")
}

/// Tells whether a file has such a name.
pub(super) fn is_part(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".zip.part") && !name.contains(['/', '\\'])
}

/// Writes an archive with these files into a directory, reads all of it again, and only then gives it its name; returns that and
/// the size in bytes.
pub(super) fn write_into(
    folder: &Folder,
    stem: &str,
    files: &[Source],
    content: CopyContent,
    goes_on: GoesOn<'_>,
) -> Result<(String, u64), BackupError> {
    let io = |error: io::Error| BackupError::io(folder.path().display(), &error);
    let part = part_name(stem);
    folder.remove(&part).map_err(io)?;
    let written = folder.create(&part).map_err(io).and_then(|file| {
        let contents = write(&file, files, content, goes_on).map_err(|error| match error {
            WriteError::Archive(error) => io(error.into()),
            WriteError::Source(error) => error,
        })?;
        file.sync_all().map_err(io)?;
        verify(&file, &contents, goes_on)?;
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

/// The reason for which an archive was not written.
enum WriteError {
    Archive(ZipError),
    Source(BackupError),
}

impl From<ZipError> for WriteError {
    fn from(error: ZipError) -> Self {
        Self::Archive(error)
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Archive(error.into())
    }
}

fn write(
    file: &File,
    files: &[Source],
    content: CopyContent,
    goes_on: GoesOn<'_>,
) -> Result<Contents, WriteError> {
    let mut zip = ZipWriter::new(UntilError { file, has_failed: false });
    let mut entries = Vec::new();
    for Source { name, path } in files {
        let unread = |error: io::Error| WriteError::Source(BackupError::io(path.display(), &error));
        let mut source = File::open(path).map_err(unread)?;
        let size = source.metadata().map_err(unread)?.len();
        zip.start_file(name, options(size))?;
        let (size, sha256) = copy(&mut source, &mut zip, goes_on)?;
        entries.push(Entry { name: name.clone(), size, sha256 });
    }
    let contents = Contents {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        actions: content.actions,
        running: content.running,
        files: entries,
    };
    let text = serde_json::to_vec_pretty(&contents).map_err(io::Error::other)?;
    zip.start_file(CONTENTS, options(0))?;
    zip.write_all(&text)?;
    zip.finish()?;
    Ok(contents)
}

/// A file that is written until that fails. From then on it takes everything and keeps nothing: a [`ZipWriter`] that is dropped
/// writes the end of its archive all the same, and prints that it can't.
struct UntilError<'f> {
    file: &'f File,
    has_failed: bool,
}

impl Write for UntilError<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_failed {
            return Ok(bytes.len());
        }
        self.file.write(bytes).inspect_err(|_| self.has_failed = true)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for UntilError<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

fn options(size: u64) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .unix_permissions(0o600)
        // A little more may come than there was.
        .large_file(size > u64::from(u32::MAX / 2))
}

/// Asked between two steps: it may break the work off.
pub(super) type GoesOn<'a> = &'a dyn Fn() -> bool;

/// Copies all of it; returns its size in bytes and its SHA-256.
fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    goes_on: GoesOn<'_>,
) -> io::Result<(u64, String)> {
    let (mut hash, mut size, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        if !goes_on() {
            return Err(io::Error::other("broken off"));
        }
        let read = from.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        to.write_all(bytes)?;
        size += read as u64;
    }
    Ok((size, format!("{:x}", hash.finalize())))
}

/// Reads an archive that was written, and compares each byte with what was put into it.
fn verify(file: &File, contents: &Contents, goes_on: GoesOn<'_>) -> Result<(), BackupError> {
    let other = |why: String| BackupError::Io {
        path: "the archive".to_owned(),
        why: format!("it does not hold what was written: {why}"),
    };
    let mut archive = Archive::open(file).map_err(|error| other(error.to_string()))?;
    if archive.contents.files != contents.files {
        return Err(other(CONTENTS.to_owned()));
    }
    archive.check(goes_on).map_err(|error| other(error.to_string()))
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
        if let Some(twice) = contents.files.iter().find(|entry| !names.insert(&*entry.name)) {
            return Err(no(format!("{:?} is in it twice", shorten(&twice.name))));
        }
        let is_listed = |name: &str| name == CONTENTS || names.contains(name);
        if let Some(other) = zip.file_names().flatten().find(|name| !is_listed(name)) {
            return Err(no(format!("{:?} is not in its {CONTENTS}", shorten(&other))));
        }
        Ok(Self { zip, contents })
    }

    pub(super) fn files(&self) -> &[Entry] {
        &self.contents.files
    }

    /// Reads all files, and checks that each is as it was put in.
    pub(super) fn check(&mut self, goes_on: GoesOn<'_>) -> Result<(), BackupError> {
        for entry in self.contents.files.clone() {
            self.copy(&entry, &mut io::sink(), goes_on)?;
        }
        Ok(())
    }

    /// Copies a file out of it, and checks that it is as it was put in.
    pub(super) fn copy(
        &mut self,
        entry: &Entry,
        to: &mut impl Write,
        goes_on: GoesOn<'_>,
    ) -> Result<(), BackupError> {
        let name = &entry.name;
        let found = self
            .zip
            .by_name(name)
            .map_err(|error| BackupError::Archive(format!("{name}: {error}")))?;
        // Not a byte more is written than was promised, whatever it unpacks to.
        let mut found = Unpacked { inner: found.take(entry.size.saturating_add(1)), error: None };
        let copied = copy(&mut found, to, goes_on);
        match (copied, found.error) {
            (_, Some(error)) => Err(BackupError::Archive(format!("{name}: {error}"))),
            (Err(error), None) => {
                Err(BackupError::io(format_args!("{name} can't be unpacked"), &error))
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
