//! Control groups (cgroup v2) for programs, one for each that runs, below that of the server where it may make them.
//!
//! What a program starts stays in its cgroup, whatever it does to its parent, its process group and its environment. Only
//! what it starts in the moment before it is put there does not; that is found by its group and its mark. A cgroup is used
//! again by later programs, since it costs more to make one than to fill it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::proc::{Process, Stat};

/// Number of empty cgroups that are kept for later programs.
const MOST_IDLE: usize = 64;
/// Levels of cgroups that a program may have made in its own, as far as they are looked at.
const MOST_LEVELS: usize = 8;

/// The cgroup in which those of the programs are.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    idle: Vec<Cgroup>,
    made: u64,
}

/// The cgroup of a program.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
}

/// Returns the path at which a cgroup of this name would be below that of this process.
pub(super) fn place(name: &str) -> io::Result<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let own = own_cgroup(&own, &mounts)
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "no cgroup v2 is mounted"))?;
    Ok(own.join(name))
}

/// Finds the directory of the cgroup (version 2) of this process.
fn own_cgroup(own: &str, mounts: &str) -> Option<PathBuf> {
    let own = Path::new(own.lines().find_map(|line| line.strip_prefix("0::"))?);
    let outside = |part| matches!(part, std::path::Component::ParentDir);
    if own.components().any(outside) {
        return None;
    }
    mounts.lines().find_map(|mount| {
        let (place, kind) = mount.split_once(" - ")?;
        if kind.split(' ').next()? != "cgroup2" {
            return None;
        }
        let mut fields = place.split(' ').skip(3);
        let (root, at) = (unescaped(fields.next()?), unescaped(fields.next()?));
        Some(Path::new(&at).join(own.strip_prefix(&root).ok()?))
    })
}

/// Reads a path as it is written in `mountinfo`.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (escape, character)| path.replace(escape, character))
}

impl Home {
    /// Makes the cgroup at this path.
    pub(super) fn make(path: PathBuf) -> io::Result<Self> {
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self { path, idle: Vec::new(), made: 0 }),
        }
    }

    /// Puts a program that was just started into a cgroup of its own.
    pub(super) fn admit(&mut self, program: Process) -> io::Result<Cgroup> {
        while let Some(cgroup) = self.idle.pop() {
            // A program may have left it in a state that takes none.
            match cgroup.admit(program) {
                Ok(()) => return Ok(cgroup),
                Err(error) if error.raw_os_error() == Some(SRCH) => {
                    self.idle.push(cgroup);
                    return Err(error);
                }
                Err(_) => cgroup.remove(),
            }
        }
        let cgroup = Cgroup { path: self.path.join(self.made.to_string()) };
        self.made += 1;
        fs::create_dir(&cgroup.path)?;
        cgroup.admit(program).inspect_err(|_| cgroup.remove())?;
        Ok(cgroup)
    }

    /// Takes a cgroup back in which nothing runs any more.
    pub(super) fn give_back(&mut self, cgroup: Cgroup) {
        if self.idle.len() < MOST_IDLE {
            self.idle.push(cgroup);
        } else {
            cgroup.remove();
        }
    }
}

/// Leaves nothing behind; what still runs keeps its cgroup until the next start.
impl Drop for Home {
    fn drop(&mut self) {
        for cgroup in &self.idle {
            cgroup.remove();
        }
        let _ = fs::remove_dir(&self.path);
    }
}

/// The error of a process that has gone: that of a zombie, too.
pub(super) const SRCH: i32 = rustix::io::Errno::SRCH.raw_os_error();

impl Cgroup {
    /// Returns its number, by which it is found again.
    pub(super) fn number(&self) -> Option<u64> {
        self.path.file_name()?.to_str()?.parse().ok()
    }

    fn admit(&self, program: Process) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), program.id.to_string())
    }

    /// Tells whether nothing runs in it; zombies do not count.
    pub(super) fn is_empty(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "populated 0"))
    }

    /// Kills all that runs in it.
    pub(super) fn kill(&self) {
        if fs::write(self.path.join("cgroup.kill"), "1").is_err() {
            // Linux before 5.14.
            for process in members(&self.path) {
                let _ = process.signal(Signal::KILL);
            }
        }
    }

    fn remove(&self) {
        remove(&self.path);
    }
}

