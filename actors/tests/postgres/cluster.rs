//! A PostgreSQL of the tests' own: made by `initdb` in a temporary directory, reached by a unix socket in it.
//!
//! With nextest each test is a process. They share one cluster: the first starts it, and it ends by itself once no process
//! has used it for some seconds.

#![allow(
    dead_code,
    reason = "the tests of the whole program use it, too, and each uses a part of it"
)]

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio_postgres::Config;

/// Maximum time in which a cluster starts.
const START: Duration = Duration::from_secs(60);

/// The number in the name of a socket, where nothing listens on a port of the network.
const PORT: u16 = 5432;

/// The directory of PostgreSQL's programs.
#[derive(Debug, Clone)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// Finds the newest that there are; or those of `POSTGRES_BIN`.
    pub(crate) fn find() -> Option<Self> {
        if let Some(given) = std::env::var_os("POSTGRES_BIN") {
            return Some(Self(given.into()));
        }
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let version = path.file_name()?.to_str()?.parse().ok()?;
                Some((version, path.join("bin")))
            })
            .filter(|(_, bin)| bin.join("initdb").exists())
            .collect();
        versions.sort();
        let in_path = || {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).find(|bin| bin.join("initdb").exists())
        };
        versions.pop().map(|(_, bin)| bin).or_else(in_path).map(Self)
    }

    /// Makes a command of one of them. PostgreSQL does not run as root.
    fn command(&self, name: &str, user: Option<(u32, u32)>) -> Command {
        let mut command = Command::new(self.0.join(name));
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        command.stdin(Stdio::null());
        command
    }
}

/// Returns user and group of somebody with few rights, if this process is root.
fn unprivileged() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(of("postgres").or_else(|| of("nobody")).expect("a user that is not root"))
}

/// A cluster that runs.
#[derive(Debug)]
pub(crate) struct Cluster {
    directory: PathBuf,
    programs: Programs,
    settings: Vec<String>,
    port: u16,
    server: Option<Child>,
    /// The directory, if it is this process's alone.
    _own: Option<tempfile::TempDir>,
}

impl Cluster {
    /// Starts a cluster that only this test has, with these settings.
    pub(crate) fn own(programs: &Programs, settings: &[&str]) -> Self {
        let mut cluster = Self::made(programs, settings, PORT);
        cluster.start();
        cluster
    }

    /// Makes one in this directory, a disk of its own perhaps, which only this test has.
    pub(crate) fn at(programs: &Programs, directory: PathBuf, settings: &[&str]) -> Self {
        let cluster = Self {
            directory,
            programs: programs.clone(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            port: PORT,
            server: None,
            _own: None,
        };
        cluster.make();
        cluster
    }

    /// Makes one that only this test has, to be reached by this port, too, once it is started.
    pub(crate) fn made(programs: &Programs, settings: &[&str], port: u16) -> Self {
        let cluster = Self::own_directory(programs, settings, port);
        cluster.make();
        cluster
    }

    fn own_directory(programs: &Programs, settings: &[&str], port: u16) -> Self {
        let directory = tempfile::Builder::new().prefix("actiond-pg").tempdir().unwrap();
        Self {
            directory: directory.path().to_owned(),
            programs: programs.clone(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            port,
            server: None,
            _own: Some(directory),
        }
    }

    /// Starts a standby that follows it, to be promoted by `pg_promote()`.
    pub(crate) fn standby(&self, settings: &[&str]) -> Self {
        let mut standby = Self::own_directory(&self.programs, settings, self.port);
        standby.prepare_directory();
        let mut copy = self.programs.command("pg_basebackup", unprivileged());
        copy.args(["-U", "postgres", "-c", "fast", "-R", "-p", &self.port.to_string(), "-h"]);
        copy.arg(&self.directory).arg("-D").arg(standby.data()).current_dir(&standby.directory);
        let copied = copy.output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        standby.start();
        standby
    }

    /// Writes a file of its data directory, such as `pg_hba.conf`, which nobody else may read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = unprivileged() {
            std::os::unix::fs::chown(&path, Some(user), Some(group)).unwrap();
        }
    }

