//! Working directories: fresh ones, which are removed or kept, and common ones; and other users.

use std::path::PathBuf;

use super::*;
use crate::server::wait_until;

/// Returns the working directories below the data directory.
fn fresh_in(home: &Home) -> Vec<PathBuf> {
    let list = |path: PathBuf| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    list(home.data().join("commands/Run")).into_iter().flat_map(list).collect()
}

#[test]
fn a_fresh_directory_is_removed_at_the_end() {
    let script = "pwd; ls | wc -l; mkdir -p a/b; echo x > a/b/c; ln -s / a/root; ln -s \"$ACTIOND_PARAM_OUTSIDE\" out; chmod 0 a/b";
    let (home, server) = shell(script, "");
    let outside = home.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("file"), "mine").unwrap();
    let answer = run(&server, &format!("&Outside={}", outside.display()));
    let output = answer.must("output");
    let (place, count) = output.split_once('\n').expect("two lines");
    assert!(place.contains("/commands/Run/"), "{place}");
    assert_eq!(count.trim(), "0", "it is empty at the start");
    assert_eq!(fresh_in(&home), Vec::<PathBuf>::new());
    assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "mine");
}

#[test]
fn directories_are_kept_as_the_configuration_says() {
    for (keep, after_success, after_failure) in
        [("never", 0, 0), ("failed", 0, 1), ("always", 1, 2)]
    {
        let lines = format!("KeepWorkingDirectory={keep}");
        let (home, server) = shell("echo x > made; exit $ACTIOND_PARAM_CODE", &lines);
        assert_eq!(run(&server, "&Code=0").must("status"), "Finished");
        assert_eq!(fresh_in(&home).len(), after_success, "{keep}");
        assert_eq!(run(&server, "&Code=1").must("status"), "Error");
        let kept = fresh_in(&home);
        assert_eq!(kept.len(), after_failure, "{keep}");
        assert!(kept.iter().all(|path| path.join("made").exists()));
        // The next server leaves them alone.
        server.kill();
        let server = home.start();
        assert_eq!(run(&server, "&Code=0").must("status"), "Finished");
        assert!(kept.iter().all(|path| path.join("made").exists()));
    }
}

#[test]
fn what_a_dead_server_left_is_removed() {
    let script = "echo x > made; exec sleep 60";
    let (home, server) = shell(script, "");
    let token = server.submit_to("Run", "");
    wait_until("a program that works", || {
        fresh_in(&home).iter().any(|path| path.join("made").exists())
    });
    let left = fresh_in(&home);
    server.kill();
    assert!(left[0].exists());
    let server = home.start();
    wait_until("its removal", || !left[0].exists());
    assert_eq!(server.outcome("Run", &token).must("status"), "Error");
}

#[test]
fn a_common_directory_is_never_touched() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("result.json"), "{\"old\": 1}").unwrap();
    let lines = format!("WorkingDirectory={}", place.path().display());
    let (_home, server) = shell(
        "pwd; if [ \"$ACTIOND_PARAM_WRITE\" ]; then echo \"<new/>\" > result.xml; fi",
        &lines,
    );
    let answer = run(&server, "");
    let shown = std::fs::canonicalize(place.path()).unwrap();
    assert_eq!(answer.must("output"), shown.to_str().unwrap(), "an old file is no result");
    let answer = run(&server, "&Write=1");
    assert_eq!(answer.values("new").len(), 1, "{}", answer.0);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
}

#[test]
fn programs_run_as_another_user() {
    if !rustix::process::geteuid().is_root() {
        let home = home("id -u", "User=0");
        let output = home.command().output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("only a server that runs as root may"), "{said}");
        return;
    }
    let home = home("id -un; id -G; echo $HOME; echo x > mine && echo wrote", "User=nobody");
    // Others than root must be able to reach the data directory.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(home.path(), open).unwrap();
    let server = home.start();
    let answer = run(&server, "");
    assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    let output = answer.must("output");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!((lines[0], lines[3]), ("nobody", "wrote"), "{output}");
    assert_eq!(lines[1].split(' ').count(), 1, "it has one group only: {output}");
    assert_ne!(lines[2], "/root");
    assert_eq!(fresh_in(&home), Vec::<PathBuf>::new());
}
