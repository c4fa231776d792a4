//! What is opened below a directory, and what never is, also while names are swapped.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use super::*;

fn read(root: &Root, below: &str) -> io::Result<String> {
    let (mut file, stamp) = root.open(Path::new(below), &[])?;
    assert_eq!(stamp, Stamp::of(&file.metadata()?));
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// `in/sub/file` and `in/file` to be opened, `out/file` and `out/sub/file` never.
fn scene() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    // Where the system's directory for temporary files is a link itself.
    let at = fs::canonicalize(directory.path()).unwrap();
    for (name, text) in
        [("in/file", "a"), ("in/sub/file", "b"), ("out/file", "secret"), ("out/sub/file", "secret")]
    {
        fs::create_dir_all(at.join(name).parent().unwrap()).unwrap();
        fs::write(at.join(name), text).unwrap();
    }
    (directory, at)
}

#[test]
fn files_below_are_opened_and_nothing_else_is() {
    let (_directory, at) = scene();
    symlink(at.join("out"), at.join("in/away")).unwrap();
    symlink("sub", at.join("in/within")).unwrap();
    symlink("file", at.join("in/link")).unwrap();
    symlink("nowhere", at.join("in/dangling")).unwrap();
    assert!(Command::new("mkfifo").arg(at.join("in/pipe")).status().unwrap().success());
    let root = Root::resolve(&at.join("in")).unwrap();
    for (below, text) in [("file", "a"), ("./file", "a"), ("sub//file", "b"), ("sub/./file", "b")] {
        assert_eq!(read(&root, below).unwrap(), text, "{below}");
    }
    let outside = at.join("out/file");
    for (below, why) in [
        ("link", A_LINK),
        ("dangling", A_LINK),
        ("away/file", A_LINK),
        ("away/sub/file", A_LINK),
        ("within/file", A_LINK),
        ("../out/file", A_WAY_OUT),
        ("sub/../file", A_WAY_OUT),
        ("sub/..", A_WAY_OUT),
        ("..", A_WAY_OUT),
        (outside.to_str().unwrap(), A_WAY_OUT),
        ("sub", NO_FILE),
        ("sub/", NO_FILE),
        ("pipe", NO_FILE),
        ("", NO_FILE),
        (".", NO_FILE),
        ("/", NO_FILE),
    ] {
        assert_eq!(read(&root, below).unwrap_err().to_string(), why, "{below}");
    }
    for (below, kind) in [
        ("none", io::ErrorKind::NotFound),
        ("none/file", io::ErrorKind::NotFound),
        ("file/file", io::ErrorKind::NotADirectory),
        ("a\0b", io::ErrorKind::InvalidInput),
    ] {
        assert_eq!(read(&root, below).unwrap_err().kind(), kind, "{below}");
    }
}

#[test]
fn a_file_that_is_protected_is_not_opened_by_any_name() {
    let (_directory, at) = scene();
    let root = Root::resolve(&at.join("in")).unwrap();
    let stamp = Stamp::of(&fs::metadata(at.join("in/file")).unwrap());
    let linked = at.join("in/linked");
    fs::hard_link(at.join("out/file"), &linked).unwrap();
    assert_eq!(read(&root, "linked").unwrap(), "secret");
    symlink(at.join("in/file"), at.join("out/by a link")).unwrap();
    protect([at.join("out/file"), at.join("out/by a link"), at.join("none")]);
    for below in ["file", "linked"] {
        assert_eq!(read(&root, below).unwrap_err().to_string(), OWN_FILE, "{below}");
    }
    assert!(root.remove(Path::new("file"), &[], stamp).is_err());
    assert!(at.join("in/file").exists());
    // What takes its place is protected, and nothing else is.
    fs::write(at.join("in/new"), "new").unwrap();
    assert_eq!(read(&root, "new").unwrap(), "new");
    fs::rename(at.join("in/new"), at.join("in/file")).unwrap();
    assert_eq!(read(&root, "file").unwrap_err().to_string(), OWN_FILE);
    assert_eq!(read(&root, "sub/file").unwrap(), "b");
}

