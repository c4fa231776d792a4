//! Writes a batch: one directory of files, which is there whole or not at all.
//!
//! The files are written into a hidden directory beside it and fsynced; then that is renamed, and
//! the directory above fsynced. The name comes from the action's id, so a batch that is there
//! already was written by an earlier attempt whose end was lost: a repeat never doubles it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use actiond_actors::{ActionId, Failure, Timestamp};
use serde::{Deserialize, Serialize};

use super::Output;
use super::idx;
use super::parse::Document;

const IDX_FILE: &str = "documents.idx";
const JSON_FILE: &str = "documents.jsonl";
const REMOVES_FILE: &str = "removes.txt";
/// What the batch holds, and the fingerprint of what it was made from.
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
    documents: u64,
    removes: u64,
    fingerprint: String,
    /// The documents whose source could not be read, by their places among all, from 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread: Vec<usize>,
}

/// If this batch is there already, returns which documents' sources could not be read.
///
/// # Errors
///
/// It is there but was made from something else: then ids have been given anew, say because the
/// database was replaced, and to call this action done would lose its documents.
pub(crate) fn find(
    directory: &Path,
    name: &str,
    fingerprint: &str,
) -> Result<Option<Vec<usize>>, Failure> {
    let target = directory.join(name);
    match fs::symlink_metadata(&target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&target, &error)),
        Ok(_) => {}
    }
    let manifest = fs::read(target.join(MANIFEST_FILE)).ok();
    let manifest = manifest.and_then(|text| serde_json::from_slice::<Manifest>(&text).ok());
    if let Some(manifest) = manifest.filter(|m| m.fingerprint == fingerprint) {
        // The attempt that wrote it may have ended before it did this.
        sync_directory(Some(directory)).map_err(|e| failed(&target, &e))?;
        return Ok(Some(manifest.unread));
    }
    Err(Failure::failed(format!(
        "{} is there already, and another action wrote it; move it away if it has been taken over \
         (ids start anew when the database is replaced)",
        target.display()
    )))
}

/// A batch that is being written; dropped before [`Batch::commit`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Batch {
    target: PathBuf,
    temporary: PathBuf,
    idx: Option<BufWriter<File>>,
    json: Option<BufWriter<File>>,
    removes: Option<BufWriter<File>>,
    manifest: Manifest,
    committed: bool,
}

impl Batch {
    /// Starts a batch; what an earlier attempt of the same name left half written is removed.
    pub(crate) fn begin(
        directory: &Path,
        name: &str,
        outputs: &[Output],
        fingerprint: String,
    ) -> Result<Self, Failure> {
        let temporary = directory.join(format!(".{name}.tmp"));
        let open = |output, file| {
            outputs
                .contains(&output)
                .then(|| File::create(temporary.join(file)).map(BufWriter::new))
                .transpose()
        };
        let files = prepare(directory, &temporary)
            .and_then(|()| Ok((open(Output::Idx, IDX_FILE)?, open(Output::Json, JSON_FILE)?)));
        let (idx, json) = files.map_err(|e| failed(&temporary, &e))?;
        Ok(Self {
            target: directory.join(name),
            temporary,
            idx,
            json,
            removes: None,
            manifest: Manifest { documents: 0, removes: 0, fingerprint, unread: Vec::new() },
            committed: false,
        })
    }

    /// Writes a document to add or update; `sections` are its text.
    pub(crate) fn document(
        &mut self,
        document: &Document,
        sections: &[String],
    ) -> Result<(), Failure> {
        self.manifest.documents += 1;
        let mut write = || {
            if let Some(out) = &mut self.idx {
                idx::write_idx(out, document, sections)?;
            }
            if let Some(out) = &mut self.json {
                idx::write_json(out, document, sections)?;
            }
            Ok(())
        };
        write().map_err(|e| failed(&self.temporary, &e))
    }

    /// Notes that the source of the document at this place could not be read; places go up.
    pub(crate) fn leave(&mut self, place: usize) {
        self.manifest.unread.push(place);
    }

    /// Writes a reference to remove.
    pub(crate) fn remove(&mut self, reference: &str) -> Result<(), Failure> {
        self.manifest.removes += 1;
        let mut write = || {
            if self.removes.is_none() {
                self.removes =
                    Some(BufWriter::new(File::create(self.temporary.join(REMOVES_FILE))?));
            }
            if let Some(out) = &mut self.removes {
                idx::write_remove(out, reference)?;
            }
            if let Some(out) = &mut self.json {
                idx::write_json_remove(out, reference)?;
            }
            Ok(())
        };
        write().map_err(|e: io::Error| failed(&self.temporary, &e))
    }

    /// Makes the batch durable and visible. Once this returns, it is there whatever happens. Returns
    /// which documents' sources could not be read.
    pub(crate) fn commit(mut self) -> Result<Vec<usize>, Failure> {
        let mut finish = || -> io::Result<()> {
            if let Some(out) = &mut self.idx {
                out.write_all(idx::IDX_END.as_bytes())?;
            }
            let mut manifest = BufWriter::new(File::create(self.temporary.join(MANIFEST_FILE))?);
            serde_json::to_writer(&mut manifest, &self.manifest)?;
            manifest.write_all(b"\n")?;
            let files = [self.idx.take(), self.json.take(), self.removes.take(), Some(manifest)];
            for file in files.into_iter().flatten() {
                file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            }
            sync_directory(Some(&self.temporary))?;
            fs::rename(&self.temporary, &self.target)
        };
        finish().map_err(|e| failed(&self.temporary, &e))?;
        self.committed = true;
        sync_directory(self.target.parent()).map_err(|e| failed(&self.target, &e))?;
        Ok(std::mem::take(&mut self.manifest.unread))
    }
}

impl Drop for Batch {
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

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}
