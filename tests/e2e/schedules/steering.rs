//! `ScheduleInfo`: what it shows, what it changes, and that it stays so.

use super::with;
use crate::calls::id_of;
use crate::server::{Home, wait_until};

/// Due for the first time in many years.
const RARELY: &str = "Name=Ada\nCron=0 0 29 2 *\nTimeZone=Europe/Berlin";

#[test]
fn a_schedule_is_run_paused_and_resumed_and_that_survives_a_kill() {
    let home = Home::new(&with(RARELY));
    let server = home.start();
    let listed = server.schedules();
    for (name, value) in [
        ("name", "Ticker"),
        ("source", "configuration"),
        ("enabled", "true"),
        ("paused", "false"),
        ("cycles_done", "0"),
        ("cron", "0 0 29 2 *"),
        ("timezone", "Europe/Berlin"),
    ] {
        assert_eq!(listed.must(name), value, "{}", listed.0);
    }
    assert_eq!(listed.values("action")[1..], ["Process"]);
    wait_until("its next due time", || server.schedules().value("next").is_some());
    assert_eq!(server.schedules().value("last"), None);

    let ran = server.change_schedule("run", "TICKER").success().must("token");
    server.wait_for_status(&ran, "Finished");
    let listed = server.schedules();
    assert_eq!(listed.must("last_token"), ran);
    assert_eq!(
        (listed.must("last_outcome"), listed.must("cycles_done")),
        ("Finished".into(), "0".into())
    );
    assert_eq!(server.about("Process", "getStatus", &ran).must("schedule"), "Ticker");

    server.change_schedule("pause", "Ticker").success();
    server.kill();
    let server = home.start();
    let listed = server.schedules();
    assert_eq!((listed.must("paused"), listed.value("next")), ("true".into(), None));
    // Its port is another one.
    assert_eq!(id_of(&listed.must("last_token")), id_of(&ran));
    // It can still be asked for.
    server.change_schedule("run", "Ticker").success();
    server.change_schedule("resume", "Ticker").success();
    let listed = server.schedules();
    assert_eq!((listed.must("paused"), listed.value("next").is_some()), ("false".into(), true));
}

#[test]
fn one_that_was_added_is_marked_so_and_kept_until_it_is_removed() {
    let home = Home::new(&with(RARELY));
    let server = home.start();
    let parameters = [
        ("ScheduleAction", "add"),
        ("ScheduleName", "Extra"),
        ("QueueName", "process"),
        ("RepeatSecs", "3600"),
        ("Overlap", "replace"),
        ("CatchUp", "once"),
        ("Cycles", "9"),
        ("Parameters", "Password=s3cret&Text=Good%20night"),
        ("Name", "Grace"),
    ];
    server.post("ScheduleInfo", &parameters).success();
    wait_until("its first action", || server.list().values("schedule") == ["Extra"]);
    server.kill();
    let server = home.start();
    let listed = server.ask("ScheduleInfo&ScheduleName=extra").success();
    for (name, value) in [
        ("name", "Extra"),
        ("source", "added"),
        ("repeatsecs", "3600"),
        ("overlap", "replace"),
        ("catchup", "once"),
        ("cycles", "9"),
        ("cycles_done", "1"),
    ] {
        assert_eq!(listed.must(name), value, "{}", listed.0);
    }
    assert_eq!(listed.values("action")[1..], ["Process"]);
    for shown in ["\"***\"", "\"Good night\"", "\"Grace\""] {
        assert!(listed.0.contains(shown), "{shown}: {}", listed.0);
    }
    let get = "ScheduleInfo&ScheduleAction=add&ScheduleName=X&Parameters=Password%3Ds3cret";
    server.ask(get).error();
    let log = server.ask("GetRequestLog").success();
    assert!(log.0.contains("ScheduleName=X") && !log.0.contains("s3cret"), "{}", log.0);
    let status = server.about("Process", "getStatus", &listed.must("last_token")).success();
    assert!(status.0.contains("Good night") && status.0.contains("Grace"), "{}", status.0);
    assert_eq!(server.schedules().values("name"), ["Extra", "Ticker"]);

    let misspelt = "ScheduleInfo&ScheduleAction=add&ScheduleName=Y&QueueName=Process&Cron=@yearly&Enable=false";
    let added = server.ask(misspelt).success();
    assert_eq!(added.must("warning"), "Enable is a parameter of the action. Is Enabled meant?");
    server.change_schedule("remove", "Y").success();
    server.change_schedule("remove", "Extra").success();
    server.kill();
    let server = home.start();
    assert_eq!(server.schedules().values("name"), ["Ticker"]);
}

