//! The figures, after known work.

use std::collections::BTreeMap;

use super::{ServicePort, Told};
use crate::server::{Home, wait_until};

/// Two queues, of which the first has one slot.
const CONFIG: &str = "
[Service]
ServicePort=0
[AsyncActions]
0=Process
1=Other
[Process]
Type=Echo
MaximumThreads=1
[Other]
Type=Echo
MaximumThreads=7
";

/// The figures by class, what they are of, and name; with the number of their unit.
pub(super) fn figures(told: &Told) -> BTreeMap<[String; 3], (u32, f64)> {
    assert_eq!((told.action.as_str(), told.response.as_str()), ("GETSTATISTICS", "SUCCESS"));
    let mut all = BTreeMap::new();
    for attributes in &told.elements {
        let names: Vec<_> = attributes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["class", "autnid", "name", "metric", "value"]);
        let value = |at: usize| attributes[at].1.clone();
        let key = [value(0), value(1), value(2)];
        let figure = (value(3).parse().expect("a unit"), value(4).parse().expect("a number"));
        assert_eq!(all.insert(key.clone(), figure), None, "{key:?} is told twice");
    }
    all
}

#[test]
fn known_work_has_known_figures() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let port = ServicePort::of(&server);
    for parameters in ["&Name=Ada", "&Fail=sorry"] {
        let token = server.submit(parameters);
        server.outcome("Process", &token);
    }
    let runs = server.submit("&Sleep=600");
    server.wait_for_status(&runs, "Processing");
    let waiting = [(); 3].map(|()| server.submit("&Name=waits"));
    server.about("Process", "cancel", &waiting[0]).success();
    server.info("Other", "pause", "").success();
    assert!(!server.ask("Wobble").is_success());
    port.ask("Wobble").error();

    let mut last = BTreeMap::new();
    let of = |last: &BTreeMap<_, _>, class: &str, of: &str, name: &str| -> Option<(u32, f64)> {
        last.get(&[class, of, name].map(str::to_owned)).copied()
    };
    let wanted = [
        ("Queue", "Process", "Queued", 6, 2.0),
        ("Queue", "Process", "Processing", 6, 1.0),
        ("Queue", "Process", "Finished", 6, 1.0),
        ("Queue", "Process", "Error", 6, 1.0),
        ("Queue", "Process", "Cancelled", 6, 1.0),
        ("Queue", "Process", "Stopped", 6, 0.0),
        ("Queue", "Process", "MaximumThreads", 6, 1.0),
        ("Queue", "Process", "ThreadsInUse", 6, 1.0),
        ("Queue", "Process", "QueuePaused", 6, 0.0),
        ("Queue", "Other", "QueuePaused", 6, 1.0),
        ("Queue", "Other", "MaximumThreads", 6, 7.0),
        ("Queue", "Other", "ThreadsInUse", 6, 0.0),
        ("Actions", "Process", "Submitted", 5, 6.0),
        ("Actions", "Process", "Attempts", 5, 3.0),
        ("Actions", "Process", "Finished", 5, 1.0),
        ("Actions", "Process", "Error", 5, 1.0),
        ("Actions", "Process", "Cancelled", 5, 1.0),
        ("Actions", "Other", "Submitted", 5, 0.0),
        ("Requests", "Process", "Success", 5, 6.0),
        ("Requests", "unknown", "Error", 5, 1.0),
        ("ServiceRequests", "unknown", "Error", 5, 1.0),
        ("Service", "Refused", "UnknownAction", 5, 1.0),
        ("Service", "Refused", "QueueFull", 5, 0.0),
    ];
    // A reply may be there before it is counted.
    wait_until("the figures of what was done", || {
        last = figures(&port.ask("GetStatistics"));
        wanted.iter().all(|(class, on, name, unit, value)| {
            of(&last, class, on, name) == Some((*unit, *value))
        })
    });
    for (class, on, name, unit) in [
        ("Service", "Statistics", "ServiceDuration", 8),
        ("Service", "Statistics", "Connections", 6),
        ("Requests", "Process", "ResponseAverage", 9),
        ("Store", "Database", "Bytes", 1),
    ] {
        let (is, value) = of(&last, class, on, name).unwrap_or_else(|| panic!("{name}: {last:?}"));
        assert_eq!(is, unit, "{name}");
        assert!(value >= 0.0, "{name}={value}");
    }
    let (_, errors) = of(&last, "Service", "Statistics", "RequestsError").expect("errors");
    assert!(errors >= 2.0, "{errors}");
    // A form that is sent is as good.
    assert_eq!(figures(&port.post("getstatistics")).len(), last.len());
    // Each is a line of its own, for whoever has no parser.
    let text = port.text("GetStatistics");
    let line = r#"<autn:stat class="Queue" autnid="Process" name="Queued" metric="6" value="2"/>"#;
    assert!(text.lines().any(|told| told == line), "{text}");
}

/// A name that a client makes up adds nothing.
#[test]
fn clients_add_no_figures() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let port = ServicePort::of(&server);
    let keys = || figures(&port.ask("GetStatistics")).into_keys().collect::<Vec<_>>();
    let before = keys();
    for n in 0..20 {
        server.ask(&format!("Name{n}"));
        port.ask(&format!("%3CName{n}%3E%26&x={n}")).error();
    }
    assert_eq!(keys(), before);
}
