//! The last lines of the streams of the log.

use super::ServicePort;
use crate::server::{CONFIG, Home, wait_until};

const STREAMS: &str = "
[Service]
ServicePort=0
[Logging]
LogDirectory=./logs
0=ServerLog
1=ActionLog
[ServerLog]
LogFile=server.log
LogTypeCSVs=application
[ActionLog]
LogFile=actions.log
LogTypeCSVs=action
";

#[test]
fn the_last_lines_of_a_stream_are_told() {
    let home = Home::new(&format!("{STREAMS}{CONFIG}"));
    let server = home.start();
    let port = ServicePort::of(&server);
    let names = port.ask("GetLogStreamNames");
    assert_eq!((names.action.as_str(), names.response.as_str()), ("GETLOGSTREAMNAMES", "SUCCESS"));
    assert_eq!(names.data, "\nServerLog\nActionLog\n");

    let token = server.submit("&Name=%3CAda%3E%26%3C/RESPONSEDATA%3E&Password=s3cret");
    server.outcome("Process", &token);
    let request = "Name=%3CAda%3E%26";
    let tail = |parameters: &str| port.ask(&format!("GetLogStream&Name=actionlog{parameters}"));
    wait_until("the lines of the submission and its end", || {
        let told = tail("");
        assert_eq!(told.response, "SUCCESS");
        told.data.contains(request) && told.data.contains("Finished PROCESS")
    });
    let all = tail("&FromDisk=true").data;
    assert!(!all.contains("s3cret"), "{all}");
    assert!(all.trim().lines().count() > 3, "{all}");
    assert_eq!(tail("&Tail=1").data.trim().lines().count(), 1);
    assert_eq!(tail("&Tail=3").data.trim().lines().count(), 3);
    let started = port.ask("GetLogStream&Name=ServerLog").data;
    assert!(started.contains(" answers on http://") && !started.contains(request), "{started}");

    for (parameters, why) in [
        ("", "Name is required"),
        ("&Name=%3Cother%3E", "'<other>'. Allowed: one of ServerLog, ActionLog"),
        ("&Name=../logs/actions.log", "Allowed: one of"),
        ("&Name=ActionLog&Tail=0", "Tail has the value '0'"),
        ("&Name=ActionLog&Tail=x", "Tail has the value 'x'"),
    ] {
        let told = port.ask(&format!("GetLogStream{parameters}"));
        assert!(told.error().contains(why), "{parameters}: {told:?}");
    }
}

#[test]
fn without_streams_there_are_none() {
    let home = Home::new(&format!("[Service]\nServicePort=0\n{CONFIG}"));
    let server = home.start();
    let port = ServicePort::of(&server);
    let names = port.ask("GetLogStreamNames");
    assert_eq!((names.response.as_str(), names.data.as_str()), ("SUCCESS", ""));
    let told = port.ask("GetLogStream&Name=application");
    assert!(told.error().contains("the log has no streams"), "{told:?}");
}
