//! The file in which the programs that run are recorded, so that the next start finds those that outlive the server.
//!
//! It has a line of fixed length for each program that runs, and for each process that has left its program or lost its
//! parent. A line is written in place, in one call, and needs no fsync:
//! what was written outlives the server, and the program does not outlive the machine. A line that is damaged or half
//! written is passed over: its program still has its mark.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};

use super::proc::{Process, Stat};

/// Length of a line, with its end.
const LINE: usize = 256;
/// Most bytes of a queue's name in a line.
const MOST_NAME: usize = 96;
/// Most bytes of the file that are read: more programs than any queue has slots.
const MOST_READ: u64 = 64 << 20;
/// End of a line that was written whole.
const END: &str = "#";
/// Stands for no cgroup.
const NONE: &str = "-";

/// The first process of a program that runs, or one that has left its program or lost its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) process: Process,
    pub(super) session: i32,
    /// Number of the action; 0 for one that runs at once, or is not known.
    pub(super) action: u64,
    pub(super) attempt: u64,
    /// Number of the cgroup of the program, if it has one.
    pub(super) cgroup: Option<u64>,
    /// Empty if the action is not known.
    pub(super) queue: String,
}

/// An action that has started a process: its number, 0 for one that runs at once, and its queue where that is known.
pub(super) type Action = (u64, Option<String>);

impl Record {
    fn line(&self, boot: &str) -> Vec<u8> {
        let Self { process, session, action, attempt, cgroup, queue } = self;
        let cgroup = cgroup.map_or_else(|| NONE.to_owned(), |number| number.to_string());
        let plain = |c: char| if c.is_control() || END.contains(c) { '?' } else { c };
        let queue: String = queue.chars().map(plain).collect();
        let queue = queue.get(..queue.floor_char_boundary(MOST_NAME)).unwrap_or_default();
        let Process { id, start } = process;
        let mut line =
            format!("{id} {start} {boot} {session} {action} {attempt} {cgroup} {queue} {END}")
                .into_bytes();
        line.resize(LINE - 1, b' ');
        line.push(b'\n');
        line
    }

    /// Reads a line that was written since the machine was started.
    fn parse(line: &[u8], boot: &str) -> Option<Self> {
        let line =
            std::str::from_utf8(line).ok()?.trim_end().strip_suffix(END)?.strip_suffix(' ')?;
        let mut fields = line.splitn(8, ' ');
        let process =
            Process { id: fields.next()?.parse().ok()?, start: fields.next()?.parse().ok()? };
        let is_of_this_boot = fields.next()? == boot && !boot.is_empty();
        let record = Self {
            process,
            session: fields.next()?.parse().ok()?,
            action: fields.next()?.parse().ok()?,
            attempt: fields.next()?.parse().ok()?,
            cgroup: match fields.next()? {
                NONE => None,
                number => Some(number.parse().ok()?),
            },
            queue: fields.next()?.to_owned(),
        };
        (is_of_this_boot && process.id > 1).then_some(record)
    }

    /// Returns the action, if it is known.
    pub(super) fn action(&self) -> Option<Action> {
        (!self.queue.is_empty()).then(|| (self.action, Some(self.queue.clone())))
    }
}

/// The directory of the records, which is locked as long as this lives.
#[derive(Debug)]
pub(super) struct Records {
    directory: PathBuf,
    file: File,
    /// The mark of the programs of this directory begins with it.
    id: String,
    boot: String,
    /// Lines that are free, below `lines`.
    free: Vec<u64>,
    lines: u64,
    has_failed: bool,
}

