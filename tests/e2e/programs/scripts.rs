//! The scripts themselves, run by `sh` alone: a test whose program does not do what it says shows nothing.

use std::process::{Child, Command, Stdio};

use super::super::server::wait_until;
use super::super::shop::Shop;
use super::leaving::{LEAVES, WAYS};
use super::progress::TELLS;
use super::steering::COUNTS;
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

#[test]
fn the_same_is_told_on_either_way() {
    let shop = Shop::new("").script("tells.sh", TELLS);
    for ready in ["one", "two", "three", "four", "five", "six"] {
        shop.say(ready);
    }
    for way in ["fd", "err"] {
        let line = format!("exec /bin/sh \"$0\" {way} 3 2> {way}.err 3> {way}.fd");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &line]).arg(shop.path("tells.sh")).current_dir(shop.path(""));
        assert_eq!(command.status().expect("sh").code(), Some(3));
    }
    let told = shop.lines("fd.fd");
    assert_eq!(told[..2], ["progress 42", "progress 3/10 Encoding"]);
    assert_eq!(
        (told.last().map(String::as_str), shop.lines("fd.err")),
        (Some("progress 90"), vec!["a line of fd".to_owned()])
    );
    let mut others = shop.lines("err.err");
    assert_eq!(others.remove(0), "a line of err");
    let expected: Vec<_> = told.iter().map(|line| format!("actiond: {line}")).collect();
    assert_eq!((others, shop.lines("err.fd")), (expected, Vec::new()));
}

#[test]
fn each_counts_until_it_is_asked_as_its_name_says() {
    for (how, ends) in [("plain", true), ("heeds", true), ("later", false), ("ignores", false)] {
        let shop = Shop::new("").script("counts.sh", COUNTS);
        let mut leader = spawn(&shop, "counts.sh", &[how, "7"]);
        shop.wait_for(&format!("count-{how}"));
        wait_until("its child", || shop.programs().len() >= 2);
        if ["heeds", "later"].contains(&how) {
            shop.wait_for("count-child");
        }
        for one in shop.programs() {
            // It may have ended with another.
            let _ = Command::new("kill").args(["-TERM", &one.pid.to_string()]).output();
        }
        if ends {
            let code = leader.wait().unwrap().code();
            assert_eq!(code, (how == "heeds").then_some(7));
            shop.all_gone();
        } else {
            if how == "later" {
                shop.wait_for(&format!("asked-{}", leader.id()));
            }
            assert_eq!(leader.try_wait().unwrap(), None, "{how}");
            leader.kill().unwrap();
            leader.wait().unwrap();
        }
    }
}
