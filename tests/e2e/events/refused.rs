//! Listeners that are not let in: each refusal has its status and an ACI error.

use std::io::Write as _;

use super::config;
use super::stream::{Stream, ask};
use crate::calls::Answer;
use crate::metrics::Scrape;
use crate::server::{Home, Reply, Server, wait_until};

/// Asks for events, and reads a reply that is none.
fn refusal(server: &Server, query: &str, headers: &str) -> (String, Reply) {
    let mut stream = ask(server, query, headers);
    let reply = Reply::read(&mut stream);
    let status = reply.head.split(' ').nth(1).expect("a status").to_owned();
    (status, reply)
}

/// Returns the description of the error in a reply.
fn error(reply: &Reply) -> String {
    let answer = Answer(reply.body_text());
    assert_eq!(answer.must("action"), "EVENTS");
    answer.error().1
}

#[test]
fn bad_values_are_errors_that_name_what_is_allowed() {
    let home = Home::new(&config(""));
    let server = home.start();
    for (query, words) in [
        ("?Types=queued,begun", &["Types", "begun", "started, progress, finished"][..]),
        ("?Queue=Nowhere", &["Queue", "Nowhere", "Process, Other"]),
        ("?Queue=Process,Nowhere", &["Nowhere"]),
        ("?Queue=Nowhere&Queue=Process", &["Nowhere"]),
        ("?Token=abc", &["Token", "abc", "a token that this server returned"]),
        ("?Types=%FF", &["Types", "UTF-8"]),
        ("?ResponseFormat=yaml", &["ResponseFormat", "yaml", "xml, json, simplejson"]),
    ] {
        let (status, reply) = refusal(&server, query, "");
        assert_eq!((status.as_str(), reply.header("content-type")), ("400", Some("text/xml")));
        let told = error(&reply);
        assert!(words.iter().all(|word| told.contains(word)), "{query}: {told}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let (_, reply) = refusal(&server, "?Types=x&ResponseFormat=SimpleJSON", "");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let told: serde_json::Value = serde_json::from_str(&reply.body_text()).unwrap();
    assert_eq!(told["autnresponse"]["response"], "ERROR");
}

#[test]
fn what_is_misspelt_is_not_passed_over() {
    let home = Home::new(&config(""));
    let server = home.start();
    let mut stream = Stream::open(&server, "?Tokn=abc&_=123");
    server.submit("");
    stream.next().unwrap();
    let comments = stream.comments.join("\n");
    assert!(comments.contains("'Tokn' is not known; is Token meant?"), "{comments}");

    let home = Home::new(&config("StrictActionValidation=true"));
    let server = home.start();
    let (status, reply) = refusal(&server, "?Tokn=abc", "");
    let told = error(&reply);
    assert!(status == "400" && told.contains("Tokn") && told.contains("Token"), "{told}");
}

#[test]
fn other_methods_are_answered() {
    let home = Home::new(&config("AllowedOrigins=http://tools.example.org"));
    let server = home.start();
    let send = |method: &str, headers: &str| {
        let request = format!(
            "{method} /events HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n"
        );
        server.send(request.as_bytes())
    };
    let mut stream = server.connect();
    stream
        .write_all(b"HEAD /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let head = crate::server::rest_of(&mut stream);
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("text/event-stream"), "{head}");
    let post = send("POST", "Content-Length: 0\r\n");
    assert!(post.head.starts_with("HTTP/1.1 405"), "{}", post.head);
    assert_eq!(post.header("allow"), Some("GET, HEAD, OPTIONS"));
    let of_page = "Origin: http://tools.example.org\r\n";
    let preflight = send("OPTIONS", &format!("{of_page}Access-Control-Request-Method: GET\r\n"));
    assert!(preflight.head.starts_with("HTTP/1.1 200"), "{}", preflight.head);
    let allowed = preflight.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("Last-Event-ID") && allowed.contains("Authorization"), "{allowed}");

    let stream = Stream::read(ask(&server, "", of_page));
    assert!(stream.head.contains("access-control-allow-origin: http://tools.example.org"));
    let (status, reply) = refusal(&server, "", "Origin: http://elsewhere.example.org\r\n");
    assert!(status == "403" && error(&reply).contains("AllowedOrigins"), "{status}");
}

#[test]
fn a_server_without_events_says_how_to_have_them() {
    let home = Home::new(&config("").replace("EventHistory=1000", "EventHistory=0"));
    let server = home.start();
    for query in ["", "?Queue=Process"] {
        let (status, reply) = refusal(&server, query, "");
        assert!(status == "404" && reply.body_text().contains("EventHistory"), "{query}: {status}");
    }
    Scrape::wait_for(&server, "actiond_event_listeners", 0.0);
    // A path counts for nothing where the query has an action.
    assert!(server.get("/events?action=GetVersion").contains("<response>SUCCESS</response>"));
}

#[test]
fn no_more_listen_than_may() {
    let home = Home::new(&config("MaxEventListeners=2"));
    let server = home.start();
    let first = Stream::open(&server, "");
    let _second = Stream::open(&server, "");
    let (status, reply) = refusal(&server, "", "");
    let told = error(&reply);
    assert!(status == "503" && told.contains("MaxEventListeners=2"), "{status}: {told}");
    assert!(reply.header("retry-after").is_some());
    drop(first);
    wait_until("a free place", || refusal_or_stream(&server));
}

/// True if a listener is let in.
fn refusal_or_stream(server: &Server) -> bool {
    let mut stream = ask(server, "", "");
    let mut start = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut start).expect("a status");
    &start == b"HTTP/1.1 200"
}

