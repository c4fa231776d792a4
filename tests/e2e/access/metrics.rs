//! The metrics: for whoever has the role `ServiceStatus` for the whole server, on both ports, refused over HTTP.

use super::super::server::wait_until;
use super::*;

/// Watchers have a key for the metrics; others in the network may do all the rest, and nobody else anything.
fn config(hash: &str) -> String {
    format!(
        "
[Server]
{PROXY}
[Service]
ServicePort=0
[AuthorizationRoles]
0=Watchers
1=Users
2=OfOneQueue
[Watchers]
StandardRoles=ServiceStatus
Keys={hash}
[Users]
StandardRoles=Admin,Query,Index,ServiceControl
Clients=10.0.0.0/8
[OfOneQueue]
StandardRoles=ServiceStatus
Queues=Process
Clients=172.16.0.0/12
[AsyncActions]
0=Process
[Process]
Type=Echo
"
    )
}

fn status(reply: &Reply) -> &str {
    reply.head.split(' ').nth(1).expect("a status")
}

#[test]
fn the_metrics_need_the_role_and_refusals_are_counted() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash));
    let server = home.start();
    let service = service_port(&server, &Who::at("10.1.1.1"));
    let watcher = Who::at("192.0.2.7").with(&key.text);
    for port in [server.address, service] {
        let seen = send_to(port, &watcher.get("/metrics"));
        assert_eq!(status(&seen), "200");
        assert!(seen.body_text().contains("actiond_ready 1"), "{}", seen.body_text());
        // Without any key HTTP asks for one; with a wrong one it says no.
        for who in [Who::here(), Who::at("192.0.2.7"), Who::at("10.1.1.1"), Who::at("172.16.0.1")] {
            let refused = send_to(port, &who.get("/metrics"));
            assert_eq!(status(&refused), "401", "{who:?}");
            assert!(
                refused.header("www-authenticate").is_some_and(|asks| asks.starts_with("Basic"))
            );
            let said = refused.body_text();
            assert!(said.contains("need the role ServiceStatus"), "{said}");
            assert!(!said.contains("actiond_"), "{said}");
        }
        let wrong = send_to(port, &Who::at("10.1.1.1").with(WRONG).get("/metrics"));
        assert_eq!(status(&wrong), "403");
        let head =
            String::from_utf8(Who::here().get("/metrics")).unwrap().replacen("GET", "HEAD", 1);
        let mut stream = connect(port);
        stream.write_all(head.as_bytes()).unwrap();
        let mut first = String::new();
        io::BufRead::read_line(&mut BufReader::new(stream), &mut first).unwrap();
        assert!(first.starts_with("HTTP/1.1 401 "), "{first}");
    }
    // It has this role and no other.
    watcher.may_not(&server, "Process");
    let seen = send_to(server.address, &watcher.get("/metrics")).body_text();
    // Of each port: four without a key, one with a wrong one, one by HEAD; and the action.
    assert!(seen.contains("actiond_http_refused_total{reason=\"permission\"} 13"), "{seen}");
    assert_eq!(server.log_lines("the metrics need the role ServiceStatus"), 12);
}

#[test]
fn by_default_they_are_for_whoever_reaches_the_port_and_no_web_page() {
    let home = Home::new("[AsyncActions]\n0=Process\n[Process]\nType=Echo\n");
    let server = home.start();
    assert_eq!(status(&send_to(server.address, &Who::here().get("/metrics"))), "200");
    for line in ["Sec-Fetch-Site: cross-site", "Origin: http://evil.example", "Host: evil.example"]
    {
        let host = if line.starts_with("Host") { "" } else { "Host: localhost\r\n" };
        let request = format!("GET /metrics HTTP/1.1\r\n{host}{line}\r\n\r\n");
        let reply = send_to(server.address, request.as_bytes());
        assert_eq!(status(&reply), "403", "{line}");
    }
    let seen = send_to(server.address, &Who::here().get("/metrics")).body_text();
    assert!(seen.contains("actiond_http_refused_total{reason=\"web_page\"} 3"), "{seen}");
}

#[test]
fn they_count_against_the_limits_of_a_client() {
    let home = Home::new(
        "[Server]\nMaxRequestsPerSecondPerClient=2\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n",
    );
    let server = home.start();
    let replies: Vec<_> =
        (0..20).map(|_| send_to(server.address, &Who::here().get("/metrics"))).collect();
    let refused: Vec<_> = replies.iter().filter(|reply| status(reply) == "429").collect();
    assert!(!refused.is_empty());
    for reply in &refused {
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert!(
            reply.body_text().contains("MaxRequestsPerSecondPerClient=2"),
            "{}",
            reply.body_text()
        );
    }
    let mut more = 0;
    wait_until("a scrape within the limit", || {
        let reply = send_to(server.address, &Who::here().get("/metrics"));
        if status(&reply) == "429" {
            more += 1;
            return false;
        }
        let number = refused.len() + more;
        let counted = format!("actiond_http_refused_total{{reason=\"request_rate\"}} {number}\n");
        assert!(reply.body_text().contains(&counted), "{number}: {}", reply.body_text());
        true
    });
}

#[test]
fn connections_beyond_the_limit_are_counted() {
    let home = Home::new(
        "[Server]\nMaxConnectionsPerClient=1\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n",
    );
    let server = home.start();
    let mut first = Talk::with(server.address);
    let mut counted = || {
        let text = first.say(&Who::here().get("/metrics")).body_text();
        let name = "actiond_http_refused_total{reason=\"connections\"} ";
        between(&text, name, "\n").expect("a number").parse::<u64>().expect("a number")
    };
    assert_eq!(counted(), 0);
    assert_eq!(Who::here().ask(&server, "GetPid").error().0, "ERRORUNAVAILABLE");
    assert_eq!(counted(), 1);
    let refused = send_to(server.address, &Who::here().get("/metrics"));
    assert_eq!(status(&refused), "429");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(counted(), 2);
    // Those far beyond it are closed without a word.
    let _many: Vec<_> = (0..30).map(|_| connect(server.address)).collect();
    wait_until("connections that were closed", || counted() > 2);
}
