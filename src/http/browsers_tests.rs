//! Requests as browsers and programs send them, against policies.

use actix_web::test::TestRequest;

use super::*;

/// A request with these headers, one `Name: value` a line.
fn request(headers: &str) -> HttpRequest {
    let lines = headers.lines().map(|line| line.split_once(": ").unwrap());
    lines
        .fold(TestRequest::get().uri("/action=GetPid"), TestRequest::append_header)
        .to_http_request()
}

fn policy(origins: &[&str], hosts: &[&str], is_local: bool) -> BrowserPolicy {
    let policy = BrowserPolicy::default().local(is_local);
    let policy = origins.iter().fold(policy, |policy, it| policy.allow_origin(it).unwrap());
    hosts.iter().fold(policy, |policy, it| policy.allow_host(it).unwrap())
}

/// What a refusal of these headers names; `None` if they are let in.
fn refusal(policy: &BrowserPolicy, headers: &str) -> Option<String> {
    let error =
        policy.judge(&request(headers), "actions.example.org", &LastHost::default()).err()?.error;
    assert_eq!((error.number, error.code), (504, "ERRORPERMISSION"));
    Some(error.description)
}

fn is_let_in(policy: &BrowserPolicy, headers: &str) -> bool {
    refusal(policy, headers).is_none()
}

#[test]
fn the_name_that_is_asked_for_must_be_one_of_the_servers() {
    let table = [
        ("", true),
        ("Host: ", true),
        ("Host: 127.0.0.1:7000", true),
        ("Host: 127.9.9.9", true),
        ("Host: localhost", true),
        ("Host: LocalHost.:7000", true),
        ("Host: a.localhost:7000", true),
        ("Host: [::1]:7000", true),
        ("Host: [::1]", true),
        ("Host: [::ffff:127.0.0.1]:1", false),
        ("Host: [::ffff:7f00:1]", false),
        ("Host: Actions.Example.Org:80", true),
        ("Host: evil.example", false),
        ("Host: x", false),
        ("Host: notlocalhost", false),
        ("Host: localhost.evil.example", false),
        ("Host: 127.0.0.1.evil.example", false),
        ("Host: 10.0.0.1:7000", false),
        ("Host: 0.0.0.0:7000", false),
        ("Host: [::2]", false),
        ("Host: [::1]x", false),
        ("Host: [::1", false),
        ("Host: localhost:7000@evil.example", false),
        ("Host: localhost:+1", false),
        ("Host: localhost:99999", false),
        ("Host: localhost\nHost: evil.example", false),
        ("Host: evil.example\nHost: localhost", false),
    ];
    for (headers, good) in table {
        assert_eq!(is_let_in(&policy(&[], &[], true), headers), good, "{headers}");
        // Whoever listens on a network can't know by which names it is reached.
        assert!(is_let_in(&policy(&[], &[], false), headers), "{headers}");
    }
    for is_local in [true, false] {
        let listed = policy(&[], &["Front.example", "::2"], is_local);
        for (host, good) in
            [("front.example:9", true), ("[::2]:1", true), ("localhost", true), ("other", false)]
        {
            assert_eq!(is_let_in(&listed, &format!("Host: {host}")), good, "{host}");
        }
    }
    assert!(is_let_in(&policy(&[], &["*"], true), "Host: evil.example"));
    let said = refusal(&policy(&[], &[], true), "Host: evil.example").unwrap();
    assert!(said.contains("'evil.example'") && said.contains("AllowedHosts"), "{said}");
}

/// Over HTTP/2 the name stands in the target alone.
#[test]
fn the_name_in_a_target_counts_where_no_header_has_one() {
    for (target, host, good) in [
        ("http://localhost:1/a=GetPid", None, true),
        ("http://evil.example/", None, false),
        ("http://proxied.example/", Some("localhost"), true),
        ("http://localhost/", Some("evil.example"), false),
    ] {
        let request = TestRequest::get().uri(target);
        let request =
            host.into_iter().fold(request, |request, host| request.append_header((HOST, host)));
        let judged =
            policy(&[], &[], true).judge(&request.to_http_request(), "", &LastHost::default());
        assert_eq!(judged.is_ok(), good, "{target} {host:?}");
    }
}