/// Returns all processes in the cgroups of programs below this one, with the numbers of those cgroups.
pub(super) fn members_by_number(home: &Path) -> BTreeMap<Process, u64> {
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    let numbered =
        entries.filter_map(|entry| Some((entry.path(), entry.file_name().to_str()?.parse().ok()?)));
    numbered
        .flat_map(|(path, number)| members(&path).into_iter().map(move |one| (one, number)))
        .collect()
}

/// Returns all processes of a cgroup and those below it.
pub(super) fn members(path: &Path) -> Vec<Process> {
    let mut members = Vec::new();
    for path in below(path) {
        let numbers = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
        let numbers = numbers.lines().filter_map(|number| number.parse().ok());
        members.extend(numbers.filter_map(|id| Some(Process { id, start: Stat::of(id)?.start })));
    }
    members
}

/// Removes a cgroup and those below it, if nothing runs there.
pub(super) fn remove(path: &Path) {
    for path in below(path).iter().rev() {
        let _ = fs::remove_dir(path);
    }
}

/// Returns a cgroup and those below it, parents first.
fn below(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    let mut level = all.clone();
    for _ in 0..MOST_LEVELS {
        let children = level.iter().filter_map(|path| fs::read_dir(path).ok()).flatten().flatten();
        let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        level = children.filter(is_directory).map(|entry| entry.path()).collect();
        all.extend(level.iter().cloned());
    }
    all
}

/// Tells whether this is the path of a cgroup, and of nothing else that could be harmed.
pub(super) fn is_one(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|fs| fs.f_type as u64 == CGROUP2)
}

/// Number of the file system of cgroups.
const CGROUP2: u64 = 0x6367_7270;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::worker::run::programs::proc::tests::Kept;

    #[test]
    fn the_own_cgroup_is_found_where_it_is_mounted() {
        let unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let hybrid = "23 1 0:5 / /proc rw - proc proc rw\n\
                      30 29 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
                      31 29 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let part = "29 23 0:26 /docker/1 /sys/fs/a\\040group rw - cgroup2 cgroup rw\n";
        let own = "0::/system.slice/actiond.service\n";
        for (own, mounts, want) in [
            (own, unified, Some("/sys/fs/cgroup/system.slice/actiond.service")),
            ("4:memory:/x\n0::/\n", hybrid, Some("/sys/fs/cgroup/unified/")),
            ("0::/docker/1/sub\n", part, Some("/sys/fs/a group/sub")),
            ("0::/docker/2\n", part, None),
            ("0::/../other\n", unified, None),
            ("4:memory:/x\n", hybrid, None),
            (own, "", None),
        ] {
            assert_eq!(own_cgroup(own, mounts), want.map(PathBuf::from), "{own} {mounts}");
        }
        assert!(!is_one(Path::new("/")));
    }

    /// Needs a machine on which cgroups can be made; says so elsewhere.
    #[test]
    fn all_of_a_cgroup_ends_whatever_it_left() {
        let name = format!("actiond-test-{}", std::process::id());
        let made = place(&name).and_then(Home::make);
        let mut home = match made {
            Ok(home) => home,
            Err(error) => return eprintln!("left out: no cgroup can be made here: {error}"),
        };
        let path = home.path.clone();
        assert!(is_one(&path));
        for _ in 0..2 {
            let mut command = Command::new("sh");
            let mut leader = command.arg("-c").arg("read go; setsid sleep 1000 & exit 0");
            leader = leader.stdin(std::process::Stdio::piped());
            let mut leader = Kept(leader.spawn().unwrap());
            let id = leader.id().cast_signed();
            let cgroup = home.admit(Process { id, start: 0 }).unwrap();
            assert_eq!(cgroup.path, path.join("0"), "it is used again");
            assert!(!cgroup.is_empty());
            drop(leader.stdin.take());
            leader.wait().unwrap();
            let left = members(&path);
            assert_eq!(left.len(), 1, "{left:?}");
            let by_number: Vec<_> = members_by_number(&path).into_iter().collect();
            assert_eq!((by_number, cgroup.number()), (vec![(left[0], 0)], Some(0)));
            cgroup.kill();
            while !cgroup.is_empty() {
                std::thread::yield_now();
            }
            fs::create_dir_all(cgroup.path.join("of-the-program")).unwrap();
            home.give_back(cgroup);
        }
        let gone = home.admit(Process { id: i32::MAX, start: 0 }).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(SRCH));
        drop(home);
        assert!(!path.exists());
    }
}