impl Records {
    /// Opens the records of this directory, which is made if need be.
    ///
    /// # Errors
    ///
    /// If it can't be written. [`io::ErrorKind::WouldBlock`] if another system has it.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let path = directory.join("running");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock()?;
        let id = kept_id(&directory.join("id"))?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.trim().to_owned();
        let directory = directory.to_owned();
        Ok(Self { directory, file, id, boot, free: Vec::new(), lines: 0, has_failed: false })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Notes that this server has the records from now on. If the one that had them runs, the directory is a copy: nothing in it
    /// tells of programs of this one, so all of it is forgotten, and the process of the other one is returned.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub(super) fn take_over(&mut self) -> io::Result<Option<i32>> {
        let path = self.directory.join("server");
        let own = std::process::id().cast_signed();
        let before = fs::read_to_string(&path).unwrap_or_default();
        let other = of_server(&before, &self.boot).filter(|server| server.id != own);
        let other = other.filter(|server| server.lives());
        if other.is_some() {
            self.id = new_id();
            write_whole(&self.directory.join("id"), &self.id)?;
            fs::remove_file(self.directory.join("cgroup")).or_else(|error| {
                if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
            })?;
            self.clear()?;
        }
        if let Some(stat) = Stat::of(own) {
            write_whole(&path, &format!("{own} {} {}", stat.start, self.boot))?;
        }
        Ok(other.map(|server| server.id))
    }

    /// Reads what an earlier server has written.
    pub(super) fn read(&self) -> io::Result<Vec<Record>> {
        let mut bytes = Vec::new();
        (&self.file).take(MOST_READ).read_to_end(&mut bytes)?;
        Ok(bytes.chunks(LINE).filter_map(|line| Record::parse(line, &self.boot)).collect())
    }

    /// Forgets all that an earlier server has written.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.free.clear();
        self.lines = 0;
        self.file.set_len(0)
    }

    /// Writes a record and returns its line, or `None` if it can't be written. That is logged once.
    pub(super) fn add(&mut self, record: &Record) -> Option<u64> {
        let line = self.free.pop().unwrap_or(self.lines);
        self.lines = self.lines.max(line + 1);
        let written = self.file.write_all_at(&record.line(&self.boot), line * LINE as u64);
        if let Err(error) = written {
            self.free.push(line);
            if !std::mem::replace(&mut self.has_failed, true) {
                let path = self.directory.display();
                log::error!(
                    "{path}: programs can't be recorded: {error}. They run, but one that outlives this server may not be found"
                );
            }
            return None;
        }
        Some(line)
    }

    /// Deletes a record.
    pub(super) fn remove(&mut self, line: u64) {
        let mut blank = [b' '; LINE];
        if let Some(end) = blank.last_mut() {
            *end = b'\n';
        }
        // One that stays is passed over by the next start, since its process is gone then.
        if self.file.write_all_at(&blank, line * LINE as u64).is_ok() {
            self.free.push(line);
        }
    }

    /// Returns the path of the cgroup that an earlier server has made for its programs, which this one is to remove.
    pub(super) fn cgroup(&self) -> Option<PathBuf> {
        let path = fs::read_to_string(self.directory.join("cgroup")).ok()?;
        let path = PathBuf::from(path.trim());
        // Whatever the file says, no other directory than one of these is touched.
        path.file_name().is_some_and(|name| name == self.cgroup_name().as_str()).then_some(path)
    }

    /// Notes the path of a cgroup before it is made.
    pub(super) fn set_cgroup(&self, path: &Path) -> io::Result<()> {
        let path = path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        write_whole(&self.directory.join("cgroup"), path)
    }

    /// Returns the name of the cgroup for programs of this directory.
    pub(super) fn cgroup_name(&self) -> String {
        format!("actiond-{}", self.id)
    }
}

/// Reads the process of a server, unless it was written before the machine was started.
fn of_server(text: &str, boot: &str) -> Option<Process> {
    let mut fields = text.split_whitespace();
    let server = Process { id: fields.next()?.parse().ok()?, start: fields.next()?.parse().ok()? };
    (fields.next()? == boot && server.id > 1).then_some(server)
}

/// Returns a random id.
pub(super) fn new_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Returns the id in this file, which is written if there is none.
fn kept_id(path: &Path) -> io::Result<String> {
    let kept = fs::read_to_string(path).unwrap_or_default();
    let kept = kept.trim();
    if kept.len() == 16 && kept.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(kept.to_owned());
    }
    let id = new_id();
    write_whole(path, &id)?;
    Ok(id)
}

