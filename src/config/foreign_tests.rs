//! Configuration files in the manner of other ACI servers: they can be used, and what this server does not know is a warning.

use std::path::{Path, PathBuf};

use super::{Overrides, check, load};
use crate::kinds::Kinds;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configurations")
}

#[test]
fn files_of_other_servers_load_with_warnings() {
    let mut ports = Vec::new();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // It is for the others.
        if name == "common.cfg" {
            continue;
        }
        let read = load(&Kinds::shipped(), Some(&path), &Overrides::default());
        let (settings, warnings) = read.unwrap_or_else(|error| panic!("{error}"));
        assert!(!warnings.is_empty(), "{name} has nothing that is of its server alone");
        for warning in &warnings {
            assert!(warning.line.is_some(), "{name}: {warning}");
        }
        // What is in force is a configuration as well.
        let (printed, _) = check(&Kinds::shipped(), &path).unwrap();
        let again = directory().join(format!("{name}, printed"));
        let again = super::Settings::parse(&printed, &again.to_string_lossy());
        assert!(again.is_ok(), "{name}: {again:?}");
        let queues: Vec<_> = settings.queues.iter().map(|queue| queue.name.as_str()).collect();
        assert_eq!(queues, ["Process"], "{name}");
        ports.push((name, settings.server.port, settings.service.port.unwrap_or_default()));
    }
    ports.sort();
    let ports: Vec<_> = ports.iter().map(|(n, p, s)| (n.as_str(), *p, *s)).collect();
    assert_eq!(
        ports,
        [
            ("category.cfg", 9020, 9022),
            ("cfs.cfg", 7000, 7002),
            ("connector.cfg", 7010, 7012),
            ("content.cfg", 9100, 9102),
            ("dah.cfg", 9060, 9062),
            ("licenseserver.cfg", 20000, 20002),
            ("mediaserver.cfg", 14000, 14001),
            ("webconnector.cfg", 7020, 7022),
        ]
    );
}

#[test]
fn what_they_say_of_queues_and_access_counts() {
    let settings = |name: &str| {
        load(&Kinds::shipped(), Some(&directory().join(name)), &Overrides::default()).unwrap().0
    };
    let media = settings("mediaserver.cfg");
    assert_eq!(media.queues[0].limits.maximum_threads, 2);
    assert_eq!(media.queues[0].limits.max_finished_size, Some(1000));
    assert!(media.server.strict_action_validation);
    assert_eq!(media.server.max_file_upload_size, usize::MAX);
    let cfs = settings("cfs.cfg");
    let roles: Vec<_> = cfs.access.roles.iter().map(|role| role.name.as_str()).collect();
    assert!(roles.starts_with(&["AdminRole", "QueryRole"]), "{roles:?}");
}
