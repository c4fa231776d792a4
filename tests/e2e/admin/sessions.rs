//! Sessions and forms, over raw sockets.

use std::collections::BTreeMap;

use super::config;
use crate::server::{Home, Reply, Server};

/// A browser as far as cookies go.
struct Visitor<'a> {
    server: &'a Server,
    cookies: BTreeMap<String, String>,
}

impl<'a> Visitor<'a> {
    fn of(server: &'a Server) -> Self {
        Self { server, cookies: BTreeMap::new() }
    }

    fn send(&mut self, head: &str, body: &str) -> Reply {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reply = self.server.send(
            format!(
                "{head}\r\nHost: localhost\r\nConnection: close\r\nCookie: {}\r\nContent-Length: {}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
                cookies.join("; "),
                body.len()
            )
            .as_bytes(),
        );
        for line in reply.head.lines() {
            let Some((name, cookie)) = line.split_once(": ") else { continue };
            if !name.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            assert!(
                cookie.contains("; HttpOnly; SameSite=Lax") && cookie.contains("; Path=/admin;")
            );
            let (name, rest) = cookie.split_once('=').expect("a name");
            match rest.contains("Max-Age=0;") {
                true => self.cookies.remove(name),
                false => {
                    let value = rest.split(';').next().unwrap_or_default();
                    self.cookies.insert(name.to_owned(), value.to_owned())
                }
            };
        }
        reply
    }

    fn get(&mut self, path: &str) -> Reply {
        self.send(&format!("GET /admin{path} HTTP/1.1"), "")
    }

    /// The token of the forms of a page.
    fn form_token(&mut self, path: &str) -> String {
        let page = self.get(path).body_text();
        let (_, rest) = page.split_once("name=\"form-token\" value=\"").expect("a form");
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    fn post(&mut self, path: &str, body: &str) -> Reply {
        self.send(&format!("POST /admin{path} HTTP/1.1"), body)
    }
}

fn status(reply: &Reply) -> &str {
    reply.head.split(' ').nth(1).unwrap_or_default()
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.header(name).unwrap_or_default()
}

const PAUSE: &str = "QueueAction=pause&QueueName=Process&Whole=true";

#[test]
fn a_form_of_another_page_changes_nothing() {
    let home = Home::new(&config(""));
    let server = home.start();
    let mut visitor = Visitor::of(&server);
    let token = visitor.form_token("");
    let other = Visitor::of(&server).form_token("");
    let paused = || server.info("Process", "queueStatus", "").must("paused");
    for body in [
        PAUSE.to_owned(),
        format!("{PAUSE}&form-token="),
        format!("{PAUSE}&form-token={other}"),
        format!("{PAUSE}&form-token={token}A"),
    ] {
        assert_eq!(status(&visitor.post("/command", &body)), "403", "{body}");
    }
    // Another browser has no session, or a worthless one.
    let form = format!("{PAUSE}&form-token={token}");
    assert_eq!(status(&Visitor::of(&server).post("/command", &form)), "403");
    let mut forged = Visitor::of(&server);
    let name = visitor.cookies.keys().next().expect("a cookie").clone();
    forged.cookies.insert(name, "1.99999999999.AAAA.-.AAAA".to_owned());
    assert_eq!(status(&forged.post("/command", &form)), "403");
    // Nor does a page of another server get one through.
    let foreign = "POST /admin/command HTTP/1.1\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: cross-site";
    assert_eq!(status(&visitor.send(foreign, &form)), "403");
    // What is only read changes nothing.
    assert_eq!(status(&visitor.get(&format!("/command?{form}"))), "404");
    assert_eq!(paused(), "false");
    let done = visitor.post("/command", &form);
    assert_eq!((status(&done), header(&done, "location")), ("303", "/admin"));
    assert_eq!(paused(), "true");
    // It is said once.
    let next = visitor.get("").body_text();
    assert!(next.contains("Process is paused: it starts nothing new."), "{next}");
    assert!(!visitor.get("").body_text().contains("class=\"said\""));
}

/// Keys of an administrator, and of somebody who sees one queue.
fn keys() -> (Home, [String; 2]) {
    let keys = ["0123456789abcdef-admin", "0123456789abcdef-other"];
    let hash = |key: &str| actiond::access::KeyHash::of(key).to_string();
    let config = format!(
        "{}[AuthorizationRoles]\n0=Boss\n1=Some\n[Boss]\nStandardRoles=Admin,Query,ServiceStatus,ServiceControl\nKeys={}\n\
         [Some]\nStandardRoles=Query\nQueues=Other\nKeys={}\n",
        config(""),
        hash(keys[0]),
        hash(keys[1])
    );
    (Home::new(&config), keys.map(ToOwned::to_owned))
}

#[test]
fn who_signs_in_may_do_what_the_key_may() {
    let (home, [boss, some]) = keys();
    let server = home.start();
    let mut visitor = Visitor::of(&server);
    // Nobody is shown anything, but where to sign in.
    let sent = visitor.get("/queue?QueueName=Process&State=error");
    let to = "/admin/sign-in?back=%2Fadmin%2Fqueue%3FQueueName%3DProcess%26State%3Derror";
    assert_eq!((status(&sent), header(&sent, "location")), ("303", to));
    assert_eq!(status(&visitor.get("/events?Types=counts")), "401");
    let token = visitor.form_token("/sign-in");
    let sign_in = |token: &str, key: &str| {
        format!("form-token={token}&key={key}&back=/admin/queue?QueueName%3DOther")
    };
    let wrong = visitor.post("/sign-in", &sign_in(&token, "wrong-key"));
    assert_eq!(status(&wrong), "403");
    assert!(wrong.body_text().contains("This key is not known here."));
    let done = visitor.post("/sign-in", &sign_in(&token, &some));
    assert_eq!((status(&done), header(&done, "location")), ("303", "/admin/queue?QueueName=Other"));
    assert!(!visitor.cookies.values().any(|cookie| cookie.contains(&some)), "the key is not in it");
    let all = visitor.get("").body_text();
    assert!(
        all.contains("QueueName=Other")
            && !all.contains("QueueName=Process")
            && all.contains("Sign out"),
        "{all}"
    );
    assert_eq!(status(&visitor.get("/queue?QueueName=Other")), "200");
    assert_eq!(status(&visitor.get("/queue?QueueName=Process")), "403");
    // What is told to everybody, and no more.
    let shown = visitor.get("/server").body_text();
    assert!(shown.contains("<dd>Index</dd>"), "the role that no section names: {shown}");
    assert_eq!(
        shown.matches("Permission denied").count(),
        3,
        "schedules, handlers and log: {shown}"
    );
    // The cookie is for the page alone: an action needs the key itself.
    let cookies: Vec<_> = visitor.cookies.keys().cloned().collect();
    assert!(cookies.iter().all(|name| name.starts_with("actiond-")), "{cookies:?}");

    // A form of before is worth nothing.
    assert_eq!(status(&visitor.post("/sign-out", &format!("form-token={token}"))), "403");
    let token = visitor.form_token("");
    let out = visitor.post("/sign-out", &format!("form-token={token}"));
    assert_eq!((status(&out), header(&out, "location")), ("303", "/admin"));
    assert_eq!(status(&visitor.get("")), "303");

    let token = visitor.form_token("/sign-in");
    visitor.post("/sign-in", &sign_in(&token, &boss));
    let shown = visitor.get("/server").body_text();
    assert!(shown.contains("Query, Admin, Index, ServiceStatus, ServiceControl"), "{shown}");
    let token = visitor.form_token("");
    assert_eq!(status(&visitor.post("/command", &format!("{PAUSE}&form-token={token}"))), "303");
    // It stays signed in with servers of the same secret only: this one has none.
    let cookies = std::mem::take(&mut visitor.cookies);
    drop(server);
    let server = home.start();
    let mut again = Visitor { server: &server, cookies };
    assert_eq!(status(&again.get("")), "303");
}

#[test]
fn servers_with_one_secret_know_the_sessions_of_each_other() {
    let secret = "AdminSecret=0123456789abcdef0123456789abcdef";
    let home = Home::new(&config(secret));
    let server = home.start();
    let port = server.address.port();
    let mut visitor = Visitor::of(&server);
    let token = visitor.form_token("");
    let cookies = std::mem::take(&mut visitor.cookies);
    drop(server);
    let server = home.start();
    let own = |name: &str| name.replace(&port.to_string(), &server.address.port().to_string());
    let cookies = cookies.into_iter().map(|(name, value)| (own(&name), value)).collect();
    let mut again = Visitor { server: &server, cookies };
    assert_eq!(status(&again.post("/command", &format!("{PAUSE}&form-token={token}"))), "303");
    let short = Home::new(&config("AdminSecret=short"));
    let said = short.command().output().expect("the server runs");
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("AdminSecret=***: must be at least 32 characters"), "{said}");
}

