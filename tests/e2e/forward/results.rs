//! What comes back: results, errors, progress; and what is sent.

use super::super::calls::id_of;
use super::super::server::{Home, wait_until};
use super::vendor::Vendor;
use super::{only_one, there, to, url_of, wait_for_progress};

#[test]
fn a_result_comes_back_with_all_that_is_in_it() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("&Source=a%26b&Wait=0&Priority=3&ResponseFormat=xml");
    let task = vendor.wait_for_tasks(1).remove(0);
    let sent: Vec<_> = task.parameters.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(sent, ["Source", "Idempotency-Key"]);
    assert_eq!(task.parameters.get("Source"), Some("a&b"));
    vendor.change(0, |task| task.beside = "<documentcount task=\"A\" seen=\"1\"/>".to_owned());
    wait_until("its partial result", || {
        server.about("Process", "getStatus", &token).0.contains("seen=\"1\"")
    });
    vendor.finish(0, "<documentcounts><documentcount task=\"A &amp; B\" seen=\"4\"/></documentcounts><tasks><success>1</success></tasks>");
    let ended = server.outcome("Process", &token);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    let counts = "<documentcounts><documentcount task=\"A &amp; B\" seen=\"4\"/></documentcounts><tasks><success>1</success></tasks>";
    assert!(ended.0.contains(counts), "{}", ended.0);
    assert_eq!(ended.values("token"), [token], "only ours is shown");
    assert_eq!(ended.values("queued_time").len(), 1);
}

#[test]
fn an_actiond_does_it_and_says_so_at_once() {
    let (_there, other) = there("");
    let home = Home::new(&to(&url_of(&other), "").replace("PollMaxMs=200", "PollMaxMs=60000"));
    let server = home.start();
    let ended = server.outcome("Process", &server.submit("&Name=Ada"));
    assert!(ended.0.contains("name=\"Name\" value=\"Ada\""), "{}", ended.0);
    // Looks are rare by this configuration, so this is the answer to one that waited.
    let ended = server.outcome("Process", &server.submit("&Sleep=1"));
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    let ended = server.outcome("Process", &server.submit("&Fail=no%20%3Cluck%3E"));
    assert_eq!((ended.must("status"), ended.must("error")), ("Error".into(), "no <luck>".into()));
    let at_once = server.ask("Process&Name=Bob&Synchronous=true").success();
    assert!(at_once.0.contains("value=\"Bob\""), "{}", at_once.0);
}

/// What the other server tells beside the result is not taken for a part of it.
#[test]
fn what_is_told_of_an_attempt_there_is_no_result() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("");
    vendor.wait_for_tasks(1);
    vendor.change(0, |task| {
        task.beside = "<seen>5</seen><priority>0</priority><attempt>2</attempt><next_attempt_time>2015-Aug-17 17:40:49</next_attempt_time>\
            <not_before>2015-Aug-17 17:40:49</not_before><history/><worker>far</worker><last_word>3</last_word>"
            .to_owned();
    });
    wait_until("its partial result", || {
        server.about("Process", "getStatus", &token).0.contains("<seen>5</seen>")
    });
    let status = server.about("Process", "getStatus", &token).success();
    for name in ["attempt", "next_attempt_time", "not_before", "history", "last_word"] {
        assert!(!status.0.contains(&format!("<{name}")), "{name}: {}", status.0);
    }
    assert_eq!(status.values("priority").len(), 1, "{}", status.0);
    assert_eq!(status.values("worker"), [vendor.url()], "{}", status.0);
    vendor.finish(0, "");
    server.wait_for_status(&token, "Finished");
}

#[test]
fn bytes_go_on_as_bytes() {
    let (_there, other) = there("");
    let home = Home::new(&to(&url_of(&other), ""));
    let server = home.start();
    let body = b"--b\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\nProcess\r\n--b\r\nContent-Disposition: form-data; \
                 name=\"File\"\r\n\r\n\xFF\x00\r\n--b--\r\n";
    let mut request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let reply = super::super::calls::Answer(server.send(&request).body_text()).success();
    let ended = server.outcome("Process", &reply.must("token"));
    assert!(ended.0.contains("name=\"File\" value=\"/wA=\" encoding=\"base64\""), "{}", ended.0);
}

#[test]
fn progress_passes_through() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("");
    vendor.wait_for_tasks(1);
    let stages = "<percent>26.4</percent><stage title=\"Read &amp; write\" status=\"Processing\" weight=\"3\" percent=\"26.4\"/>\
                  <stage title=\"Clean\" status=\"Pending\" weight=\"1\"/>";
    vendor.change(0, |task| task.progress = stages.to_owned());
    wait_for_progress(
        &server,
        &token,
        "title=\"Read &amp; write\" status=\"Processing\" weight=\"3\" percent=\"26.4\"",
    );
    vendor.change(0, |task| task.status = "Queued");
    wait_for_progress(&server, &token, &format!("queued at {}", vendor.url()));
    vendor.change(0, |task| task.status = "Warming");
    wait_for_progress(&server, &token, "Warming at");
    vendor.finish(0, "");
    server.wait_for_status(&token, "Finished");
}

#[test]
fn a_queue_may_have_another_name_there_and_a_key() {
    let (_there, other) = there("");
    let text = to(&url_of(&other), "ForwardAction=Process\nForwardKeyFile=key.txt")
        .replace("[Process]", "[Convert]")
        .replace("0=Process", "0=Convert");
    let home = Home::new(&text);
    std::fs::write(home.path().join("key.txt"), "s3cret-key\n").unwrap();
    let server = home.start();
    let token = server.submit_to("Convert", "&Name=Ada");
    assert_eq!(server.outcome("Convert", &token).must("status"), "Finished");
    assert!(id_of(&only_one(&other)) > 0);

    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), "ForwardKey=s3cret-key"));
    let server = home.start();
    let token = server.submit("");
    vendor.wait_for_tasks(1);
    vendor.finish(0, "");
    server.wait_for_status(&token, "Finished");
    let keys = vendor.headers("Authorization");
    assert!(keys.len() > 2 && keys.iter().all(|key| key == "Bearer s3cret-key"), "{keys:?}");
    assert_eq!(server.log_lines("s3cret"), 0);
    let shown = home.command().arg("config").output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned()
        + &String::from_utf8_lossy(&shown.stderr);
    assert!(!shown.contains("s3cret"), "{shown}");
}
