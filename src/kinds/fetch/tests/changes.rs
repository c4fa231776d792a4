//! When a file has changed.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn a_file_that_is_older_or_newer_than_nanoseconds_can_say_is_seen_to_change() {
    let mut scene = Scene::new();
    scene.put("a", "1");
    let after = |seconds, part| SystemTime::UNIX_EPOCH + Duration::new(seconds, part);
    let before = |seconds, part| SystemTime::UNIX_EPOCH - Duration::new(seconds, part);
    let mut expected = "added=1 ingestadded=1 seen=1";
    for time in [
        // The years 2400 and 2401, and a nanosecond later; the end of 1969, and 1960.
        after(13_569_465_600, 0),
        after(13_601_088_000, 0),
        after(13_601_088_000, 1),
        before(0, 1),
        before(1, 0),
        before(315_619_200, 500_000_000),
    ] {
        File::options().append(true).open(scene.path("a")).unwrap().set_modified(time).unwrap();
        let kept = fs::metadata(scene.path("a")).unwrap().modified().unwrap();
        assert_eq!(kept, time, "this needs a file system that keeps such times");
        assert_eq!(scene.counts(), expected, "{time:?}");
        assert_eq!(scene.counts(), "seen=1 unchanged=1", "{time:?}");
        expected = "ingestupdated=1 seen=1 updated=1";
    }
}
