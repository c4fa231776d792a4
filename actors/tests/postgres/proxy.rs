//! A proxy before PostgreSQL that swallows notifications, as a pooler in transaction mode does: it gives the session that listens
//! to others.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

/// The type of the message that brings a notification.
const NOTIFICATION: u8 = b'A';

/// Proxies connections to this socket of PostgreSQL's, and returns the directory in which its own is.
pub(crate) fn deaf(server: PathBuf) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join(name(&server));
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = UnixStream::connect(&server).await else { return };
            let (mut from_client, to_client) = client.into_split();
            let (from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
            });
            tokio::spawn(pass(from_server, to_client));
        }
    });
    directory
}

fn name(socket: &Path) -> &std::ffi::OsStr {
    socket.file_name().unwrap()
}

/// Passes all messages on but notifications.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
    loop {
        let mut head = [0; 5];
        from.read_exact(&mut head).await?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length);
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        from.read_exact(&mut body).await?;
        if kind != NOTIFICATION {
            to.write_all(&head).await?;
            to.write_all(&body).await?;
        }
    }
}
