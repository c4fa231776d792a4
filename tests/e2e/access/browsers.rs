//! Web pages of other servers, with and without keys: a browser sends a key that its user has given by itself, so a key says
//! nothing about who wrote the page. Preflights, and when a browser is asked for a key.

use actiond::aci::queue_info::QUEUE_ACTIONS;

use super::*;

/// What pages can make a browser send, each without the server's consent.
const FOREIGN: [&str; 4] = [
    "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: cross-site",
    "Host: localhost\r\nSec-Fetch-Site: cross-site",
    "Host: localhost\r\nOrigin: http://evil.example",
    "Host: evil.example",
];

fn open(server: &str) -> String {
    format!(
        "[Server]\n{server}\n[Service]\nServicePort=0\n[AsyncActions]\n0=Process\n1=Ingest\n2=Fetch\n\
         [Process]\nType=Echo\n[Ingest]\nType=Ingest\n[Fetch]\nType=FileSystemConnector\n"
    )
}

/// The same for whoever has the key, and for nobody else.
fn with_key(server: &str, key: &Key) -> String {
    let roles = "[AuthorizationRoles]\n0=Holders\n[Holders]\nStandardRoles=*\nKeys=";
    format!("{}{roles}{}\n", open(server), key.hash)
}

const QUEUES: [&str; 3] = ["Process", "Ingest", "Fetch"];

/// Everything that changes something or could, with this waiting action of `Process`.
fn mutating(token: &str) -> Vec<String> {
    let about = "QueueInfo&QueueName=Process&Priority=9&QueueAction";
    let commands = QUEUE_ACTIONS.iter();
    let mut all: Vec<_> = commands
        .flat_map(|command| {
            [format!("{about}={command}&Token={token}"), format!("{about}={command}")]
        })
        .collect();
    all.extend(
        QUEUES.iter().flat_map(|queue| [format!("{queue}&Name=x"), format!("{queue}&Sync=true")]),
    );
    all
}

/// The ways in which a page can have it sent.
fn requests(headers: &str, what: &str) -> [Vec<u8>; 2] {
    let body = format!("action={what}");
    let kind = "Content-Type: text/plain\r\nContent-Length";
    [
        format!("GET /action={what} HTTP/1.1\r\n{headers}\r\n\r\n").into_bytes(),
        format!("POST / HTTP/1.1\r\n{headers}\r\n{kind}: {}\r\n\r\n{body}", body.len())
            .into_bytes(),
    ]
}

#[test]
fn a_foreign_page_changes_nothing_with_and_without_a_key() {
    let key = Key::make();
    let home = Home::new(&open(""));
    let server = home.start();
    for queue in QUEUES {
        server.info(queue, "pause", "").success();
    }
    let token = server.submit("&Name=waits&Priority=3");
    let before = standing(&server, &QUEUES);
    let none = String::new();
    let bearer = format!("\r\nAuthorization: Bearer {}", key.text);
    let basic = format!("\r\nAuthorization: Basic {}", {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("ada:{}", key.text))
    });
    let refuse = |server: &Server, port: SocketAddr, keys: &[&String]| {
        for headers in FOREIGN {
            for key in keys {
                let headers = format!("{headers}{key}");
                for request in mutating(&token).iter().flat_map(|what| requests(&headers, what)) {
                    let reply = send_to(server.address, &request);
                    let what = String::from_utf8_lossy(&request);
                    assert!(is_refused(&reply), "{what}: {}", reply.body_text());
                    assert_eq!(reply.header("access-control-allow-origin"), None, "{what}");
                    assert_eq!(reply.header("access-control-allow-credentials"), None, "{what}");
                }
                for request in requests(&headers, "Stop") {
                    let reply = send_to(port, &request);
                    let what = String::from_utf8_lossy(&request);
                    assert_eq!(told(&reply.body_text(), "RESPONSE"), "ERROR", "{what}");
                    assert_eq!(reply.header("access-control-allow-origin"), None, "{what}");
                }
            }
        }
    };
    refuse(&server, service_port(&server, &Who::here()), &[&none]);
    assert_eq!(standing(&server, &QUEUES), before);
    end(server);

    configure(&home, &with_key("", &key));
    let server = home.start();
    let port = service_port(&server, &Who::here().with(&key.text));
    refuse(&server, port, &[&bearer, &basic]);
    // The key is good where no page sends it.
    Who::here().with(&key.text).may(&server, "GetStatus");
    assert_eq!(
        told(
            &ask_service(port, &Who::here().with(&key.text), "/action=GetStatus").body_text(),
            "RESPONSE"
        ),
        "Running"
    );
    end(server);
    configure(&home, &open(""));
    assert_eq!(standing(&home.start(), &QUEUES), before);
}

