//! Values arrive as they were sent, whatever they hold and however they were sent: what
//! `getActionParameters` shows of an action that waits is compared with what was meant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// A server whose queue `Process` starts nothing, so that all its actions stay Queued.
fn paused(home: &Home) -> Server {
    let server = home.start();
    let reply = Client::of(&server).queue_info("Process", "QueueAction=pause");
    assert_eq!(reply.text("responsedata/paused"), "true");
    server
}

/// What the server shows of the parameters of an action, in each form of the reply.
fn shown(client: Client, token: &str) -> Vec<(String, String)> {
    let target = format!("QueueAction=getActionParameters&Token={token}");
    let shown = parameters(&client.queue_info("Process", &target));
    for format in ["json", "simplejson"] {
        let target = format!("/a=QueueInfo&QueueName=Process&{target}&ResponseFormat={format}");
        let reply = client.send(&get(&target)).body_text();
        let reply: serde_json::Value = serde_json::from_str(&reply).expect("JSON");
        let list = &reply["autnresponse"]["responsedata"]["request"][0]["parameters"]["parameter"];
        let list: Vec<_> = list.as_array().map(|list| list.iter().collect()).unwrap_or_default();
        let pair = |p: &serde_json::Value| {
            let text = p.get("$").map_or("", |text| text.as_str().expect("text"));
            shown_pair(|name| p.get(format!("@{name}")).and_then(|v| v.as_str()), text)
        };
        let list: Vec<_> = list.into_iter().map(pair).collect();
        assert_eq!(list, shown, "{format}");
    }
    shown
}

/// What is shown of these.
fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(n, v)| (marked(n), marked(v))).collect()
}

/// What stands in a target, and the parameters that it means.
const TARGETS: &[(&str, &[(&str, &str)])] = &[
    ("n=%C3%A9%E2%82%AC", &[("n", "é€")]),
    ("n=\u{e9}\u{20ac}", &[("n", "é€")]),
    ("n=%F0%9F%98%80", &[("n", "😀")]),
    ("n=😀", &[("n", "😀")]),
    ("%C3%BC=1", &[("ü", "1")]),
    ("ü=1", &[("ü", "1")]),
    ("n=a+b", &[("n", "a b")]),
    ("n=a%20b", &[("n", "a b")]),
    ("n=a%2Bb", &[("n", "a+b")]),
    ("n=a b  c", &[("n", "a b  c")]),
    ("n=+a+", &[("n", " a ")]),
    ("[Session]StartOffset=0s", &[("[Session]StartOffset", "0s")]),
    ("[Task 1]a+b=c", &[("[Task 1]a b", "c")]),
    ("config=W1NlcnZlcl0KUG9ydD0xCg==", &[("config", "W1NlcnZlcl0KUG9ydD0xCg==")]),
    ("video=Webcam=0=", &[("video", "Webcam=0=")]),
    ("url=http://host:80//a/./b/../c//", &[("url", "http://host:80//a/./b/../c//")]),
    ("path=C:\\Temp\\..\\x", &[("path", "C:\\Temp\\..\\x")]),
    ("n='\"'", &[("n", "'\"'")]),
    ("n=<a b=\"c\">%26amp;</a>", &[("n", "<a b=\"c\">&amp;</a>")]),
    ("n=%3C%26%3E", &[("n", "<&>")]),
    ("n=a#b#", &[("n", "a#b#")]),
    ("n=`x`", &[("n", "`x`")]),
    ("n={\"a\":[1|2]}^~", &[("n", "{\"a\":[1|2]}^~")]),
    ("n=a%0Ab", &[("n", "a\nb")]),
    ("n=a%0D%0Ab%0D", &[("n", "a\r\nb\r")]),
    ("n=%09a%09", &[("n", "\ta\t")]),
    ("n=a%01b", &[("n", "a\u{1}b")]),
    ("n%1F=%00", &[("n\u{1F}", "\0")]),
    ("n=%EF%BF%BE%EF%BF%BF", &[("n", "\u{FFFE}\u{FFFF}")]),
    ("n=%EF%BF%BD", &[("n", "\u{FFFD}")]),
    ("n=%C2%85%7F%E2%80%A8", &[("n", "\u{85}\u{7F}\u{2028}")]),
    ("n=", &[("n", "")]),
    ("n", &[("n", "")]),
    ("showtracksstatistics&n=1", &[("showtracksstatistics", ""), ("n", "1")]),
    ("&&n=1&&&m=2&", &[("n", "1"), ("m", "2")]),
    ("n=1&n=2", &[("n", "1"), ("n", "2")]),
    ("n=100%&m=%zz%4", &[("n", "100%"), ("m", "%zz%4")]),
    ("n=%2541", &[("n", "%41")]),
    ("=v", &[("", "v")]),
    ("ActionID=me", &[("ActionID", "me")]),
];