#[test]
fn what_it_does_not_know_is_refused_or_told_and_lists_are_lists() {
    let server = Home::new(&with(RARELY)).start();
    for (action, more) in [("pause", "Schedulename2=x"), ("run", "Name=Grace"), ("remove", "Hour=")]
    {
        let ask = format!("ScheduleInfo&ScheduleAction={action}&ScheduleName=Ticker&{more}");
        let (code, text) = server.ask(&ask).error();
        let name = more.split('=').next().unwrap();
        assert!(code == "ERRORPARAMINVALID" && text.contains(name), "{ask}: {code} {text}");
        assert!(text.contains(&format!("ScheduleAction={action}")), "{ask}: {text}");
    }
    assert_eq!(server.schedules().must("paused"), "false");
    server.nothing_was_queued("Process");
    let listed = server.ask("ScheduleInfo&SchedulName=Ticker").success();
    assert!(listed.must("warning").contains("is ScheduleName meant?"), "{}", listed.0);
    assert_eq!(server.schedules().value("warning"), None);

    for form in ["json", "simplejson"] {
        let listed = server.ask(&format!("ScheduleInfo&ResponseFormat={form}"));
        let read: serde_json::Value = serde_json::from_str(&listed.0).expect("JSON");
        let data = &read["autnresponse"]["responsedata"];
        assert_eq!(data["schedule"].as_array().map(Vec::len), Some(1), "{}", listed.0);
        let shown = &data["schedule"][0]["parameters"]["parameter"][0];
        assert_eq!(*shown, serde_json::json!({ "@name": "Name", "@value": "Ada" }), "{form}");
        let ran = "ScheduleInfo&ScheduleAction=run&ScheduleName=Ticker&ResponseFormat=";
        let ran = server.ask(&format!("{ran}{form}"));
        let read: serde_json::Value = serde_json::from_str(&ran.0).expect("JSON");
        assert!(read["autnresponse"]["responsedata"]["schedule"].is_array(), "{}", ran.0);
    }
}

#[test]
fn what_can_not_be_done_is_told_by_its_parameter() {
    let home = Home::new(&with(RARELY));
    let server = home.start();
    let missing = "ERRORPARAMMISSING";
    let invalid = "ERRORPARAMINVALID";
    let base = [("ScheduleAction", "add"), ("ScheduleName", "New"), ("QueueName", "Process")];
    let add = |more: &[(&str, &str)]| server.post("ScheduleInfo", &[&base, more].concat()).error();
    for (more, code, part) in [
        (&[][..], missing, "The parameter Cron is required"),
        (&[("Cron", "0 25 * * *")], invalid, "the hour can't be '25'"),
        (&[("Cron", "@daily"), ("RepeatSecs", "5")], invalid, "RepeatSecs has the value '5'"),
        (&[("RepeatSecs", "0")], invalid, "RepeatSecs has the value '0'"),
        (&[("Cron", "@daily"), ("Cycles", "0")], invalid, "Cycles has the value '0'"),
        (&[("Cron", "@daily"), ("TimeZone", "Mars")], invalid, "TimeZone has the value 'Mars'"),
        (&[("Cron", "@daily"), ("StartTime", "soon")], invalid, "StartTime has the value 'soon'"),
        (
            &[("StartTime", "2020-01-01 00:00:00"), ("Cycles", "1")],
            invalid,
            "StartTime has the value '2020-01-01 00:00:00'. Allowed: a time to come",
        ),
        (&[("Cron", "@daily"), ("Overlap", "x")], invalid, "skip, queue, replace"),
        (&[("Cron", "@daily"), ("Sleep", "x")], invalid, "Sleep has the value 'x'"),
        (&[("Cron", "@daily"), ("Parameters", "Sleep=x")], invalid, "Sleep has the value 'x'"),
        (&[("Cron", "@daily"), ("Sync", "true")], invalid, "nobody waits"),
        (
            &[("Cron", "@daily"), ("ScheduleName", "a b")],
            invalid,
            "ScheduleName has the value 'a b'",
        ),
        (&[("Cron", "@daily"), ("ScheduleName", "ticker")], invalid, "a name that no schedule has"),
        (&[("Cron", "@daily"), ("QueueName", "Other")], invalid, "one of Process"),
    ] {
        let (got, text) = add(more);
        assert!(got == code && text.contains(part), "{more:?}: {got} {text}");
    }
    for (action, name, code, part) in [
        ("pause", "Other", invalid, "Allowed: one of Ticker"),
        ("run", "", missing, "ScheduleName"),
        ("remove", "Ticker", invalid, "stands in the configuration"),
        ("stop", "Ticker", invalid, "run, pause, resume, add, remove"),
    ] {
        let (got, text) = server.change_schedule(action, name).error();
        assert!(got == code && text.contains(part), "{action} {name}: {got} {text}");
    }
    assert_eq!(server.schedules().values("name"), ["Ticker"]);
    server.nothing_was_queued("Process");
}