const TOOLS: &str = "https://tools.example";

fn preflight(address: SocketAddr, origin: &str, headers: &str) -> Reply {
    let request = format!(
        "OPTIONS /action=Process HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nSec-Fetch-Site: cross-site\r\n\
         Sec-Fetch-Mode: cors\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: {headers}\r\n\r\n"
    );
    send_to(address, request.as_bytes())
}

fn lists(reply: &Reply, header: &str, word: &str) -> bool {
    let words = reply.header(header).unwrap_or_default().split(',');
    words.map(str::trim).any(|listed| listed.eq_ignore_ascii_case(word))
}

/// The script of a page that is listed may send its key: a browser asks before whether it may, and sends no key with that.
#[test]
fn a_preflight_of_an_allowed_page_lets_it_send_a_key() {
    let key = Key::make();
    for setting in [TOOLS, "*"] {
        let home = Home::new(&with_key(&format!("AllowedOrigins={setting}"), &key));
        let server = home.start();
        let reply = preflight(server.address, TOOLS, "authorization,content-type");
        let status = reply.head.lines().next().unwrap_or_default().to_owned();
        assert!(status.contains(" 200 ") || status.contains(" 204 "), "{status}");
        let origin = reply.header("access-control-allow-origin").expect("it is allowed");
        assert!([TOOLS, "*"].contains(&origin), "{origin}");
        // That `*` is for all headers does not count for this one in browsers.
        assert!(lists(&reply, "access-control-allow-headers", "authorization"), "{}", reply.head);
        assert!(lists(&reply, "access-control-allow-methods", "POST"), "{}", reply.head);
        assert!(
            origin != "*" || reply.header("access-control-allow-credentials").is_none(),
            "{}",
            reply.head
        );

        let head = format!(
            "Host: localhost\r\nOrigin: {TOOLS}\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors"
        );
        let asked = format!(
            "GET /action=Process&Name=x HTTP/1.1\r\n{head}\r\nAuthorization: Bearer {}\r\n\r\n",
            key.text
        );
        let reply = send_to(server.address, asked.as_bytes());
        assert!(Answer(reply.body_text()).is_success(), "{}", reply.body_text());
        assert!(
            reply.header("access-control-allow-origin").is_some_and(|o| [TOOLS, "*"].contains(&o))
        );
        // The page can read why it was refused, too.
        let refused = format!("GET /action=Process&Name=x HTTP/1.1\r\n{head}\r\n\r\n");
        let reply = send_to(server.address, refused.as_bytes());
        assert!(is_refused(&reply), "{}", reply.body_text());
        assert!(reply.header("access-control-allow-origin").is_some(), "{}", reply.head);
    }
}

#[test]
fn a_preflight_of_another_page_lets_it_do_nothing() {
    let key = Key::make();
    for config in [with_key(&format!("AllowedOrigins={TOOLS}"), &key), with_key("", &key), open("")]
    {
        let home = Home::new(&config);
        let server = home.start();
        let who = Who::here().with(&key.text);
        for address in [server.address, service_port(&server, &who)] {
            for origin in [
                "https://evil.example",
                "https://tools.example.evil.example",
                "http://tools.example",
                "null",
            ] {
                let reply = preflight(address, origin, "authorization");
                for header in ["origin", "headers", "methods", "credentials"] {
                    let header = format!("access-control-allow-{header}");
                    if header.ends_with("origin") || header.ends_with("credentials") {
                        assert_eq!(reply.header(&header), None, "{origin}: {}", reply.head);
                    }
                }
            }
        }
    }
}