#[test]
fn values_in_the_target() {
    let home = Home::new(ECHOES);
    let server = paused(&home);
    let client = Client::of(&server);
    for (sent, expected) in TARGETS {
        for start in ["/action=Process&", "/?action=Process&", "action=Process&"] {
            let token = client.submit_at(&format!("{start}{sent}"));
            assert_eq!(shown(client, &token), owned(expected), "{start}{sent}");
        }
    }
    // What tools put behind an address that has no query yet.
    for start in
        ["/action=Process", "/a=Process", "/action=Process&m=1", "http://h:1/action=Process&m=1"]
    {
        let token = client.submit_at(&format!("{start}?Name=Ada&n=a?b"));
        let shown = shown(client, &token);
        assert!(shown.ends_with(&owned(&[("Name", "Ada"), ("n", "a?b")])), "{start}: {shown:?}");
        assert_eq!(shown.len(), if start.contains('&') { 3 } else { 2 }, "{start}");
    }
    // A question mark in an address belongs to the value, in the path form too.
    for start in ["/action=Process&", "/?action=Process&"] {
        let token = client.submit_at(&format!("{start}n=rtsp://h/x?a=b%26c?d&m=?"));
        let expected = owned(&[("n", "rtsp://h/x?a=b&c?d"), ("m", "?")]);
        assert_eq!(shown(client, &token), expected, "{start}");
    }
}

impl Client {
    fn submit_at(self, target: &str) -> String {
        token(&self.get(target))
    }
}