#[test]
fn listeners_count_among_the_connections_of_a_client() {
    let home = Home::new(&config("MaxConnectionsPerClient=2"));
    let server = home.start();
    let _streams = [Stream::open(&server, ""), Stream::open(&server, "")];
    let (status, reply) = refusal(&server, "", "");
    assert!(status == "429" && error(&reply).contains("MaxConnectionsPerClient"), "{status}");
}

/// The key of those who may see the queue Other. Everybody may submit, and nobody else may see anything.
const KEY: &str = "a-key-of-twenty-letters-or-more";

fn with_roles() -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(KEY.as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}[AuthorizationRoles]\n0=Watchers\n1=Submitters\n[Watchers]\nStandardRoles=Query\nQueues=Other\nKeys=sha256:{hash}\n\
         [Submitters]\nActions=Process,Other\nClients=*\n",
        config("")
    )
}

#[test]
fn a_listener_hears_the_queues_that_it_may_see() {
    let home = Home::new(&with_roles());
    let server = home.start();
    let key = format!("Authorization: Bearer {KEY}\r\n");
    let (status, reply) = refusal(&server, "", "");
    assert_eq!(status, "401", "{}", reply.body_text());
    assert!(reply.header("www-authenticate").is_some());
    let (status, reply) = refusal(&server, "", "Authorization: Bearer no-key\r\n");
    assert!(status == "403" && error(&reply).contains("not known here"), "{status}");
    let (status, reply) = refusal(&server, "?Queue=Process", &key);
    assert!(status == "403" && error(&reply).contains("Process"), "{status}");
    // Nobody is told the names of queues that it may not see.
    for query in ["", "?Queue=Nope", "?Types=nope"] {
        let (status, reply) = refusal(&server, query, "");
        let told = error(&reply);
        assert!(status == "401" && !told.contains("Process") && !told.contains("Other"), "{told}");
    }
    let (status, reply) = refusal(&server, "?Queue=Nope", &key);
    let told = error(&reply);
    assert!(status == "400" && told.contains("one of Other."), "{status}: {told}");

    let mut all = Stream::read(ask(&server, "?Types=finished", &key));
    let mut one = Stream::read(ask(&server, "?Types=finished&Queue=Other", &key));
    let foreign = server.submit("&Wait=20");
    let (status, _) = refusal(&server, &format!("?Token={foreign}"), &key);
    assert_eq!(status, "403");
    let own = server.submit_to("Other", "");
    for stream in [&mut all, &mut one] {
        assert!(stream.next().unwrap().is_of(&own));
    }

    // Who may see nothing any more hears nothing any more.
    home.configure(&with_roles().replace("Queues=Other", "Queues=Process"));
    server.reload();
    server.submit_to("Other", "");
    let last = server.submit("");
    assert!(all.next().unwrap().is_of(&last));
    assert_eq!(one.next(), None);
    assert!(one.comments.join(" ").contains("may see"), "{:?}", one.comments);
}
