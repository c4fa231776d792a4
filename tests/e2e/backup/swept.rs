//! A backup that was cut short leaves nothing that counts for one.

use super::super::server::{Home, wait_until};
use super::{CONFIG, backed_up};

#[test]
fn a_backup_that_was_cut_short_is_none_and_the_next_one_is_whole() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let large = "x".repeat(2_000_000);
    for _ in 0..6 {
        server.post("Held", &[("Large", &large)]).success();
    }
    let folder = home.data().join("backups");
    let mut caller = server.connect();
    std::io::Write::write_all(
        &mut caller,
        b"GET /action=BackupServer&Path=backups HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .unwrap();
    wait_until("the copy", || home.data().join("backup.part").exists());
    let server_port = server.address.port();
    server.kill();
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
    let server = home.start_on(server_port);
    let file = backed_up(&server, &folder);
    assert!(is_zip(&file) && zips() == 1);
    assert!(!home.data().join("backup.part").exists());
    let there: Vec<_> = folder.read_dir().unwrap().collect();
    assert_eq!(there.len(), 1, "{there:?}");
}
