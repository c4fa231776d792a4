//! A proxy between one server and PostgreSQL, whose line can be cut, held up, half closed, or made to lose what comes back.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The state of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Open,
    /// All connections are closed, and new ones at once.
    Cut,
    /// Nothing goes through, and nothing is closed; what was sent meanwhile goes through afterwards.
    Silent,
    /// Answers of PostgreSQL are lost. Afterwards the connections are closed that have lost something.
    Deaf,
    /// All that goes through comes so much later.
    Slow(Duration),
}

/// One end of a connection that is closed for one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HalfClosed {
    /// PostgreSQL sees an end, and the server goes on listening.
    ToDatabase,
    /// The server sees an end, and PostgreSQL goes on waiting, with all locks.
    ToServer,
}

/// Time between two looks at the line.
const LOOK: Duration = Duration::from_millis(20);

struct Shared {
    line: Mutex<Line>,
    /// The connections: to the server, to PostgreSQL.
    connections: Mutex<Vec<(TcpStream, UnixStream)>>,
    over: AtomicBool,
}

impl Shared {
    fn line(&self) -> Line {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn for_each(&self, what: impl Fn(&TcpStream, &UnixStream) -> std::io::Result<()>) {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        // Some have been closed since.
        connections.iter().for_each(|(server, database)| drop(what(server, database)));
    }
}

/// A proxy, which ends when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Stands before PostgreSQL at this socket.
    pub(crate) fn before(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            line: Mutex::new(Line::Open),
            connections: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let line = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &socket, &line));
        Self { address, shared }
    }

    /// The way to the database through it.
    pub(crate) fn connection(&self) -> String {
        let port = self.address.port();
        format!("host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable")
    }

    pub(crate) fn set(&self, line: Line) {
        *self.shared.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
        if line == Line::Cut {
            self.shared.for_each(|server, database| {
                server.shutdown(Shutdown::Both)?;
                database.shutdown(Shutdown::Both)
            });
        }
    }

    /// Closes all present connections for one direction.
    pub(crate) fn half_close(&self, which: HalfClosed) {
        self.shared.for_each(|server, database| match which {
            HalfClosed::ToDatabase => database.shutdown(Shutdown::Write),
            HalfClosed::ToServer => server.shutdown(Shutdown::Write),
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.set(Line::Cut);
        // So that it looks.
        drop(TcpStream::connect(self.address));
    }
}

fn accept(listener: &TcpListener, socket: &Path, shared: &Arc<Shared>) {
    while let Ok((server, _)) = listener.accept() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        if shared.line() == Line::Cut {
            continue;
        }
        // Where PostgreSQL is not there, the server is refused, too.
        let Ok(database) = UnixStream::connect(socket) else { continue };
        drop(join(server, database, shared));
    }
}

/// Passes on what comes, either way, until one end is closed.
fn join(server: TcpStream, database: UnixStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    server.set_nodelay(true)?;
    server.set_read_timeout(Some(LOOK))?;
    database.set_read_timeout(Some(LOOK))?;
    let (mut from_server, mut to_server) = (server.try_clone()?, server.try_clone()?);
    let (mut from_database, mut to_database) = (database.try_clone()?, database.try_clone()?);
    {
        let mut all = shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(server, _)| server.take_error().is_ok() && server.peer_addr().is_ok());
        all.push((server, database));
    }
    let line = Arc::clone(shared);
    std::thread::spawn(move || {
        pass(&line, |buffer| from_server.read(buffer), |bytes| to_database.write_all(bytes), false);
        drop(to_database.shutdown(Shutdown::Write));
    });
    let line = Arc::clone(shared);
    std::thread::spawn(move || {
        let read = |buffer: &mut [u8]| from_database.read(buffer);
        pass(&line, read, |bytes| to_server.write_all(bytes), true);
        // The end of a session: nobody reads on.
        drop(to_server.shutdown(Shutdown::Both));
    });
    Ok(())
}

fn pass(
    shared: &Shared,
    mut read: impl FnMut(&mut [u8]) -> std::io::Result<usize>,
    mut write: impl FnMut(&[u8]) -> std::io::Result<()>,
    answers: bool,
) {
    let mut buffer = vec![0; 64 << 10];
    let mut has_lost = false;
    loop {
        let line = shared.line();
        match line {
            Line::Cut => return,
            Line::Silent => {
                std::thread::sleep(LOOK);
                continue;
            }
            Line::Deaf => {}
            Line::Open | Line::Slow(_) if has_lost => return,
            Line::Open | Line::Slow(_) => {}
        }
        let size = match read(&mut buffer) {
            Ok(0) => return,
            Ok(size) => size,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => return,
        };
        match shared.line() {
            Line::Slow(time) => std::thread::sleep(time),
            Line::Deaf if answers => {
                has_lost = true;
                continue;
            }
            // It was read, and is passed on once the line is there again.
            Line::Silent => {
                while shared.line() == Line::Silent {
                    std::thread::sleep(LOOK);
                }
            }
            Line::Open | Line::Deaf | Line::Cut => {}
        }
        if write(&buffer[..size]).is_err() {
            return;
        }
    }
}
