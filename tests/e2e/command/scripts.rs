//! The scripts themselves, run by `sh` alone: a test whose program does not do what it says shows nothing.

use std::process::{Child, Command, Stdio};

use super::super::server::wait_until;
use super::super::shop::Shop;
use super::leaving::{LEAVES, WAYS};
use super::words::ARGUMENTS;

/// Runs a script of this shop as the server would, without what makes the server find it.
fn spawn(shop: &Shop, name: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new("/bin/sh");
    command.arg(shop.path(name)).args(arguments).current_dir(shop.path(""));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sh")
}

#[test]
fn arguments_are_written_as_they_are() {
    let shop = Shop::new("").script("words.sh", ARGUMENTS);
    assert!(spawn(&shop, "words.sh", &["a b", "", "$x\n", "é"]).wait().unwrap().success());
    assert_eq!(shop.read("words"), "a b\0\0$x\n\0é\0");
    assert!(spawn(&shop, "words.sh", &[]).wait().unwrap().success());
    assert_eq!(shop.read("words"), "");
}

/// Each way leaves something behind that goes on after its program, and that the next one sees.
#[test]
fn what_is_left_behind_goes_on_and_is_seen() {
    for way in WAYS {
        let shop = Shop::new("").script("leaves.sh", LEAVES);
        assert!(spawn(&shop, "leaves.sh", &[way, "leave"]).wait().unwrap().success());
        assert_eq!(shop.lines("violations"), Vec::<String>::new());
        let expected = if way == "many" { 20 } else { 1 };
        wait_until(way, || shop.daemons().len() == expected);
        assert!(spawn(&shop, "leaves.sh", &["none", "leave"]).wait().unwrap().success());
        assert_eq!(shop.lines("violations").len(), expected, "{way}");
    }
    let shop = Shop::new("").script("leaves.sh", LEAVES);
    assert_eq!(spawn(&shop, "leaves.sh", &["none", "fail"]).wait().unwrap().code(), Some(3));
    assert!(!spawn(&shop, "leaves.sh", &["none", "die"]).wait().unwrap().success());
    shop.none_runs("after both");
}