/// Writes a file that is never seen half written.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, format!("{text}\n"))?;
    fs::rename(fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_of(id: i32, queue: &str) -> Record {
        let process = Process { id, start: 12_345 };
        let cgroup = (id % 2 == 0).then_some(3);
        Record { process, session: 7, action: 17, attempt: 2, cgroup, queue: queue.to_owned() }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_or_not_at_all() {
        let boot = "5e1c6b1e-1f6a-4a4e-9d8b-0c3f5b8a9d10";
        for queue in ["Convert", "", "two words", "größe"] {
            let record = record_of(42, queue);
            let line = record.line(boot);
            assert_eq!(line.len(), LINE);
            assert_eq!(Record::parse(&line, boot), Some(record.clone()), "{queue}");
            assert_eq!(Record::parse(&line, "another"), None);
            // Half written into a line that was free, or was another's.
            let blank = [b' '; LINE];
            let other = record_of(9_999_999, &"o".repeat(200)).line(boot);
            let written = line.iter().rposition(|byte| *byte == b'#').unwrap();
            for cut in 0..written {
                for rest in [&blank[..], &other] {
                    let torn = [&line[..cut], &rest[cut..]].concat();
                    let read = Record::parse(&torn, boot);
                    assert!(read.as_ref().is_none_or(|r| *r != record), "{cut}: {read:?}");
                }
                assert_eq!(Record::parse(&[&line[..cut], &blank[cut..]].concat(), boot), None);
            }
        }
        for line in [
            "",
            "\0\0\0",
            "1 2 3",
            "0 1 b 1 1 1 - q #",
            "1 1 b 1 1 1 - q #",
            "-4 1 b 1 1 1 - q #",
            "4 1 b 1 1 1 x q #",
        ] {
            assert_eq!(Record::parse(line.as_bytes(), "b"), None, "{line}");
        }
        let odd = Record::parse(&record_of(42, "a#\n# ").line(boot), boot).unwrap();
        assert_eq!(odd.queue, "a??? ");
        assert_eq!(odd.action(), Some((17, Some("a??? ".to_owned()))));
        assert_eq!(record_of(42, "").action(), None);
        let long = Record::parse(&record_of(42, &"ö".repeat(200)).line(boot), boot).unwrap();
        assert_eq!(long.queue, "ö".repeat(48));
    }

    #[test]
    fn a_copy_of_the_records_of_a_server_that_runs_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("processes");
        let mut other = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let server = other.id().cast_signed();
        let start = Stat::of(server).unwrap().start;
        let mut records = Records::open(&at).unwrap();
        let (id, boot) = (records.id().to_owned(), records.boot.clone());
        let noted = |start: u64, boot: &str| {
            fs::write(at.join("server"), format!("{server} {start} {boot}\n")).unwrap();
        };
        for (start, boot) in [(start + 1, &*boot), (start, "another")] {
            noted(start, boot);
            records.add(&record_of(42, "q")).unwrap();
            assert_eq!(records.take_over().unwrap(), None);
            assert_eq!((records.id(), records.read().unwrap().is_empty()), (&*id, false));
            drop(records);
            records = Records::open(&at).unwrap();
        }
        noted(start, &boot);
        assert_eq!(records.take_over().unwrap(), Some(server));
        assert_ne!(records.id(), id);
        assert_eq!(records.read().unwrap(), []);
        // From now on they are those of this one.
        assert_eq!(records.take_over().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn lines_are_used_again_and_the_directory_has_one_owner() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("processes");
        let mut records = Records::open(&at).unwrap();
        let id = records.id().to_owned();
        assert_eq!(Records::open(&at).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let lines: Vec<_> = (2..5).map(|id| records.add(&record_of(id, "q")).unwrap()).collect();
        assert_eq!(lines, [0, 1, 2]);
        records.remove(1);
        assert_eq!(records.add(&record_of(9, "q")), Some(1));
        records.remove(0);
        drop(records);
        let mut records = Records::open(&at).unwrap();
        assert_eq!(records.id(), id);
        let read: Vec<_> = records.read().unwrap().iter().map(|r| r.process.id).collect();
        assert_eq!(read, [9, 4]);
        records.clear().unwrap();
        drop(records);
        fs::write(at.join("id"), "damaged").unwrap();
        fs::write(at.join("cgroup"), "/etc\n").unwrap();
        let records = Records::open(&at).unwrap();
        assert_ne!(records.id(), id);
        assert_eq!(records.read().unwrap(), []);
        assert_eq!(records.cgroup(), None);
        let path = Path::new("/sys/fs/cgroup").join(records.cgroup_name());
        records.set_cgroup(&path).unwrap();
        assert_eq!(records.cgroup(), Some(path));
    }
}
