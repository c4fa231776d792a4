//! Fetch: what it counts, what it takes, and what it passes over.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::super::server::{Home, Server};
use super::{
    assert_all_agree, assert_counts, batches, config, count_lines, failed_fetch, fetch, files,
    find, grow, path, replay,
};

/// How many files of the system's documentation are taken at most, and how large each may be.
const SOME: usize = 2_500;
const SMALL: u64 = 40_000;

/// Copies a part of the system's documentation, or makes a tree where there is too little of it.
fn real_tree(root: &Path) {
    let documentation = Path::new("/usr/share/doc");
    let mut copied = 0;
    if documentation.is_dir() {
        for entry in walkdir::WalkDir::new(documentation).into_iter().filter_map(Result::ok) {
            let to = root.join(entry.path().strip_prefix(documentation).unwrap());
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                fs::create_dir_all(&to).unwrap();
            } else if metadata.is_symlink() {
                symlink(fs::read_link(entry.path()).unwrap(), &to).unwrap();
            } else if metadata.len() <= SMALL && copied < SOME {
                fs::copy(entry.path(), &to).unwrap();
                copied += 1;
            }
        }
    }
    if copied < 1_000 {
        grow(&root.join("grown"), 2_000);
    }
}

#[test]
fn a_real_tree_is_followed_through_its_changes() {
    let home = Home::new(&config(&[("DIR1", "DirectoryPathCSVs=tree")], ""));
    let tree = home.path().join("tree");
    real_tree(&tree);
    let before = files(&tree);
    let n = before.len();
    assert!(n >= 1_000, "{n}");
    let server = home.start();

    let first = fetch(&server, "");
    assert_counts(&first, "DIR1", &[("seen", n), ("added", n), ("ingestadded", n)]);
    assert_eq!(first.values("success"), ["DIR1"]);
    assert_eq!(count_lines(&batches(&home), "add"), n);
    assert_all_agree(&home, "DIR1", &before);

    let second = fetch(&server, "");
    assert_counts(&second, "DIR1", &[("seen", n), ("unchanged", n)]);
    assert_eq!(count_lines(&batches(&home), "add"), n, "something was sent again");

    // Every 50th grows, every 70th is only touched, every 90th goes, and a whole folder with them.
    let (mut changed, mut gone) = (0, 0);
    for (number, file) in before.iter().enumerate() {
        let file = path(file);
        if number % 90 == 0 {
            fs::remove_file(file).unwrap();
            gone += 1;
        } else if number % 50 == 0 {
            let old = fs::read(file).unwrap();
            fs::write(file, [&old[..], b"more"].concat()).unwrap();
            changed += 1;
        } else if number % 70 == 0 {
            File::options()
                .append(true)
                .open(file)
                .unwrap()
                .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400))
                .unwrap();
            changed += 1;
        }
    }
    let new = tree.join("new folder, with a comma");
    fs::create_dir(&new).unwrap();
    let names: [&[u8]; 8] = [
        b"plain",
        b"sp ace",
        b"q\"uote'",
        b"new\nline",
        b"\xFF\xFEnot utf-8",
        b"per%cent",
        "gr\u{fc}\u{df}e \u{1F600}".as_bytes(),
        b"<&>,,\" ",
    ];
    for name in names {
        fs::write(new.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let after = files(&tree);
    let added = names.len();
    assert_eq!(after.len(), n + added - gone);

    let third = fetch(&server, "");
    assert_counts(
        &third,
        "DIR1",
        &[
            ("seen", after.len()),
            ("added", added),
            ("ingestadded", added),
            ("updated", changed),
            ("ingestupdated", changed),
            ("deleted", gone),
            ("ingestdeleted", gone),
            ("unchanged", after.len() - added - changed),
        ],
    );
    assert_eq!(count_lines(&batches(&home), "add"), n + added + changed);
    assert_eq!(count_lines(&batches(&home), "remove"), gone);
    assert_all_agree(&home, "DIR1", &after);
    // A file whose name is no text was read all the same; its content is no text either.
    let index = replay(&batches(&home));
    assert_eq!(index[new.join("sp ace").as_os_str().as_bytes()], "sp ace");

    // The new ones go as well: names with commas, quotes and line feeds come through a removal.
    fs::remove_dir_all(&new).unwrap();
    let fourth = fetch(&server, "");
    let left = after.len() - added;
    assert_counts(
        &fourth,
        "DIR1",
        &[("seen", left), ("deleted", added), ("ingestdeleted", added), ("unchanged", left)],
    );
    assert_all_agree(&home, "DIR1", &files(&tree));
}

#[test]
fn tasks_take_what_their_settings_say() {
    let home = Home::new(&config(
        &[
            (
                "DIR1",
                "DirectoryPathCSVs=tree\nDirectoryRecursive=false\nDirectoryFileMatch=*.txt,?.md",
            ),
            (
                "DIR2",
                "DirectoryPathCSVs=tree,\"other, one\"\nPathNoCrawlRegex=/(target|\\.git)(/|$)",
            ),
        ],
        "",
    ));
    let tree = home.path().join("tree");
    let other = home.path().join("other, one");
    for name in [
        "a.txt",
        "b.txt",
        "c.md",
        "cc.md",
        "d.rs",
        "B.TXT",
        "target/x.txt",
        "sub/e.txt",
        "sub/target/y.txt",
        "sub/targets/z.txt",
        ".git/config",
        "sub/deep/f.txt",
        ".txt",
    ] {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    grow(&other, 120);
    let server = home.start();

    let flat = find(
        &tree,
        &["-maxdepth", "1", "-type", "f", "(", "-name", "*.txt", "-o", "-name", "?.md", ")"],
    );
    let prune = ["(", "-name", "target", "-o", "-name", ".git", ")", "-prune", "-o", "-type", "f"];
    let mut deep = find(&tree, &prune);
    deep.extend(files(&other));
    assert_eq!((flat.len(), deep.len()), (4, 130));

    // Sections are chosen whatever their case, and each counts by itself.
    let only = fetch(&server, "&TaskSections=dir2");
    assert_eq!(only.values("success"), ["DIR2"]);
    assert_counts(&only, "DIR2", &[("seen", 130), ("added", 130), ("ingestadded", 130)]);
    assert!(!only.0.contains("DIR1"), "{}", only.0);
    assert_all_agree(&home, "DIR2", &deep);

    let both = fetch(&server, "");
    assert_eq!(both.values("success"), ["DIR1", "DIR2"]);
    assert_counts(&both, "DIR1", &[("seen", 4), ("added", 4), ("ingestadded", 4)]);
    assert_counts(&both, "DIR2", &[("seen", 130), ("unchanged", 130)]);
    assert!(super::datastore(&home, "DIR1") == flat);

    let both = fetch(&server, "&TaskSections=DIR2,%20dir1,DIR2");
    assert_eq!(both.values("success"), ["DIR2", "DIR1"]);

    let token = super::start_fetch(&server, "&TaskSections=DIR1,DIR7");
    let ended = server.outcome("Fetch", &token);
    assert_eq!(ended.must("status"), "Error");
    let error = ended.must("error");
    assert!(error.contains("\"DIR7\"") && error.contains("DIR1, DIR2"), "{error}");
    for (rest, named) in [("", "missing"), ("&FetchAction=Collect", "\"Collect\"")] {
        let ended = server.outcome("Fetch", &server.submit_to("Fetch", rest));
        assert_eq!(ended.must("status"), "Error");
        let error = ended.must("error");
        assert!(error.contains(named) && error.contains("Synchronize"), "{error}");
    }
}

#[test]
fn a_task_without_its_directory_fails_and_the_others_go_on() {
    let home = Home::new(&config(
        &[
            ("DIR1", "DirectoryPathCSVs=tree,nowhere"),
            ("DIR2", "DirectoryPathCSVs=tree"),
            ("DIR3", "DirectoryPathCSVs=test.cfg"),
        ],
        "",
    ));
    let tree = home.path().join("tree");
    grow(&tree, 60);
    let server = home.start();
    for run in ["added", "unchanged"] {
        let ended = fetch(&server, "");
        assert_eq!(ended.values("success"), ["DIR2"]);
        let failed = ended.with(|document| {
            let failed = document.descendants().filter(|node| node.has_tag_name("failed"));
            failed
                .map(|n| (n.text().unwrap().to_owned(), n.attribute("message").unwrap().to_owned()))
                .collect::<Vec<_>>()
        });
        let [(first, missing), (second, file)] = &failed[..] else { panic!("{}", ended.0) };
        assert_eq!((first.as_str(), second.as_str()), ("DIR1", "DIR3"));
        assert!(missing.contains("nowhere") && missing.contains("No such file"), "{missing}");
        assert!(file.contains("test.cfg is not a directory"), "{file}");
        assert_counts(&ended, "DIR1", &[]);
        let sent = if run == "added" { 60 } else { 0 };
        assert_counts(&ended, "DIR2", &[("seen", 60), (run, 60), ("ingestadded", sent)]);
    }

    // Nothing vanishes because a directory is away for a while; once it is back, all is as it was.
    fs::rename(&tree, home.path().join("away")).unwrap();
    let ended = failed_fetch(&server, "&TaskSections=DIR2");
    assert_counts(&ended, "DIR2", &[]);
    let error = ended.must("error");
    assert!(error.starts_with("task DIR2: ") && error.contains("No such file"), "{error}");
    fs::rename(home.path().join("away"), &tree).unwrap();
    let ended = fetch(&server, "&TaskSections=DIR2");
    assert_counts(&ended, "DIR2", &[("seen", 60), ("unchanged", 60)]);
    assert_eq!(count_lines(&batches(&home), "remove"), 0);
}

#[test]
fn what_is_no_plain_file_does_no_harm() {
    let home = Home::new(&config(&[("DIR1", "DirectoryPathCSVs=tree")], ""));
    let tree = home.path().join("tree");
    let odd = tree.join(OsStr::from_bytes(b"folder \xC3\x28"));
    fs::create_dir_all(&odd).unwrap();
    fs::write(odd.join(OsStr::from_bytes(b"\xFF.txt")), "the text of it").unwrap();
    fs::write(tree.join("plain.txt"), "plain").unwrap();
    fs::write(tree.join("empty"), "").unwrap();
    fs::write(tree.join("binary"), [0, 159, 146, 150]).unwrap();
    symlink(&tree, odd.join("loop")).unwrap();
    symlink("loop2", tree.join("loop2")).unwrap();
    symlink(tree.join("plain.txt"), tree.join("link.txt")).unwrap();
    symlink("nowhere", tree.join("dangling")).unwrap();
    assert!(Command::new("mkfifo").arg(tree.join("pipe")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();

    let expected = files(&tree);
    assert_eq!(expected.len(), 4);
    let server = home.start();
    let ended = fetch(&server, "");
    assert_counts(&ended, "DIR1", &[("seen", 4), ("added", 4), ("ingestadded", 4)]);
    assert_all_agree(&home, "DIR1", &expected);
    let index = replay(&batches(&home));
    let name = odd.join(OsStr::from_bytes(b"\xFF.txt"));
    assert_eq!(index[name.as_os_str().as_bytes()], "the text of it");
    assert_eq!(index[tree.join("plain.txt").as_os_str().as_bytes()], "plain");
    assert_eq!(index[tree.join("binary").as_os_str().as_bytes()], "");
    let ended = fetch(&server, "");
    assert_counts(&ended, "DIR1", &[("seen", 4), ("unchanged", 4)]);

    fs::remove_dir_all(&odd).unwrap();
    let ended = fetch(&server, "");
    let expected = [("seen", 3), ("unchanged", 3), ("deleted", 1), ("ingestdeleted", 1)];
    assert_counts(&ended, "DIR1", &expected);
    assert_all_agree(&home, "DIR1", &files(&tree));
}

/// The command of a server to which the modes of files apply, though it may be root's; none if that
/// can't be had.
fn bound_by_modes(home: &Home) -> Option<Command> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !root {
        return Some(home.command());
    }
    let caps = "-dac_override,-dac_read_search";
    let without = [format!("--bounding-set={caps}"), format!("--inh-caps={caps}")];
    let has_setpriv = Command::new("setpriv").args(&without).arg("true").status();
    if !has_setpriv.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: a process of root's can't be bound by modes here (this needs setpriv)");
        return None;
    }
    let plain = home.command();
    let mut command = Command::new("setpriv");
    command.args(without).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(home.path());
    Some(command)
}

#[test]
fn what_cannot_be_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let tasks = [("DIR1", "DirectoryPathCSVs=tree"), ("DIR2", "DirectoryPathCSVs=other")];
    let home = Home::new(&config(&tasks, ""));
    let (tree, other) = (home.path().join("tree"), home.path().join("other"));
    for root in [&tree, &other] {
        grow(root, 3);
    }
    for name in ["p", "q"] {
        fs::create_dir(tree.join(name)).unwrap();
        fs::write(tree.join(name).join("file"), name).unwrap();
    }
    let Some(command) = bound_by_modes(&home) else { return };
    let server = Server::run(command);
    fetch(&server, "");

    let may = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let closed = [other.clone(), tree.join("p"), tree.join("q")];
    closed.iter().for_each(|path| may(path, 0));
    let second = fetch(&server, "");
    assert_counts(&second, "DIR1", &[("seen", 3), ("unchanged", 3), ("errors", 2)]);
    assert_counts(&second, "DIR2", &[]);
    assert_eq!(second.values("success"), ["DIR1"]);
    assert_eq!(second.values("failed"), ["DIR2"]);
    let why = "directory other: Permission denied";
    assert!(second.0.contains(why), "{}", second.0);
    closed.iter().for_each(|path| may(path, 0o755));
    let third = fetch(&server, "");
    assert_counts(&third, "DIR1", &[("seen", 5), ("unchanged", 5)]);
    assert_counts(&third, "DIR2", &[("seen", 3), ("unchanged", 3)]);

    server.signal("TERM");
    let (_, log) = server.wait();
    let warnings: Vec<_> = log.iter().filter(|line| line.contains("WARN")).collect();
    let told = ["task DIR1: \"", "task DIR1: 1 more could not be read", why];
    assert_eq!(warnings.len(), told.len(), "{warnings:?}");
    for (line, told) in warnings.iter().zip(told) {
        assert!(line.contains(told), "{told}: {warnings:?}");
    }
}

#[test]
fn a_directory_of_which_only_an_unreadable_part_is_left_is_no_empty_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new(&config(&[("DIR1", "DirectoryPathCSVs=tree")], ""));
    let part = home.path().join("tree/part");
    grow(&part, 3);
    let Some(command) = bound_by_modes(&home) else { return };
    let server = Server::run(command);
    fetch(&server, "");
    let may = |mode| fs::set_permissions(&part, fs::Permissions::from_mode(mode)).unwrap();
    may(0);
    let ended = fetch(&server, "");
    assert_eq!(ended.values("success"), ["DIR1"]);
    assert_counts(&ended, "DIR1", &[("errors", 1)]);
    may(0o755);
    assert_counts(&fetch(&server, ""), "DIR1", &[("seen", 3), ("unchanged", 3)]);
}
