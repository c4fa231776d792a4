//! Whatever names clients send, the series stay the same, so that nobody can fill the memory of server or scraper.

use std::io::{BufReader, Write as _};

use super::Scrape;
use crate::server::{CONFIG, Home, Reply, Server};

/// Requests that name something that there is not, in every place that could become a label.
fn hostile(number: usize, random: u64) -> String {
    let name = format!("x{random:x}");
    let (method, target, more) = match number % 10 {
        0 => ("GET", format!("/action={name}"), String::new()),
        1 => ("GET", format!("/{name}/{random}?action=GetPid"), String::new()),
        2 => (
            "GET",
            format!("/action=QueueInfo&QueueName={name}&QueueAction=getStatus"),
            String::new(),
        ),
        3 => (
            "GET",
            format!("/action=QueueInfo&QueueName=Process&QueueAction={name}"),
            String::new(),
        ),
        4 => ("GET", format!("/action=GetPid&{name}={name}&ActionID={name}"), String::new()),
        5 => ("GET", format!("/action=%22%7D%0A{name}%20{random}%5C"), String::new()),
        6 => (
            "GET",
            "/action=GetPid".to_owned(),
            format!("User-Agent: {name}\r\nX-{name}: {name}\r\n"),
        ),
        7 => ("GET", format!("/metrics/{name}"), String::new()),
        8 => ("GET", format!("/metrics?{name}={name}"), format!("Accept: text/{name}\r\n")),
        _ => (
            "GET",
            format!("/action=QueueWork&WorkAction=take&QueueName={name}&Worker={name}"),
            String::new(),
        ),
    };
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

fn names(server: &Server) -> Vec<String> {
    Scrape::of(server).series.into_keys().collect()
}

#[test]
fn thousands_of_names_add_no_series() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let before = names(&server);
    let errors_before =
        Scrape::of(&server).sum("actiond_http_requests_total", &["outcome=\"error\""]);
    let mut stream = BufReader::new(server.connect());
    let mut random = fastrand::Rng::with_seed(18);
    for number in 0..3_000 {
        let request = hostile(number, random.u64(..));
        stream.get_mut().write_all(request.as_bytes()).expect("it is sent");
        let reply =
            Reply::try_read(&mut stream).unwrap_or_else(|error| panic!("{error}: {request}"));
        if reply.header("connection") == Some("close") {
            stream = BufReader::new(server.connect());
        }
    }
    assert_eq!(names(&server), before);
    let errors = Scrape::of(&server).sum("actiond_http_requests_total", &["outcome=\"error\""]);
    assert!(errors - errors_before >= 1_500.0, "they were counted all the same: {errors}");
    // And whatever is no HTTP at all.
    for garbage in
        ["\u{16}\u{3}\u{1}", "BREW / HTCPCP/1.0\r\n\r\n", "GET  /metrics HTTP/9.9\r\n\r\n"]
    {
        let mut stream = server.connect();
        stream.write_all(garbage.as_bytes()).expect("it is sent");
        stream.shutdown(std::net::Shutdown::Write).expect("its end");
        crate::server::rest_of(&mut stream);
    }
    assert_eq!(names(&server), before);
}

/// A queue may be named as all that is unknown.
#[test]
fn a_queue_named_unknown_has_no_second_series() {
    let home = Home::new("[AsyncActions]\n0=unknown\n[unknown]\nType=Echo\n");
    let server = home.start();
    server.submit_to("unknown", "");
    server.ask("Nothing");
    let requests = |outcome: &str| {
        let labels = format!("{{port=\"aci\",action=\"unknown\",outcome=\"{outcome}\"}}");
        Scrape::of(&server).value(&format!("actiond_http_requests_total{labels}"))
    };
    assert_eq!((requests("success"), requests("error")), (1.0, 1.0));
}