/// An application that does not say so listens where the connection says.
#[test]
fn the_socket_tells_whether_the_server_is_local() {
    // The address that requests of tests carry is 127.0.0.1.
    assert!(!is_let_in(&BrowserPolicy::default(), "Host: evil.example"));
    assert!(is_let_in(&BrowserPolicy::default(), "Host: localhost"));
    assert!(is_let_in(&BrowserPolicy::unchecked(), "Host: evil.example"));
}

#[test]
fn pages_of_other_servers_are_refused() {
    let table = [
        ("Host: localhost:7000\nOrigin: http://localhost:7000", true),
        ("Host: localhost:7000\nOrigin: http://LOCALHOST:7000", true),
        ("Host: localhost\nOrigin: http://localhost", true),
        ("Host: localhost:80\nOrigin: http://localhost", true),
        ("Host: localhost:443\nOrigin: https://localhost", true),
        ("Host: localhost\nOrigin: https://localhost", true),
        ("Host: [::1]:7000\nOrigin: http://[::1]:7000", true),
        ("Host: localhost:7000\nOrigin: http://localhost", false),
        ("Host: localhost:7000\nOrigin: http://localhost:7001", false),
        ("Host: localhost:7000\nOrigin: http://127.0.0.1:7000", false),
        ("Host: localhost:7000\nOrigin: ftp://localhost:7000", false),
        ("Host: localhost:7000\nOrigin: http://evil.example", false),
        ("Host: localhost:7000\nOrigin: null", false),
        ("Host: localhost:7000\nOrigin: ", false),
        ("Host: localhost\nOrigin: http://localhost\nOrigin: http://evil.example", false),
        ("Origin: http://localhost", false),
        ("Sec-Fetch-Site: same-origin", true),
        ("Sec-Fetch-Site: none", true),
        ("Sec-Fetch-Site: same-site", false),
        ("Sec-Fetch-Site: cross-site", false),
        ("Sec-Fetch-Site: ", false),
        ("Sec-Fetch-Site: none\nSec-Fetch-Site: cross-site", false),
        ("Host: localhost\nOrigin: http://localhost\nSec-Fetch-Site: cross-site", false),
    ];
    for (headers, good) in table {
        for is_local in [true, false] {
            assert_eq!(is_let_in(&policy(&[], &[], is_local), headers), good, "{headers}");
        }
        assert!(is_let_in(&BrowserPolicy::unchecked(), headers), "{headers}");
    }
    // Ahead of what a user asks for, whoever does it.
    for name in ["Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"] {
        let ahead = format!("{name}: prefetch;prerender\nSec-Fetch-Site: none");
        for policy in [policy(&[], &[], true), policy(&["*"], &["*"], false)] {
            let judged = policy.judge(&request(&ahead), "", &LastHost::default());
            assert!(judged.unwrap_err().is_ahead, "{ahead}");
        }
        assert!(is_let_in(&BrowserPolicy::unchecked(), &ahead));
    }
    for (headers, named) in [
        ("Origin: http://evil.example", "'http://evil.example'"),
        ("Sec-Fetch-Site: cross-site", "'cross-site'"),
    ] {
        let said = refusal(&policy(&[], &[], true), headers).unwrap();
        assert!(said.contains(named) && said.contains("AllowedOrigins"), "{said}");
    }
}

