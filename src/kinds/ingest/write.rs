//! Writes a batch: one directory of files, which exists as a whole or not at all.
//!
//! The files are written into a hidden directory beside it and fsynced; then that is renamed, and the directory above
//! fsynced. The name comes from the action's id, so a batch that exists already was written by an earlier attempt whose end
//! was lost: a repeat never doubles it.
//!
//! Errors are shown to clients, so they name no path; the log does.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use actiond_actors::{ActionId, Failure, Timestamp};
use serde::{Deserialize, Serialize};

use super::Output;
use super::idx;
use super::limit::{LimitedFile, TooMuch, WriteBudget};
use super::tally::Tally;
use crate::documents::beneath::Stamp;
use crate::documents::document::Document;

const IDX_FILE: &str = "documents.idx";
const JSON_FILE: &str = "documents.jsonl";
const REMOVES_FILE: &str = "removes.txt";
/// The contents of a batch, and the fingerprint of what it was made from.
const MANIFEST_FILE: &str = "batch.json";

/// Returns the name of an action's batch.
pub(crate) fn batch_name(id: Option<ActionId>, now: Timestamp) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    match id {
        Some(id) => format!("batch-{:011}", id.get()),
        None => {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            format!("batch-now-{}-{}-{number}", now.millis(), std::process::id())
        }
    }
}

/// Returns a number that tells apart what two batches were made from (FNV-1a, 64 bits). It guards
/// against a mix-up, not against an enemy.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for &byte in part.len().to_le_bytes().iter().chain(part) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    removes: u64,
    fingerprint: String,
    #[serde(flatten)]
    written: Written,
}

/// The part of the manifest that a later attempt needs of a batch that exists already.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Written {
    /// The tally of the documents.
    #[serde(flatten)]
    pub(crate) tally: Tally,
    /// The temporary sources whose text was extracted: the indexes of their documents, from 0, and the stamp of each file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) temporary: Vec<(usize, Stamp)>,
}

/// Returns the notes of this batch if it exists already.
///
/// # Errors
///
/// It exists but was made from something else: then ids have been reused, for example because the database was replaced, and
/// to call this action done would lose its documents.
pub(crate) fn find(
    directory: &Path,
    name: &str,
    fingerprint: &str,
) -> Result<Option<Written>, Failure> {
    let target = directory.join(name);
    match fs::symlink_metadata(&target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&target, error)),
        Ok(_) => {}
    }
    let manifest = fs::read(target.join(MANIFEST_FILE)).ok();
    let manifest = manifest.and_then(|text| serde_json::from_slice::<Manifest>(&text).ok());
    if let Some(manifest) = manifest.filter(|m| m.fingerprint == fingerprint) {
        // The attempt that wrote it may have ended before it did this.
        sync_directory(Some(directory)).map_err(|e| failed(&target, e))?;
        return Ok(Some(manifest.written));
    }
    log::warn!("{} is there already, and another action wrote it", target.display());
    Err(Failure::failed(format!(
        "{name} is there already, and another action wrote it; move it away if it has been taken over \
         (ids start anew when the database is replaced)"
    )))
}

/// A batch that is being written; dropped before [`DocumentBatch::commit`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct DocumentBatch {
    target: PathBuf,
    temporary: PathBuf,
    idx: Option<LimitedFile>,
    json: Option<LimitedFile>,
    removes: Option<LimitedFile>,
    budget: WriteBudget,
    manifest: Manifest,
    committed: bool,
}

impl DocumentBatch {
    /// Starts a batch whose files together may hold `max_bytes`; what an earlier attempt of the same
    /// name left half written is removed.
    pub(crate) fn begin(
        directory: &Path,
        name: &str,
        outputs: &[Output],
        max_bytes: u64,
        fingerprint: String,
    ) -> Result<Self, Failure> {
        let temporary = directory.join(format!(".{name}.tmp"));
        let budget = WriteBudget::new(max_bytes);
        let open = |output, file| {
            let create = || LimitedFile::create(&temporary.join(file), &budget);
            outputs.contains(&output).then(create).transpose()
        };
        let files = prepare(directory, &temporary)
            .and_then(|()| Ok((open(Output::Idx, IDX_FILE)?, open(Output::Json, JSON_FILE)?)));
        let (idx, json) = files.map_err(|e| failed(&temporary, e))?;
        Ok(Self {
            target: directory.join(name),
            temporary,
            idx,
            json,
            removes: None,
            budget,
            manifest: Manifest { removes: 0, fingerprint, written: Written::default() },
            committed: false,
        })
    }