    /// Returns the directory in which its socket is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Makes the directory, as one of the user who runs the server.
    fn prepare_directory(&self) {
        std::fs::create_dir_all(&self.directory).unwrap();
        if let Some((user, group)) = unprivileged() {
            std::os::unix::fs::chown(&self.directory, Some(user), Some(group)).unwrap();
        }
        std::fs::set_permissions(&self.directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes the files.
    fn make(&self) {
        self.prepare_directory();
        let made = self
            .programs
            .command("initdb", unprivileged())
            .args(["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "-N", "-D"])
            .arg(self.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn server(&self) -> Command {
        let mut command = self.programs.command("postgres", unprivileged());
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.directory);
        command.args(["-p", &self.port.to_string()]);
        for setting in ["listen_addresses=", "max_connections=400", "shared_buffers=64MB"] {
            command.args(["-c", setting]);
        }
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let log = self.directory.join("log");
        let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.current_dir(&self.directory).stdout(Stdio::null()).stderr(log);
        command
    }

    /// Starts it again, and waits until it answers.
    pub(crate) fn start(&mut self) {
        let since = Instant::now();
        self.server = Some(self.server().spawn().unwrap());
        while !self.answers() {
            assert!(since.elapsed() < START, "PostgreSQL does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
            // Processes of one that was killed may still be there, and then it does not start.
            let server = self.server.as_mut().unwrap();
            if server.try_wait().unwrap().is_some() {
                self.server = Some(self.server().spawn().unwrap());
            }
        }
    }

    /// Returns what it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn wait(&self) {
        let since = Instant::now();
        while !self.answers() {
            assert!(since.elapsed() < START, "PostgreSQL does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn answers(&self) -> bool {
        let mut ask = self.programs.command("pg_isready", None);
        let asked =
            ask.args(["-q", "-p", &self.port.to_string(), "-h"]).arg(&self.directory).status();
        asked.is_ok_and(|status| status.success())
    }

    /// Starts it again with these settings, too.
    pub(crate) fn restart(&mut self, settings: &[&str]) {
        self.kill();
        self.settings.extend(settings.iter().map(|setting| (*setting).to_owned()));
        self.start();
    }

    /// Kills it with all its processes, as when the machine dies but for the disk.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The others end when they find that the first is gone, and the next start waits for that.
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Stops it as `pg_ctl stop -m immediate` does: what was committed is recovered by the next start.
    pub(crate) fn stop_at_once(&mut self) {
        if let Some(mut server) = self.server.take() {
            assert!(
                Command::new("kill")
                    .args(["-QUIT", &server.id().to_string()])
                    .status()
                    .unwrap()
                    .success()
            );
            server.wait().unwrap();
        }
    }

    /// Tells whether it has ended by itself: it does where the process is killed that recovers.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| server.try_wait().unwrap().is_some())
    }

    /// Returns the numbers of its processes: first that of the one that started the others.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let server = self.server.as_ref().expect("it runs").id();
        let ask = ["-o", "pid=", "--ppid", &server.to_string()].map(str::to_owned);
        let children = Command::new("ps").args(ask).output().unwrap();
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        let children = children.split_whitespace().map(|number| number.parse().unwrap());
        std::iter::once(server).chain(children).collect()
    }

    /// Stops or continues all of its processes.
    pub(crate) fn signal_all(&self, signal: &str) {
        let ids = self.processes().into_iter().map(|number| number.to_string());
        assert!(Command::new("kill").arg(signal).args(ids).status().unwrap().success());
    }

    /// Returns how to connect to it as the owner of nothing yet.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(&self.directory).port(self.port).user("postgres").dbname("postgres");
        config
    }

    /// Returns its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Returns the cluster that all tests share.
    pub(crate) fn shared(programs: &Programs) -> &'static Self {
        static SHARED: OnceLock<(Cluster, File)> = OnceLock::new();
        let (cluster, _) = SHARED.get_or_init(|| Self::find_or_start(programs));
        cluster
    }

    fn find_or_start(programs: &Programs) -> (Self, File) {
        let mut hash = DefaultHasher::new();
        (env!("CARGO_TARGET_TMPDIR"), &programs.0).hash(&mut hash);
        let name = format!("actiond-pg-{:x}", hash.finish());
        let directory = std::env::temp_dir().join(&name);
        let lock =
            |suffix: &str| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{suffix}"));
        // Held by who starts it or ends it.
        let starting = open(&lock("starting"));
        starting.lock().unwrap();
        // Held by all who use it, as long as they live.
        let using = open(&lock("using"));
        using.lock_shared().unwrap();
        let cluster = Self {
            directory,
            programs: programs.clone(),
            settings: ["fsync=off", "full_page_writes=off"].map(str::to_owned).into(),
            port: PORT,
            server: None,
            _own: None,
        };
        if !cluster.answers() {
            drop(std::fs::remove_dir_all(&cluster.directory));
            cluster.make();
            cluster.leave_running(&lock("starting"), &lock("using"));
            cluster.wait();
        }
        starting.unlock().unwrap();
        (cluster, using)
    }

    /// Starts it beside something that ends it: no process of the tests knows that it is the last.
    #[allow(
        clippy::zombie_processes,
        reason = "both outlive this process, which therefore can't wait for them"
    )]
    fn leave_running(&self, starting: &Path, using: &Path) {
        // In groups of their own, so that they outlive this test.
        let server = self.server().process_group(0).spawn().unwrap();
        let mut watch = Command::new("sh");
        watch.arg("-c").arg(
            "server=$1 directory=$2 starting=$3 using=$4
             while sleep 5 && kill -0 $server 2>/dev/null; do
                 flock -n \"$starting\" flock -n -x \"$using\" sh -c '
                     kill -QUIT $0; while kill -0 $0 2>/dev/null; do sleep 0.1; done; rm -rf \"$1\"
                 ' $server \"$directory\"
             done",
        );
        watch.arg("sh").arg(server.id().to_string()).arg(&self.directory).arg(starting).arg(using);
        watch.current_dir("/").process_group(0);
        watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        watch.spawn().unwrap();
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).unwrap()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}
