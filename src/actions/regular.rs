//! Opens the files of clients and of crawled directories, which may be anything.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Opens a regular file to read it; anything else is refused.
///
/// # Errors
///
/// It can't be opened, or is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Before it is opened: that alone would wait for a pipe's writer, or rewind a tape.
    refuse_others(&fs::metadata(path)?)?;
    let mut options = File::options();
    options.read(true);
    // By now it may be a pipe all the same; and some of the kernel's own files (/proc/kmsg) call
    // themselves regular, but keep their reader waiting.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NONBLOCK | libc::O_NOCTTY,
    );
    let file = match options.open(path) {
        // Another program, such as Samba, holds a lease on it, which the system ends soon.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => File::open(path),
        opened => opened,
    }?;
    refuse_others(&file.metadata()?)?;
    Ok(file)
}

fn refuse_others(metadata: &fs::Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("not a regular file")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read as _;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_that_turns_into_a_pipe_keeps_nobody_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "text").unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        fs::hard_link(at("file"), at("it")).unwrap();

        let over = Arc::new(AtomicBool::new(false));
        let (sender, opened) = mpsc::channel();
        let (path, opener_over) = (at("it"), Arc::clone(&over));
        let opener = std::thread::spawn(move || {
            let (mut files, mut others) = (0, 0);
            for _ in 0..20_000 {
                match open(&path) {
                    Ok(mut file) => {
                        let mut text = String::new();
                        file.read_to_string(&mut text).unwrap();
                        assert_eq!(text, "text");
                        files += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.to_string(), "not a regular file");
                        others += 1;
                    }
                }
            }
            opener_over.store(true, Ordering::Relaxed);
            sender.send((files, others)).unwrap();
        });
        let swapper = std::thread::spawn({
            let (names, over) = ([at("pipe"), at("file")], Arc::clone(&over));
            let (next, it) = (at("next"), at("it"));
            move || {
                for name in names.iter().cycle() {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    fs::hard_link(name, &next).unwrap();
                    fs::rename(&next, &it).unwrap();
                }
            }
        });
        let counts = opened.recv_timeout(Duration::from_secs(30));
        over.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
        let (files, others) = counts.expect("all are opened, or refused, without a wait");
        assert!(files > 0 && others > 0, "{files} files, {others} others");
        opener.join().unwrap();
    }
}