#[test]
fn the_links_of_a_root_are_followed_once() {
    let (_directory, at) = scene();
    symlink("in", at.join("link")).unwrap();
    let root = Root::resolve(&at.join("link/sub")).unwrap();
    assert_eq!(root.path(), at.join("in/sub"));
    assert_eq!(read(&root, "file").unwrap(), "b");
    fs::remove_file(at.join("link")).unwrap();
    symlink("out", at.join("link")).unwrap();
    assert_eq!(read(&root, "file").unwrap(), "b");

    let by_path =
        |path: &str| Root::exactly(at.join(path)).map(|root| read(&root, "file").unwrap());
    assert_eq!(by_path("in/sub").unwrap(), "b");
    assert_eq!(by_path("link/sub").unwrap_err().to_string(), A_LINK);
    assert_eq!(by_path("out/../in").unwrap_err().to_string(), A_WAY_OUT);
    assert!(Root::exactly("in".into()).is_err());
    assert_eq!(by_path("in/file").unwrap_err().kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn directories_are_avoided_whatever_they_are_called() {
    let (_directory, at) = scene();
    let avoid = [directory_id(&at.join("in/sub")).unwrap()];
    let root = Root::resolve(&at.join("in")).unwrap();
    fs::create_dir_all(at.join("in/sub/deep/er")).unwrap();
    fs::write(at.join("in/sub/deep/er/file"), "c").unwrap();
    for below in ["sub/file", "sub/deep/er/file"] {
        let error = root.open(Path::new(below), &avoid).unwrap_err();
        assert_eq!(error.to_string(), ITS_OWN, "{below}");
    }
    assert!(root.open(Path::new("file"), &avoid).is_ok());
    fs::rename(at.join("in/sub"), at.join("in/other")).unwrap();
    assert_eq!(root.open(Path::new("other/file"), &avoid).unwrap_err().to_string(), ITS_OWN);
    assert!(!root.is_in(&avoid));
    for path in ["in/other", "in/other/deep"] {
        assert!(Root::resolve(&at.join(path)).unwrap().is_in(&avoid), "{path}");
    }
}

#[test]
fn only_what_was_read_is_deleted() {
    let (_directory, at) = scene();
    let root = Root::resolve(&at.join("in")).unwrap();
    let (file, below) = (at.join("in/sub/file"), Path::new("sub/file"));
    let stamp = || root.open(below, &[]).unwrap().1;
    let first = stamp();

    // Another file of the same name, size and time.
    fs::rename(&file, at.join("kept")).unwrap();
    fs::write(&file, "x").unwrap();
    let time = fs::metadata(at.join("kept")).unwrap().modified().unwrap();
    fs::File::options().append(true).open(&file).unwrap().set_modified(time).unwrap();
    assert!(!root.remove(below, &[], first).unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    // The same file, with more in it or another time.
    fs::rename(at.join("kept"), &file).unwrap();
    assert_eq!(stamp(), first);
    fs::write(&file, "longer").unwrap();
    fs::File::options().append(true).open(&file).unwrap().set_modified(time).unwrap();
    assert!(!root.remove(below, &[], first).unwrap());
    let second = stamp();
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    fs::File::options().append(true).open(&file).unwrap().set_modified(later).unwrap();
    assert!(!root.remove(below, &[], second).unwrap());
    // A link to it, and a place that is avoided.
    let third = stamp();
    symlink("file", at.join("in/sub/link")).unwrap();
    assert!(root.remove(Path::new("sub/link"), &[], third).is_err());
    let avoid = [directory_id(&at.join("in/sub")).unwrap()];
    assert!(root.remove(below, &avoid, third).is_err());
    assert!(file.exists());

    assert!(root.remove(below, &[], third).unwrap());
    assert!(!file.exists());
    assert_eq!(root.remove(below, &[], third).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_stamp_tells_what_was_found_from_what_replaced_it() {
    let stamp = |numbers: (u64, u64, u64, i64, i64)| Stamp::from(numbers);
    let found = stamp((1, 2, 30, 400, 5));
    for (now, expected) in [
        ((1, 2, 30, 400, 5), true),
        // Written to since.
        ((1, 2, 31, 401, 5), true),
        // Numbered anew.
        ((9, 2, 30, 400, 5), true),
        ((1, 9, 30, 400, 5), true),
        // Another file.
        ((1, 9, 31, 400, 5), false),
        ((1, 9, 30, 401, 5), false),
        ((1, 9, 30, 400, 6), false),
        ((9, 2, 30, 400, 6), false),
    ] {
        assert_eq!(stamp(now).can_be(found), expected, "{now:?}");
    }
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(text, "[1,2,30,400,5]");
    assert_eq!(serde_json::from_str::<Stamp>(&text).unwrap(), found);
}

/// Swaps names for as long as another thread opens; returns what that counted.
fn while_swapping<T: Send + 'static>(
    open: impl FnOnce() -> T + Send + 'static,
    mut swap: impl FnMut() + Send + 'static,
) -> T {
    let over = Arc::new(AtomicBool::new(false));
    let (sender, opened) = mpsc::channel();
    let opener = std::thread::spawn(move || sender.send(open()).unwrap());
    let swapper = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            while !over.load(Ordering::Relaxed) {
                swap();
            }
        }
    });
    let counted = opened.recv_timeout(Duration::from_secs(30));
    over.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    let counted = counted.expect("all are opened, or refused, without a wait");
    opener.join().unwrap();
    counted
}

#[test]
fn a_directory_that_turns_into_a_link_leads_nowhere() {
    let (_directory, at) = scene();
    symlink(at.join("out"), at.join("in/link")).unwrap();
    let root = Root::resolve(&at.join("in")).unwrap();
    let swap = {
        let at = at.clone();
        move || {
            let name = |name: &str| at.join("in").join(name);
            for (from, to) in [("sub", "was"), ("link", "sub"), ("sub", "link"), ("was", "sub")] {
                fs::rename(name(from), name(to)).unwrap();
            }
        }
    };
    let open = move || {
        let (mut files, mut links) = (0, 0);
        for round in 0.. {
            match read(&root, "sub/file") {
                Ok(text) => {
                    assert_eq!(text, "b");
                    files += 1;
                }
                Err(error) if error.to_string() == A_LINK => links += 1,
                Err(error) => {
                    assert!(
                        matches!(
                            error.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                        ),
                        "{error}"
                    );
                }
            }
            if round > 20_000 && files > 0 && links > 0 {
                break;
            }
        }
        (files, links)
    };
    let (files, links) = while_swapping(open, swap);
    assert!(files > 0 && links > 0, "{files} files, {links} links");
}

#[test]
fn a_file_that_turns_into_a_pipe_or_a_link_keeps_nobody_waiting() {
    let (_directory, at) = scene();
    assert!(Command::new("mkfifo").arg(at.join("pipe")).status().unwrap().success());
    fs::hard_link(at.join("in/file"), at.join("file")).unwrap();
    let root = Root::resolve(&at.join("in")).unwrap();
    let swap = {
        let (names, next, it) =
            ([at.join("pipe"), at.join("file")], at.join("next"), at.join("in/file"));
        let secret = at.join("out/file");
        move || {
            for name in &names {
                fs::hard_link(name, &next).unwrap();
                fs::rename(&next, &it).unwrap();
                symlink(&secret, &next).unwrap();
                fs::rename(&next, &it).unwrap();
            }
        }
    };
    let open = move || {
        let (mut files, mut others) = (0, 0);
        for round in 0.. {
            match read(&root, "file") {
                Ok(text) => {
                    assert_eq!(text, "a");
                    files += 1;
                }
                Err(error) => {
                    let error = error.to_string();
                    assert!(
                        error == NO_FILE || error == A_LINK || error.contains("os error"),
                        "{error}"
                    );
                    others += 1;
                }
            }
            if round > 20_000 && files > 0 && others > 0 {
                break;
            }
        }
        (files, others)
    };
    let (files, others) = while_swapping(open, swap);
    assert!(files > 0 && others > 0, "{files} files, {others} others");
}

/// The descriptors of this process that lead to this file, however they were opened.
#[cfg(target_os = "linux")]
fn descriptors_of(path: &Path) -> usize {
    use std::os::unix::fs::MetadataExt as _;
    let is = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let file = is(fs::metadata(path).unwrap());
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    all.filter(|entry| fs::metadata(entry.path()).is_ok_and(|found| is(found) == file)).count()
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_of_the_servers_own_is_never_opened_by_another_name() {
    use actiond_actors::store::sqlite::OwnFiles;
    let (_directory, at) = scene();
    fs::create_dir(at.join("data")).unwrap();
    fs::write(at.join("data/actions.db"), "").unwrap();
    fs::hard_link(at.join("data/actions.db"), at.join("in/sub/copy")).unwrap();
    let root = Root::resolve(&at.join("in")).unwrap();
    let below = Path::new("sub/copy");
    let (_, stamp) = root.open(below, &[]).unwrap();
    let _own = OwnFiles::of(&at.join("data"));
    assert_eq!(root.open(below, &[]).unwrap_err().to_string(), OWN_FILE);
    assert_eq!(root.remove(below, &[], stamp).unwrap_err().to_string(), OWN_FILE);
    assert!(at.join("in/sub/copy").exists());
    // A log that is made later is another file.
    fs::write(at.join("data/actions.db-wal"), "").unwrap();
    fs::hard_link(at.join("data/actions.db-wal"), at.join("in/log")).unwrap();
    assert_eq!(root.open(Path::new("log"), &[]).unwrap_err().to_string(), OWN_FILE);
    assert_eq!(read(&root, "file").unwrap(), "a");
    assert_eq!(descriptors_of(&at.join("data/actions.db")), 0);
}

/// Between the look and the opening another file takes the name.
#[cfg(target_os = "linux")]
/// Its name below may be gone again by then, and nobody may have looked for the server's own files yet.
#[test]
fn a_file_of_the_servers_own_that_took_a_name_is_known_by_its_other_name() {
    use actiond_actors::store::sqlite::OwnFiles;
    let (_directory, at) = scene();
    fs::create_dir(at.join("data")).unwrap();
    fs::write(at.join("data/actions.db"), "secret").unwrap();
    let _own = OwnFiles::of(&at.join("data"));
    let found = rustix::fs::stat(at.join("in/file")).unwrap();
    let data = fs::File::open(at.join("data")).unwrap().into();
    let error = unix::open_by_name(&data, "actions.db".as_ref(), &found).unwrap_err();
    assert_eq!(error.to_string(), OWN_FILE);
}

#[test]
fn a_file_of_the_servers_own_is_not_opened_while_names_are_swapped() {
    use actiond_actors::store::sqlite::OwnFiles;
    let (_directory, at) = scene();
    fs::create_dir(at.join("data")).unwrap();
    let database = at.join("data/actions.db");
    fs::write(&database, "secret").unwrap();
    let own = OwnFiles::of(&at.join("data"));
    let root = Root::resolve(&at.join("in")).unwrap();
    let mut is_database = false;
    let swap = {
        let at = at.clone();
        move || {
            is_database = !is_database;
            let new = at.join("new");
            match is_database {
                true => fs::hard_link(at.join("data/actions.db"), &new).unwrap(),
                false => fs::write(&new, "a").unwrap(),
            }
            fs::rename(&new, at.join("in/file")).unwrap();
            // Of two names of one file none is renamed, so this one goes.
            let _ = fs::remove_file(&new);
        }
    };
    let open = move || {
        let (mut opened, mut refused) = (0, 0);
        while opened < 500 || refused < 500 {
            match root.open(Path::new("file"), &[]) {
                Ok((mut file, _)) => {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap();
                    assert_ne!(text, "secret");
                    opened += 1;
                }
                Err(error) => {
                    assert_eq!(error.to_string(), OWN_FILE);
                    refused += 1;
                }
            }
        }
        (opened, refused)
    };
    let (opened, refused) = while_swapping(open, swap);
    assert!(opened >= 500 && refused >= 500);
    drop(own);
    // The first one that was opened all the same is kept, for good: to close it would do the harm.
    assert!(descriptors_of(&database) <= 1);
}