#[test]
fn pages_of_listed_origins_are_let_in_and_may_read() {
    let listed = policy(&["https://Tools.example:443/", "http://[::2]:8080"], &[], true);
    for origin in ["https://tools.example", "http://[::2]:8080"] {
        for site in ["cross-site", "same-site"] {
            let request = request(&format!("Origin: {origin}\nSec-Fetch-Site: {site}"));
            let cors = listed.judge(&request, "", &LastHost::default()).unwrap();
            let mut reply = HeaderMap::new();
            cors.add_to(&mut reply);
            assert_eq!(reply.get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), origin);
            assert_eq!(reply.get(VARY).unwrap(), "Origin");
            assert!(!reply.contains_key("access-control-allow-credentials"));
        }
    }
    for origin in ["http://tools.example", "https://tools.example:444", "https://a.tools.example"] {
        assert!(!is_let_in(&listed, &format!("Origin: {origin}")), "{origin}");
    }
    // Images and links of a listed page don't say whose they are.
    assert!(!is_let_in(&listed, "Sec-Fetch-Site: cross-site"));
    // A page that was made to stand for this machine is of no listed name.
    assert!(!is_let_in(&listed, "Origin: https://tools.example\nHost: evil.example"));
    let any = policy(&["*"], &[], true);
    assert!(is_let_in(&any, "Origin: null\nSec-Fetch-Site: cross-site"));
    assert!(!is_let_in(&any, "Sec-Fetch-Site: cross-site"));
}

#[test]
fn only_listed_origins_are_told_what_they_may_send() {
    let told = |headers: &str| {
        let request = request(headers);
        let listed = policy(&["https://tools.example"], &[], true);
        let mut reply = HeaderMap::new();
        let cors = listed.judge(&request, "", &LastHost::default()).unwrap_or_default();
        cors.add_preflight_to(request.headers(), &mut reply);
        reply
    };
    assert!(told("").is_empty());
    assert!(told("Origin: http://evil.example").is_empty());
    assert!(told("Host: localhost\nOrigin: http://localhost").is_empty());
    let reply = told("Origin: https://tools.example\nSec-Fetch-Site: cross-site");
    assert_eq!(reply.get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "https://tools.example");
    assert_eq!(reply.get(ACCESS_CONTROL_ALLOW_METHODS).unwrap(), "GET, POST");
    assert_eq!(
        reply.get(ACCESS_CONTROL_ALLOW_HEADERS).unwrap(),
        "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
    );
    assert!(!reply.contains_key(&ALLOWS_PRIVATE));
    let asks = "Origin: https://tools.example\nAccess-Control-Request-Private-Network: true";
    assert_eq!(told(asks).get(&ALLOWS_PRIVATE).unwrap(), "true");
}

#[test]
fn origins_and_hosts_are_written_in_one_way() {
    for (text, want) in [
        ("HTTP://A.Example:80/", Some("http://a.example")),
        ("https://a:443", Some("https://a")),
        ("https://a:80", Some("https://a:80")),
        ("chrome-extension://abc", Some("chrome-extension://abc")),
        ("http://[0:0::1]:7000", Some("http://[::1]:7000")),
        ("null", None),
        ("a.example", None),
        ("http://", None),
        ("://a", None),
        ("1a://a", None),
        ("h_p://a", None),
        ("http://a/page", None),
        ("http://u@a", None),
        ("http://a:b", None),
    ] {
        assert_eq!(normal_origin(text).as_deref(), want, "{text}");
    }
    for (text, want) in [
        ("[::1]", Some("::1")),
        ("::1", Some("::1")),
        ("A.b.", Some("a.b")),
        ("a:1", None),
        ("", None),
    ] {
        assert_eq!(normal_host(text).as_deref(), want, "{text}");
    }
}

/// What was let in before makes no difference to another host.
#[test]
fn only_the_very_host_that_was_let_in_last_needs_no_look() {
    let policy = policy(&[], &[], true);
    let heads =
        ["Host: localhost", "Host: localhost:7000", "Host: x", "", "Host: localhost\nHost: x"];
    let judge = |headers: &str, last: &LastHost| {
        policy.judge(&request(headers), "actions.example.org", last).is_ok()
    };
    for first in heads {
        for second in heads {
            let last = LastHost::default();
            judge(first, &last);
            let alone = judge(second, &LastHost::default());
            assert_eq!(judge(second, &last), alone, "{second:?} after {first:?}");
        }
    }
    let last = LastHost::default();
    assert!(judge("Host: localhost", &last) && last.is_that_of(&request("Host: localhost")));
    assert!(!judge("Host: x", &last) && !last.is_that_of(&request("Host: x")));
}
