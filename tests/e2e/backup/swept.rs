//! A backup that was cut short leaves nothing that counts for one.

use super::super::server::{Home, wait_until};
use super::{CONFIG, backed_up};

/// The files of a directory that are there only for a while.
fn left_in(directory: &std::path::Path) -> Vec<String> {
    let all = directory.read_dir().unwrap();
    let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".part")).collect()
}

/// Starts a backup of some megabytes, and waits until it has begun.
fn begun(home: &Home, server: &super::super::server::Server) -> std::net::TcpStream {
    server.info("Held", "pause", "").success();
    let large = "x".repeat(2_000_000);
    for _ in 0..6 {
        server.post("Held", &[("Large", &large)]).success();
    }
    let mut caller = server.connect();
    std::io::Write::write_all(
        &mut caller,
        b"GET /action=BackupServer&Path=backups HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .unwrap();
    wait_until("the copy", || home.data().join("backup.part.json").exists());
    caller
}

#[test]
fn the_end_of_the_server_breaks_a_backup_off() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let mut caller = begun(&home, &server);
    server.signal("TERM");
    let reply = super::super::server::Reply::read(&mut caller).body_text();
    assert!(reply.contains("ERRORUNAVAILABLE") && reply.contains("the server ends"), "{reply}");
    let (status, log) = server.wait();
    assert!(status.success());
    for words in ["it is broken off", "no backup was written to \"backups\": the server ends"] {
        assert!(log.iter().any(|line| line.contains(words)), "{words}: {log:#?}");
    }
    assert_eq!(left_in(&home.data()), Vec::<String>::new());
    let folder = home.data().join("backups");
    assert_eq!(folder.read_dir().map_or(0, Iterator::count), 0);
}

#[test]
fn a_backup_that_was_cut_short_is_none_and_the_next_one_is_whole() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let folder = home.data().join("backups");
    let caller = begun(&home, &server);
    let server_port = server.address.port();
    server.kill();
    drop(caller);
    let is_zip = |path: &std::path::Path| path.extension().is_some_and(|ending| ending == "zip");
    let zips = || {
        folder
            .read_dir()
            .map_or(0, |all| all.filter(|entry| is_zip(&entry.as_ref().unwrap().path())).count())
    };
    assert_eq!(zips(), 0);
    // As a crash leaves it while the archive is written.
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!(".127.0.0.1_{server_port}.zip.part")), "half").unwrap();
    std::fs::create_dir(home.data().join("restore.part")).unwrap();
    std::fs::write(home.data().join("restore.part/actions.db"), "half").unwrap();
    let server = home.start();
    assert_eq!(left_in(&home.data()), Vec::<String>::new());
    assert_eq!(folder.read_dir().unwrap().count(), 0);
    let file = backed_up(&server, &folder);
    assert!(is_zip(&file) && zips() == 1);
    assert_eq!(left_in(&home.data()), Vec::<String>::new());
    let there: Vec<_> = folder.read_dir().unwrap().collect();
    assert_eq!(there.len(), 1, "{there:?}");
}
