//! What is in `packaging/` is of use: the unit is one that systemd takes and keeps in, the configuration of the Debian package
//! starts a server. (`packaging/debian/try` installs the package itself, which only root may do.)

use std::path::Path;
use std::process::Command;

use super::server::Home;
use super::skip;

/// Most that systemd may find exposed, of 10. What the server needs costs about 2.
const MOST_EXPOSED: u32 = 25;

fn packaging(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        skip::skipped("the unit of systemd", "there is no systemd-analyze");
        return;
    }
    let home = Home::new("");
    let unit = home.path().join("actiond.service");
    // On this machine neither the program nor its user is installed.
    let text = packaging("systemd/actiond.service")
        .replace("/usr/bin/actiond ", &format!("{} ", env!("CARGO_BIN_EXE_actiond")))
        .replace("User=actiond\n", "")
        .replace("Group=actiond\n", "");
    std::fs::write(&unit, text).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
    let mut security = Command::new("systemd-analyze");
    security.args([
        "security",
        "--offline=true",
        "--no-pager",
        &format!("--threshold={MOST_EXPOSED}"),
    ]);
    let judged = security.arg(&unit).output().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}

#[test]
fn the_configuration_of_the_package_serves() {
    let text = packaging("debian/actiond.cfg");
    assert!(text.contains("DataDirectory=/var/lib/actiond\n"), "as the unit has it");
    // The command line sets another port and another directory.
    let home = Home::new(&text);
    let server = home.start();
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
}

#[test]
fn the_configuration_beside_prometheus_can_be_used() {
    let home = Home::new(&packaging("monitoring/actiond.cfg"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    let checked = command.arg("config").arg("--config").arg(home.path().join("test.cfg")).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
}
