//! Lists that begin behind an action, lists without results, and the statistics of a queue.

use crate::calls::Answer;
use crate::server::{CONFIG, Home};

fn tokens(answer: &Answer) -> Vec<String> {
    answer.values("token")
}

#[test]
fn a_list_goes_on_behind_an_action_in_each_order() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Process", "pause", "").success();
    for n in 0..10 {
        server.submit(&format!("&n={n}"));
    }
    let encoded = |token: &str| token.replace('=', "%3D");
    for order in [
        "",
        "&Sort-Order=ascending",
        "&Sort-By=start-time",
        "&Sort-By=finish-time&Sort-Order=ascending",
    ] {
        let list = |rest: &str| {
            tokens(&server.info("Process", "getStatus", &format!("{order}{rest}")).success())
        };
        let all = list("");
        let mut paged = list("&MaxResults=3");
        while let Some(last) = paged.last() {
            let next = list(&format!("&MaxResults=3&After={}", encoded(last)));
            if next.is_empty() {
                break;
            }
            paged.extend(next);
        }
        assert_eq!(paged, all, "{order}");
        // Start counts from there; what is not in the list has its place.
        assert_eq!(list(&format!("&After={}&Start=2&MaxResults=1", encoded(&all[3]))), all[5..6]);
        assert_eq!(list(&format!("&State=queued&After={}", encoded(&all[7]))), all[8..]);
    }
    // In the order of queuing also of what is gone.
    let all = tokens(&server.info("Process", "getStatus", "").success());
    server.about("Process", "cancel", &all[4]).success();
    server.about("Process", "delete", &all[4]).success();
    let after = |rest: &str| {
        server.info("Process", "getStatus", &format!("&After={}{rest}", encoded(&all[4])))
    };
    assert_eq!(tokens(&after("").success()), all[5..]);
    assert_eq!(after("&Sort-By=finish-time").error().0, "ERRORPARAMINVALID");
    let other = server.submit_to("Ingest", "&Adds=x");
    assert_eq!(
        server.info("Process", "getStatus", &format!("&After={}", encoded(&other))).error().0,
        "ERRORPARAMINVALID"
    );
    assert_eq!(server.info("Process", "getStatus", "&After=x").error().0, "ERRORPARAMINVALID");
}

#[test]
fn results_are_left_out_and_statistics_shown_where_they_are_asked_for() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit("&Name=Ada&Wait=10");
    let failed = server.submit("&Fail=no+luck&Wait=10");
    let status =
        |rest: &str| server.about("Process", "getStatus", &format!("{token}{rest}")).success();
    assert!(status("").0.contains("Ada") && !status("&Results=false").0.contains("Ada"));
    let list = server.info("Process", "getStatus", "&Results=false").success();
    assert!(
        !list.0.contains("Ada") && list.0.contains("no luck"),
        "an error is no result: {}",
        list.0
    );
    assert!(!failed.is_empty());
    server.info("Process", "pause", "").success();
    server.submit("");
    let plain = server.info("Process", "queueStatus", "").success();
    assert_eq!(plain.value("statistics"), None);
    let told = server.info("Process", "queueStatus", "&Statistics=true").success();
    for (name, value) in [
        ("pending", "1"),
        ("queued", "1"),
        ("error", "1"),
        ("stopped", "0"),
        ("slots", "2"),
        ("slots_used", "0"),
        ("submitted", "3"),
        ("ended", "2"),
        ("failed", "1"),
    ] {
        assert_eq!(told.must(name), value, "{name}: {}", told.0);
    }
    assert!(told.value("oldest_queued_time").is_some() && told.value("limit").is_none());
    let minutes = told.with(|document| {
        let minutes = document.descendants().filter(|node| node.has_tag_name("minute"));
        minutes
            .map(|minute| minute.attribute("ended").unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    });
    assert_eq!(minutes, ["2"], "the server has just begun");
    let waited = told.with(|document| {
        let node = document.descendants().find(|node| node.has_tag_name("time_in_queue"));
        node.and_then(|node| node.attribute("p50").map(ToOwned::to_owned))
    });
    assert!(waited.is_some_and(|seconds| seconds.parse::<f64>().is_ok()));
}
