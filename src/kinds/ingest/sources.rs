//! The source files of documents: which of them may be read, and opening them.
//!
//! A client may name files below the directories that the configuration allows, and no others. A file that Fetch has found
//! in this same server is read below the directory that was crawled, if it still is the same file. Either way no link is
//! followed, and nothing is read in the server's own directories.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use actiond_actors::{Failure, Parameters};

use super::IngestOptions;
use crate::documents::beneath::{DirectoryId, Root, Stamp, directory_id};
use crate::documents::found::{FOUND, FoundFiles};

/// The files of one action's documents.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    queue: &'a str,
    allowed: Vec<AllowedDirectory>,
    found: Option<FoundBelow>,
    /// Directories that the server writes to.
    own: Vec<PathBuf>,
}

/// A directory of `AllowedSourceDirectories`.
#[derive(Debug)]
struct AllowedDirectory {
    root: io::Result<Root>,
    /// The paths by which a client may call it: as it was configured, and without links.
    called: Vec<PathBuf>,
}

/// The files that Fetch found, and the directory in which it found them.
#[derive(Debug)]
struct FoundBelow {
    root: io::Result<Root>,
    named: PathBuf,
    files: FoundFiles,
}

impl FoundBelow {
    fn of(value: &str) -> Result<Self, Failure> {
        let files = FoundFiles::from_value(value)
            .map_err(|e| Failure::failed(format!("what Fetch handed over cannot be read: {e}")))?;
        Ok(Self { root: Root::exactly(files.root()), named: files.named(), files })
    }
}

impl<'a> Sources<'a> {
    /// Opens the directories that this action may read from; `queue` is its queue's name.
    ///
    /// # Errors
    ///
    /// The files that Fetch handed over can't be parsed.
    pub(crate) fn new(
        options: &IngestOptions,
        queue: &'a str,
        parameters: &Parameters,
    ) -> Result<Self, Failure> {
        #[cfg(unix)]
        actiond_actors::store::sqlite::look_at_own_files();
        let allowed =
            options.allowed_sources.iter().map(|path| AllowedDirectory::new(path, queue)).collect();
        let found = parameters.get(FOUND).map(FoundBelow::of).transpose()?;
        let own = options.avoided.iter().chain([&options.directory]).cloned().collect();
        Ok(Self { queue, allowed, found, own })
    }

    /// Returns the name of the action's queue.
    pub(crate) fn queue(&self) -> &str {
        self.queue
    }

    /// Returns the server's own directories, as they are now: another queue may have made one meanwhile, or this very batch.
    fn avoid(&self) -> Vec<DirectoryId> {
        self.own.iter().filter_map(|path| directory_id(path).ok()).collect()
    }

    /// Opens the file of the document with this index; also returns the file's stamp.
    ///
    /// # Errors
    ///
    /// The reason for which it is not read, for the client: without any path of this server.
    pub(crate) fn open(&self, index: usize, path: &Path) -> Result<(File, Stamp), String> {
        match &self.found {
            Some(found) => self.open_found(found, index, path),
            None => self
                .first(path, |root, below, avoid| root.open(below, avoid))
                .map_err(|(why, _)| why),
        }
    }

    fn open_found(
        &self,
        FoundBelow { root, named, files }: &FoundBelow,
        index: usize,
        path: &Path,
    ) -> Result<(File, Stamp), String> {
        let (Some(found), Ok(below)) = (files.file(index), path.strip_prefix(named)) else {
            return Err("Fetch did not find it".to_owned());
        };
        let root = root.as_ref().map_err(|e| format!("the directory that it was found in: {e}"))?;
        let (file, stamp) = root.open(below, &self.avoid()).map_err(|e| e.to_string())?;
        match stamp.can_be(found) {
            true => Ok((file, stamp)),
            // Its size or time is another one than Fetch remembers.
            false => Err("another file has replaced the one that Fetch found; \
                          the next Fetch sends it again"
                .to_owned()),
        }
    }

    /// Deletes a client's file if it still is what was read.
    pub(crate) fn remove(&self, path: &Path, was: Stamp) {
        let mut is_another = false;
        let removed =
            self.first(path, |root, below, avoid| match root.remove(below, avoid, was)? {
                true => Ok(()),
                false => {
                    is_another = true;
                    // A relative name may be that of a file in the next directory.
                    Err(io::ErrorKind::NotFound.into())
                }
            });
        let why = match removed {
            Ok(()) => return,
            Err(_) if is_another => "it is not what was read any more".to_owned(),
            // An earlier attempt has deleted it, or its client has.
            Err((_, io::ErrorKind::NotFound)) => return,
            Err((why, _)) => why,
        };
        log::warn!("[{}] temporary source {path:?} is left as it is: {why}", self.queue);
    }

    /// Calls `act` with the first file that this path of a client can mean; the error is the reason for the client, and its kind.
    fn first<T>(
        &self,
        path: &Path,
        mut act: impl FnMut(&Root, &Path, &[DirectoryId]) -> io::Result<T>,
    ) -> Result<T, (String, io::ErrorKind)> {
        let refused = |why: String| (why, io::ErrorKind::PermissionDenied);
        let key = format!("[{}] AllowedSourceDirectories", self.queue);
        if !cfg!(unix) {
            return Err(refused("no files are read on this system; send the content".to_owned()));
        }
        if self.allowed.is_empty() {
            return Err(refused(format!("refused: {key} is not set, so no files are read")));
        }
        let mut last = refused(format!("refused: it does not lie below a directory of {key}"));
        let avoid = self.avoid();
        for (allowed, below) in self.candidates(path) {
            last = match &allowed.root {
                Ok(root) if root.is_in(&avoid) => {
                    let why = format!("refused: that directory of {key} is the server's own");
                    return Err(refused(why));
                }
                Ok(root) => match act(root, &below, &avoid) {
                    Ok(done) => return Ok(done),
                    Err(error) => (error.to_string(), error.kind()),
                },
                Err(error) => (error.to_string(), error.kind()),
            };
            if last.1 != io::ErrorKind::NotFound {
                break;
            }
        }
        Err(last)
    }

    /// Returns the directories that a path may lie in, with its path below them. An absolute path lies in the directory with the
    /// longest match; a relative one is looked for in all.
    fn candidates(&self, path: &Path) -> Vec<(&AllowedDirectory, PathBuf)> {
        if path.is_relative() {
            return self.allowed.iter().map(|allowed| (allowed, path.to_owned())).collect();
        }
        let below = |allowed: &AllowedDirectory| {
            let called = allowed.called.iter().filter_map(|called| path.strip_prefix(called).ok());
            called.min_by_key(|below| below.components().count()).map(Path::to_owned)
        };
        let lies_in = self.allowed.iter().filter_map(|a| below(a).map(|below| (a, below)));
        lies_in.min_by_key(|(_, below)| below.components().count()).into_iter().collect()
    }
}

impl AllowedDirectory {
    fn new(path: &Path, queue: &str) -> Self {
        let root = Root::resolve(path);
        if let Err(error) = &root {
            // The reader of the configuration has warned of it.
            log::debug!("[{queue}] AllowedSourceDirectories: {path:?} cannot be opened: {error}");
        }
        let resolved = root.as_ref().ok().map(|root| root.path().to_owned());
        let called = std::path::absolute(path).ok().into_iter().chain(resolved).collect();
        Self { root, called }
    }
}