#[test]
fn values_in_a_form() {
    let home = Home::new(ECHOES);
    let server = paused(&home);
    let client = Client::of(&server);
    for (sent, expected) in TARGETS {
        for kind in ["application/x-www-form-urlencoded", "text/plain; charset=ISO-8859-1"] {
            let body = format!("action=Process&{sent}");
            let request = format!(
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let token = token(&aci(&client.send(request.as_bytes())));
            assert_eq!(shown(client, &token), owned(expected), "{sent}");
        }
    }
}

#[test]
fn values_in_lines() {
    let home = Home::new(ECHOES);
    let server = paused(&home);
    let client = Client::of(&server);
    let body = "action=Process\r\nn=a+b%0D%0Ac\r\nm=W1N==\rempty=\nlast=%C3%A9é\r\n";
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let token = token(&aci(&client.send(request.as_bytes())));
    let expected = [("n", "a b\r\nc"), ("m", "W1N=="), ("empty", ""), ("last", "éé")];
    assert_eq!(shown(client, &token), owned(&expected));
}

/// A multipart request of these parts.
fn parts(pairs: &[(&str, &[u8])]) -> Vec<u8> {
    parts_for("Process", pairs)
}

fn parts_for(queue: &str, pairs: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in pairs {
        let head = format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), value, b"\r\n"].concat());
    }
    body.extend(b"--B--\r\n");
    let head = format!(
        "POST /action={queue} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=\"B\"\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

#[test]
fn values_in_parts_are_not_decoded_and_bytes_are_shown_as_base64() {
    let home = Home::new(ECHOES);
    let server = paused(&home);
    let client = Client::of(&server);
    let every_byte: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let request = parts(&[
        ("plus", b"a+b%20c&d=e"),
        ("lines", b"a\r\nb\n--B no end\r\n"),
        ("spaces", b"  a  "),
        ("empty", b""),
        ("text", "é😀\u{1}".as_bytes()),
        ("bytes", &every_byte),
        ("large", &large),
        ("twice", b"1"),
        ("twice", b"\xFF"),
    ]);
    let token = token(&aci(&client.send(&request)));
    let (every_byte, large) = (marked_bytes(&every_byte), marked_bytes(&large));
    let expected = [
        ("plus", "a+b%20c&d=e"),
        ("lines", "a\r\nb\n--B no end\r\n"),
        ("spaces", "  a  "),
        ("empty", ""),
        ("text", "é😀\u{1}"),
        ("bytes", &every_byte),
        ("large", &large),
        ("twice", "1"),
        ("twice", "base64:/w=="),
    ];
    assert_eq!(shown(client, &token), owned(&expected));
}

#[test]
fn names_of_parts_are_utf_8_or_latin_1() {
    let home = Home::new(ECHOES);
    let server = paused(&home);
    let client = Client::of(&server);
    let head = b"--B\r\nContent-Disposition: form-data; name".as_slice();
    let names =
        ["=\"Größe\"".as_bytes(), b"=\"Gr\xF6\xDFe\"", b"*=utf-8''Gr%C3%B6%C3%9Fe; filename=f"];
    let mut body = Vec::new();
    for name in names {
        body.extend([head, name, b"\r\n\r\nv\r\n"].concat());
    }
    body.extend(b"--B--\r\n");
    let request = format!(
        "POST /action=Process HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let token = token(&aci(&client.send(&[request.as_bytes(), &body].concat())));
    assert_eq!(shown(client, &token), owned(&[("Größe", "v"); 3]));
}

/// Many Java clients read no longer attribute than 524,288 characters, and nothing at all of a reply that has one.
#[test]
fn no_value_makes_a_list_unreadable() {
    const READABLE: usize = 524_288;
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    client.queue_info("Fetch", "QueueAction=pause");
    let binary: Vec<u8> = (0..400_000_u32).map(|n| (n % 251) as u8).collect();
    let long_name = "n".repeat(600_000);
    let sent: [(&str, &[u8]); 5] = [
        ("binary", &binary),
        ("text", &[b'x'; 600_000]),
        ("just", &[b'x'; 499_000]),
        (&long_name, b"v"),
        ("small", b"v"),
    ];
    let longest = |node: &Node| {
        fn deep(node: &Node) -> usize {
            let own = node.attributes.iter().map(|(_, value)| value.encode_utf16().count()).max();
            let inner = node.children.iter().map(deep).max();
            own.max(inner).unwrap_or_default()
        }
        deep(node)
    };
    for (queue, list) in [("Process", "getStatus"), ("Fetch", "getActionParameters")] {
        let token = token(&aci(&client.send(&parts_for(queue, &sent))));
        let path = if queue == "Process" {
            client.wait_for("Process", &token, "Finished");
            "responsedata/actions/action/parameters/parameter"
        } else {
            "responsedata/request/parameters/parameter"
        };
        for target in [format!("QueueAction={list}"), format!("QueueAction={list}&Token={token}")] {
            let reply = client.queue_info(queue, &target);
            assert!(longest(&reply) < READABLE, "{target}");
            let shown = reply.all(path);
            let length = |n: usize| shown[n].attribute_if("length");
            assert_eq!(shown.len(), sent.len());
            assert_eq!(
                (shown[0].text.as_str(), length(0)),
                (&*BASE64.encode(&binary), Some("400000"))
            );
            assert_eq!(shown[0].attribute("encoding"), "base64");
            assert_eq!((shown[1].text.len(), length(1)), (600_000, Some("600000")));
            assert_eq!((shown[2].attribute("value").len(), length(2)), (499_000, None));
            assert!(shown[3].attribute("name").ends_with("n... (cut: it has 600000 characters)"));
            assert_eq!((shown[4].attribute("value"), length(4)), ("v", None));
        }
    }
}

#[test]
fn a_token_is_taken_raw_encoded_and_without_its_padding() {
    let home = Home::new(ECHOES);
    let server = paused(&home);
    let client = Client::of(&server);
    // Four lengths of the queue's name and value would give each padding; the id's length is fixed.
    let token = client.submit("Process");
    for given in [
        token.clone(),
        encoded(&token),
        token.trim_end_matches('=').to_owned(),
        format!("+{token}%20"),
    ] {
        assert_eq!(client.status("process", &given).text("token"), token, "{given}");
    }
    let plain = BASE64.decode(&token).unwrap();
    let plain = String::from_utf8(plain).unwrap();
    let fields: Vec<_> = plain.split(':').collect();
    assert_eq!(fields[..2], [server.address.ip().to_string(), server.address.port().to_string()]);
    assert_eq!((fields[2], fields[3].len()), ("PROCESS", 24));
    assert!(!token.contains(['+', '/', '&', '%', '#', ' ']), "{token}");
    // The queue can be left out, because the token names it; an empty token is none.
    let reply = client.get(&format!("/action=QueueInfo&QueueAction=getStatus&Token={token}"));
    assert_eq!(reply.text("responsedata/actions/action/token"), token);
    let all = client.queue_info("Process", "QueueAction=getStatus&Token=");
    assert_eq!(all.all("responsedata/actions/action").len(), 1);
}

#[test]
fn any_text_arrives_as_it_was_sent() {
    let home = Home::new(ECHOES);
    let server = paused(&home);
    let client = Client::of(&server);
    let text = "[\\x00-\\x7F\u{80}-\u{A0}\u{2028}\u{FFFD}-\u{FFFF}é😀]{0,12}|\\PC{0,20}";
    let pairs = proptest::collection::vec((text, text), 1..12);
    let cases = Config { cases: 60, failure_persistence: None, ..Config::default() };
    TestRunner::new(cases)
        .run(&pairs, |pairs| {
            // No name is one that the server knows.
            let pairs: Vec<_> = pairs.into_iter().map(|(n, v)| (format!("x{n}"), v)).collect();
            let sent: Vec<_> =
                pairs.iter().map(|(n, v)| format!("{}={}", encoded(n), encoded(v))).collect();
            let token = client.submit(&format!("Process&{}", sent.join("&")));
            let expected: Vec<_> = pairs.iter().map(|(n, v)| (marked(n), marked(v))).collect();
            prop_assert_eq!(shown(client, &token), expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn values_are_the_same_after_a_restart_and_in_a_copy() {
    let home = Home::new(ECHOES);
    let server = paused(&home);
    let client = Client::of(&server);
    let request = parts(&[("text", "é\u{1}\r\n<&>'\" 😀".as_bytes()), ("bytes", b"\0\xFF")]);
    let token = token(&aci(&client.send(&request)));
    let before = shown(client, &token);
    assert_eq!(before, owned(&[("text", "é\u{1}\r\n<&>'\" 😀"), ("bytes", "base64:AP8=")]));
    server.kill();
    // On another port, but the token stays good; the queue is still paused.
    let server = home.start();
    let client = Client::of(&server);
    assert_eq!(shown(client, &token), before);
    let copy = client.queue_info("Process", &format!("QueueAction=duplicate&Token={token}"));
    assert_eq!(shown(client, copy.text("responsedata/token")), before);
}
