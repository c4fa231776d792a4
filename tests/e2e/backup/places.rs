//! Backups lie where the configuration allows it, and nowhere else.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use super::super::server::Home;
use super::{CONFIG, backed_up, restore};

#[test]
fn nothing_is_written_or_read_elsewhere() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let elsewhere = tempfile::tempdir().unwrap();
    let data = home.data();
    symlink(elsewhere.path(), data.join("link")).unwrap();
    for path in [
        elsewhere.path().to_str().unwrap().to_owned(),
        "../out".to_owned(),
        format!("{}/../out", data.display()),
        "link".to_owned(),
        "link/deeper".to_owned(),
        "restore.part".to_owned(),
        "commands/x".to_owned(),
        "a\0b".to_owned(),
        "x".repeat(5_000),
    ] {
        let (code, text) = server.post("BackupServer", &[("Path", &path)]).error();
        assert_eq!(code, "ERRORPARAMINVALID", "{path}: {text}");
        assert!(text.contains("BackupDirectories"), "{text}");
    }
    let file = backed_up(&server, Path::new("backups"));
    std::fs::copy(&file, elsewhere.path().join("b.zip")).unwrap();
    symlink(&file, data.join("backups/link.zip")).unwrap();
    for path in [
        elsewhere.path().join("b.zip"),
        data.join("link/b.zip"),
        data.join("backups/link.zip"),
        data.join("backups/none.zip"),
        data.join("backups"),
        data.join("actions.db"),
        home.path().join("test.cfg"),
    ] {
        let (code, text) = restore(&server, &path).error();
        assert_eq!(code, "ERRORPARAMINVALID", "{}: {text}", path.display());
    }
    let made: Vec<_> = elsewhere.path().read_dir().unwrap().collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(!home.path().join("out").exists());
    assert!(!data.join("restore.part").exists());
}

#[test]
fn a_backup_is_nobody_elses_and_each_has_a_name_of_its_own() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let folder = home.data().join("deep/er");
    let files: Vec<_> = (0..3).map(|_| backed_up(&server, &folder)).collect();
    for (n, file) in files.iter().enumerate() {
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(!files[..n].contains(file));
    }
    let there: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(there.len(), 3, "nothing else is left: {there:?}");
    let left: Vec<_> =
        home.data().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_str().unwrap().contains("part")), "{left:?}");
}

#[test]
fn both_need_the_role_admin() {
    let home = Home::new(&format!(
        "{CONFIG}[AuthorizationRoles]\n0=Q\n1=A\n[Q]\nStandardRoles=Query\nClients=127.0.0.1\n[A]\nStandardRoles=Admin\nClients=\n"
    ));
    let server = home.start();
    for (action, parameter) in [("BackupServer", "Path"), ("RestoreServer", "FileName")] {
        let (code, _) = server.post(action, &[(parameter, "backups")]).error();
        assert_eq!(code, "ERRORPERMISSION");
    }
    assert!(!home.data().join("backups").exists());
}