    /// Writes a document to add or update; `sections` are its text.
    pub(crate) fn document(
        &mut self,
        document: &Document,
        sections: &[String],
    ) -> Result<(), Failure> {
        let mut write = || {
            if let Some(out) = &mut self.idx {
                idx::write_idx(out, document, sections)?;
            }
            if let Some(out) = &mut self.json {
                idx::write_json(out, document, sections)?;
            }
            Ok(())
        };
        write().map_err(|e| failed(&self.temporary, e))
    }

    /// Returns the notes on the documents, to add to.
    pub(crate) fn written(&mut self) -> &mut Written {
        &mut self.manifest.written
    }

    /// Writes a reference to remove.
    pub(crate) fn remove(&mut self, reference: &str) -> Result<(), Failure> {
        self.manifest.removes += 1;
        let mut write = || {
            if self.removes.is_none() {
                let path = self.temporary.join(REMOVES_FILE);
                self.removes = Some(LimitedFile::create(&path, &self.budget)?);
            }
            if let Some(out) = &mut self.removes {
                idx::write_remove(out, reference)?;
            }
            if let Some(out) = &mut self.json {
                idx::write_json_remove(out, reference)?;
            }
            Ok(())
        };
        write().map_err(|e: io::Error| failed(&self.temporary, e))
    }

    /// Makes the batch durable and visible. Once this returns, it survives a crash. Returns the notes of the batch.
    pub(crate) fn commit(mut self) -> Result<Written, Failure> {
        let mut finish = || -> io::Result<()> {
            if let Some(out) = &mut self.idx {
                out.write_all(idx::IDX_END.as_bytes())?;
            }
            let mut manifest =
                LimitedFile::create(&self.temporary.join(MANIFEST_FILE), &self.budget)?;
            serde_json::to_writer(&mut manifest, &self.manifest)?;
            manifest.write_all(b"\n")?;
            let files = [self.idx.take(), self.json.take(), self.removes.take(), Some(manifest)];
            for file in files.into_iter().flatten() {
                file.sync()?;
            }
            sync_directory(Some(&self.temporary))?;
            fs::rename(&self.temporary, &self.target)
        };
        finish().map_err(|e| failed(&self.temporary, e))?;
        self.committed = true;
        sync_directory(self.target.parent()).map_err(|e| failed(&self.target, e))?;
        Ok(std::mem::take(&mut self.manifest.written))
    }
}

impl Drop for DocumentBatch {
    fn drop(&mut self) {
        if !self.committed {
            // A failure leaves a hidden directory, which the next attempt removes.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

/// Makes an empty directory to write in, and the one that batches go to.
fn prepare(directory: &Path, temporary: &Path) -> io::Result<()> {
    if !directory.is_dir() {
        fs::create_dir_all(directory)?;
        // The entry of a directory is in the one above it.
        sync_directory(std::path::absolute(directory)?.parent())?;
    }
    match fs::remove_dir_all(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir(temporary)
}

/// Makes the entries of a directory durable, where the system has a way to ask for it.
fn sync_directory(directory: Option<&Path>) -> io::Result<()> {
    match directory {
        Some(directory) if cfg!(unix) => {
            let directory =
                if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            File::open(directory)?.sync_all()
        }
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: io::Error) -> Failure {
    let error = match error.downcast::<TooMuch>() {
        Ok(too_much) => return Failure::fatal(too_much.to_string()),
        Err(error) => error,
    };
    log::warn!("{} cannot be written: {error}", path.display());
    Failure::failed(format!("the batch cannot be written to OutputDirectory: {error}"))
}