#[test]
fn headers_assets_and_the_way_there() {
    let home = Home::new(&config(""));
    let server = home.start();
    let mut visitor = Visitor::of(&server);
    for path in ["", "/", "/queue?QueueName=Process", "/nowhere", "/a/b/c", "/queue?QueueName=none"]
    {
        let reply = visitor.get(path);
        assert!(matches!(status(&reply), "200" | "400" | "404"), "{path}");
        let policy = header(&reply, "content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&reply, "x-frame-options"), "DENY");
        assert_eq!(header(&reply, "cache-control"), "no-store");
    }
    for (name, kind) in [
        ("admin.css", "text/css"),
        ("admin.js", "text/javascript"),
        ("htmx.min.js", "text/javascript"),
    ] {
        let asset = visitor.get(&format!("/assets/{name}"));
        assert!(header(&asset, "content-type").starts_with(kind), "{name}");
        assert!(header(&asset, "cache-control").contains("immutable"));
    }
    assert_eq!(status(&visitor.get("/assets/../admin.css")), "404");
    assert_eq!(status(&visitor.send("DELETE /admin HTTP/1.1", "")), "405");
    assert_eq!(server.ask("admin").success().must("path"), "/admin");
    let page = server.send(
        b"GET /action=admin HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
    );
    assert!(page.body_text().contains("content=\"0; url=/admin\""));
    let token = server.submit("&Name=Ada");
    let file = visitor.get(&format!("/download?Token={}&Format=json", token.replace('=', "%3D")));
    assert!(header(&file, "content-disposition").starts_with("attachment; filename=\"action-"));
    assert!(file.body_text().starts_with('{'), "JSON");
}

#[test]
fn a_server_may_have_no_page() {
    let home = Home::new(&config("AdminPage=false"));
    let server = home.start();
    let (code, why) = server.ask("admin").error();
    assert_eq!(code, "ERRORUNAVAILABLE", "{why}");
    assert!(!Visitor::of(&server).get("").body_text().contains("<html"));
}
