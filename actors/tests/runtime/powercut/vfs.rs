//! SQLite's way to a [`Disk`]: one virtual file system for the process, in which each directory is a
//! disk of its own.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use sqlite_vfs::{DatabaseHandle, LockKind, OpenAccess, OpenKind, OpenOptions, Vfs};

use super::disk::Disk;
use super::locks::Index;

static DISKS: Mutex<BTreeMap<PathBuf, Arc<Disk>>> = Mutex::new(BTreeMap::new());

static NAME: LazyLock<&str> = LazyLock::new(|| {
    sqlite_vfs::register("powercut", Disks, false).unwrap();
    "powercut"
});

/// Puts this disk in the place of the directory, for what is opened from now on. Returns the name of
/// the file system.
pub(crate) fn mount(directory: &Path, disk: &Arc<Disk>) -> &'static str {
    DISKS.lock().unwrap().insert(directory.to_owned(), Arc::clone(disk));
    *NAME
}

/// Forgets the directory's disk.
pub(crate) fn unmount(directory: &Path) {
    DISKS.lock().unwrap().remove(directory);
}

struct Disks;

impl Disks {
    fn find(path: &str) -> io::Result<(Arc<Disk>, &str)> {
        let (directory, name) = path.rsplit_once('/').ok_or(ErrorKind::NotFound)?;
        let disks = DISKS.lock().unwrap();
        Ok((Arc::clone(disks.get(Path::new(directory)).ok_or(ErrorKind::NotFound)?), name))
    }
}

impl Vfs for Disks {
    type Handle = Handle;

    fn open(&self, path: &str, options: OpenOptions) -> io::Result<Handle> {
        let (disk, name) = Self::find(path)?;
        let make = matches!(options.access, OpenAccess::Create | OpenAccess::CreateNew);
        let syncs_names = options.kind != OpenKind::MainDb;
        let file = disk.open(name, make, syncs_names)?;
        let id = disk.new_handle();
        Ok(Handle { disk, id, file })
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        let (disk, name) = Self::find(path)?;
        disk.delete(name)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let (disk, name) = Self::find(path)?;
        disk.exists(name)
    }

    fn temporary_name(&self) -> String {
        // SQLite keeps the little it would write to temporary files in memory.
        "no temporary files".to_owned()
    }

    fn random(&self, buffer: &mut [i8]) {
        // Where SQLite's own generator begins: always the same.
        buffer.fill(7);
    }

    fn sleep(&self, duration: Duration) -> Duration {
        std::thread::sleep(duration);
        duration
    }
}

/// An open file.
pub(super) struct Handle {
    disk: Arc<Disk>,
    id: u64,
    file: usize,
}

fn position(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl DatabaseHandle for Handle {
    type WalIndex = Index;

    fn size(&self) -> io::Result<u64> {
        self.disk.length(self.file).map(|length| length as u64)
    }

    fn read_exact_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let whole = self.disk.read(self.file, position(offset), buffer)?;
        if whole { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn write_all_at(&mut self, data: &[u8], offset: u64) -> io::Result<()> {
        self.disk.write(self.file, position(offset), data)
    }

    fn sync(&mut self, _data_only: bool) -> io::Result<()> {
        self.disk.sync(self.file)
    }

    fn set_len(&mut self, size: u64) -> io::Result<()> {
        self.disk.set_length(self.file, position(size))
    }

    fn lock(&mut self, lock: LockKind) -> io::Result<bool> {
        self.disk.powered()?;
        Ok(self.disk.lock_file(self.id, lock))
    }

    fn unlock(&mut self, lock: LockKind) -> io::Result<bool> {
        // Also without power: what holds it goes.
        self.disk.unlock_file(self.id, lock);
        Ok(true)
    }

    fn reserved(&mut self) -> io::Result<bool> {
        self.disk.powered()?;
        Ok(self.disk.is_reserved())
    }

    fn current_lock(&self) -> io::Result<LockKind> {
        Ok(self.disk.file_lock(self.id))
    }

    fn wal_index(&self, _readonly: bool) -> io::Result<Index> {
        self.disk.powered()?;
        Ok(Index::new(Arc::clone(&self.disk)))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.disk.unlock_file(self.id, LockKind::None);
    }
}