/// With both, any page could read what the browser's user may.
#[test]
fn any_origin_and_credentials_never_come_together() {
    let key = Key::make();
    for config in [open("AllowedOrigins=*"), with_key("AllowedOrigins=*", &key)] {
        let home = Home::new(&config);
        let server = home.start();
        let service = service_port(&server, &Who::here().with(&key.text));
        for address in [server.address, service] {
            for authorization in [String::new(), format!("\r\nAuthorization: Bearer {}", key.text)]
            {
                for method in ["GET", "OPTIONS"] {
                    let request = format!(
                        "{method} /action=GetStatus HTTP/1.1\r\nHost: localhost\r\nOrigin: https://any.example\r\n\
                         Access-Control-Request-Method: GET{authorization}\r\n\r\n"
                    );
                    let reply = send_to(address, request.as_bytes());
                    let credentials = reply.header("access-control-allow-credentials");
                    assert_eq!(credentials, None, "{}", reply.head);
                }
            }
        }
    }
}

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn browse(address: SocketAddr, target: &str, who: &Who) -> Reply {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: {HTML}\r\n{}\r\n",
        who.lines()
    );
    send_to(address, request.as_bytes())
}

fn asks_for_a_key(reply: &Reply) -> bool {
    let is_asked = reply.head.starts_with("HTTP/1.1 401 ");
    let header = reply.header("www-authenticate");
    assert_eq!(is_asked, header.is_some(), "{}", reply.head);
    if let Some(header) = header {
        assert!(header.starts_with("Basic realm=\""), "{header}");
        // What it was refused for is in the body all the same.
        assert!(reply.body_text().contains("ERRORPERMISSION"), "{}", reply.body_text());
    }
    is_asked
}

#[test]
fn a_browser_without_a_key_is_asked_for_one_where_there_are_keys() {
    let key = Key::make();
    let home = Home::new(&with_key("", &key));
    let server = home.start();
    let here = Who::here();
    for target in [
        "/",
        "/action=Help",
        "/action=GetStatus",
        "/action=Process&Name=x",
        "/action=GetPid&ResponseFormat=simplejson",
    ] {
        let reply = browse(server.address, target, &here);
        assert!(asks_for_a_key(&reply), "{target}: {}", reply.head);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{}", reply.head);
        // Who is no browser is not asked.
        let reply = send_to(server.address, &here.get(target));
        assert!(target == "/" || is_refused(&reply), "{target}: {}", reply.head);
        assert_eq!(reply.header("www-authenticate"), None, "{}", reply.head);
        let reply = browse(server.address, target, &here.clone().with(&key.text));
        assert!(
            reply.head.starts_with("HTTP/1.1 200 ") && !is_refused(&reply),
            "{target}: {}",
            reply.head
        );
    }
    assert!(browse(server.address, "/", &here.clone().with(&key.text)).head.contains("text/html"));
    // What is wrong with a request is no reason to ask.
    let reply = browse(server.address, "/action=GetPid&x", &here.with(&key.text));
    assert!(!asks_for_a_key(&reply));
}

/// What it has sent is told to be wrong in the reply, which is the ACI error as ever.
#[test]
fn a_browser_that_has_sent_a_key_is_not_asked_again() {
    let key = Key::make();
    let home = Home::new(&with_key("", &key));
    let server = home.start();
    for target in ["/", "/action=Help", "/action=GetStatus"] {
        let reply = browse(server.address, target, &Who::here().with(WRONG));
        assert!(!asks_for_a_key(&reply) && is_refused(&reply), "{target}: {}", reply.head);
    }
}

#[test]
fn a_browser_is_not_asked_where_no_key_would_help() {
    let locked = "[AuthorizationRoles]\n0=None\n[None]\nStandardRoles=*\nClients=\n";
    let home = Home::new(&format!("{}{locked}", open("")));
    let server = home.start();
    for target in ["/", "/action=Help", "/action=GetStatus", "/action=Process&Name=x"] {
        let reply = browse(server.address, target, &Who::here());
        assert!(!asks_for_a_key(&reply) && is_refused(&reply), "{target}: {}", reply.head);
    }
    // Nor what it may have anyway.
    let key = Key::make();
    let role = format!("[AuthorizationRoles]\n0=A\n[A]\nStandardRoles=Admin\nKeys={}\n", key.hash);
    let home = Home::new(&format!("{}{role}", open("")));
    let server = home.start();
    let reply = browse(server.address, "/", &Who::here());
    assert!(!asks_for_a_key(&reply) && reply.head.contains("text/html"), "{}", reply.head);
    assert!(asks_for_a_key(&browse(server.address, "/action=GetStatus", &Who::here())));
}
