//! Jobs that people have, with the programs that they use; and very many short ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::server::{Server, wait_until};
use super::super::shop::Shop;

/// The sources and documents of the repository, and names that are hard for shells.
fn tree(shop: &Shop) -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = shop.path("a tree; with $odd 'names'");
    fs::create_dir(&tree).unwrap();
    for part in ["docs", "src"] {
        let copied = Command::new("cp").arg("-r").arg(root.join(part)).arg(&tree).status();
        assert!(copied.unwrap().success());
    }
    for name in ["-rf", "two words", "new\nline", "ünïcödé 🎬", "\"quoted\""] {
        fs::write(tree.join(name), name).unwrap();
    }
    tree
}

fn files(root: &Path) -> BTreeSet<(String, Vec<u8>)> {
    let all = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.expect("readable"));
    all.filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(root).unwrap().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_tree_is_packed_and_unpacked() {
    let shop = Shop::with(&[
        ("Pack", "tar -C {Directory} -cvzf {Archive} .", "OnRestart=Requeue"),
        ("Unpack", "tar -C {Directory} -xzf {Archive}", ""),
        ("List", "tar -tzf {Archive}", "MaxOutputBytes=10000000"),
    ]);
    let server = shop.start();
    let tree = tree(&shop);
    let archive = shop.path("the archive.tar.gz");
    let unpacked = shop.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let bytes = |path: &Path| path.to_str().unwrap().as_bytes().to_vec();
    let given = |directory: &Path| [bytes(directory), bytes(&archive)];
    let run = |queue: &str, directory: &Path, status: &str| {
        let [directory, archive] = given(directory);
        shop.run_to(&server, queue, &[("Directory", &directory), ("Archive", &archive)], status)
    };
    run("Pack", &tree, "Finished");
    run("Unpack", &unpacked, "Finished");
    let expected = files(&tree);
    assert!(expected.len() > 100);
    assert!(files(&unpacked) == expected, "the trees differ");
    let listed = shop.run_to(&server, "List", &[("Archive", &bytes(&archive))], "Finished");
    let listed = listed.must("output");
    for name in ["./src/main.rs", "./docs/README.md", "./two words"] {
        assert!(listed.lines().any(|line| line == name), "{name}");
    }
    // What can't be done is told as `tar` tells it.
    let answer = run("Pack", Path::new("/nowhere/at all"), "Error");
    assert!(answer.must("error").contains("exit code 2"), "{}", answer.0);
    assert!(answer.0.contains("No such file or directory"), "{}", answer.0);
}

/// How many processes there are whose parent is the server, and how many of them have ended and were not waited for.
fn children(server: &Server) -> (usize, usize) {
    let parent = server.pid().to_string();
    let mut found = (0, 0);
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut words = rest.split(' ');
        let state = words.next();
        if words.next() == Some(&parent) {
            found.0 += 1;
            found.1 += usize::from(state == Some("Z"));
        }
    }
    found
}

fn open_files(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("its files").count()
}

fn below(directory: &Path) -> usize {
    walkdir::WalkDir::new(directory).into_iter().count()
}

#[test]
fn many_short_programs_leave_nothing_behind() {
    let shop = Shop::with(&[
        ("Work", "true", "MaximumThreads=8\nMaxFinishedSize=-1"),
        ("Fails", "false", "MaximumThreads=2\nMaxFinishedSize=-1"),
        ("Daemons", "/bin/sh -c 'setsid sleep 60 & setsid sleep 60 & exit 0'", "MaximumThreads=2"),
    ]);
    let server = shop.start();
    let all = |count: usize| {
        for _ in 0..count {
            server.submit_to("Work", "&Name=Ada");
            server.submit_to("Fails", "");
        }
        for _ in 0..count / 10 {
            server.submit_to("Daemons", "");
        }
        for queue in ["Work", "Fails", "Daemons"] {
            wait_until(&format!("the end of all in {queue}"), || {
                let counts = server.info(queue, "queueStatus", "").success();
                counts.number("pending") + counts.number("running") == 0
            });
        }
    };
    all(20);
    wait_until("none left", || children(&server) == (0, 0));
    let (files, entries) = (open_files(&server), below(&shop.data()));
    all(200);
    assert_eq!(
        server.info("Work", "getStatus", "&State=Finished").success().values("token").len(),
        220
    );
    assert_eq!(
        server.info("Fails", "getStatus", "&State=Error").success().values("token").len(),
        220
    );
    wait_until("none left", || children(&server) == (0, 0));
    // Connections of this test may be open still.
    wait_until("as many open files as before", || open_files(&server) <= files + 5);
    wait_until("as many files as before", || below(&shop.data()) <= entries + 2);
}
