//! Every form in which clients send a request, with every request of the two documentation pages
//! and every value of `QueueAction`.

use std::io::Read as _;

use super::*;

/// The pairs of a request; the first is the action.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// How a form writes a request.
type Form = fn(Pairs<'_>) -> Vec<u8>;

fn form_text(pairs: Pairs<'_>) -> String {
    let pairs: Vec<_> =
        pairs.iter().map(|(n, v)| format!("{}={}", encoded(n), encoded(v))).collect();
    pairs.join("&")
}

fn post(target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn chunked(target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Transfer-Encoding: chunked\r\n\r\n"
    );
    let mut out = head.into_bytes();
    for piece in body.chunks(37) {
        out.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend([piece, b"\r\n"].concat());
    }
    out.extend(b"0\r\n\r\n");
    out
}

/// Parts as the Java clients and curl write them.
fn multipart(pairs: Pairs<'_>, part_headers: &str, file: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        let file = if file { "; filename=\"f.txt\"" } else { "" };
        out.extend(
            format!(
                "--AbC-9\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n{part_headers}\r\n{value}\r\n"
            )
            .as_bytes(),
        );
    }
    out.extend(b"--AbC-9--\r\n");
    out
}

const URLENCODED: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=AbC-9\r\n";

/// Every form that clients send, by the name that says where it was seen.
const FORMS: &[(&str, Form)] = &[
    ("1 path", |p| get(&format!("/{}", form_text(p)))),
    ("2 path with a=", |p| get(&format!("/a={}&{}", p[0].1, form_text(&p[1..])))),
    ("3 query", |p| get(&format!("/?{}", form_text(p)))),
    ("4 form", |p| post("/", URLENCODED, form_text(p).as_bytes())),
    ("5 path and form", |p| {
        post(&format!("/action={}", p[0].1), URLENCODED, form_text(&p[1..]).as_bytes())
    }),
    ("6 path and parts of files", |p| {
        post(&format!("/a={}", p[0].1), MULTIPART, &multipart(&p[1..], "", true))
    }),
    ("7 query and chunked parts of Java 5", |p| {
        let body = multipart(&p[1..], "Content-Type: text/plain; charset=UTF-8\r\n", false);
        chunked(&format!("/?action={}", p[0].1), MULTIPART, &body)
    }),
    ("7 all in chunked parts of Java 4", |p| {
        let head = "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n";
        chunked("/", MULTIPART, &multipart(p, head, false))
    }),
    ("7 chunked parts of bytes without a name of a file", |p| {
        let head =
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n";
        chunked(&format!("/?action={}", p[0].1), MULTIPART, &multipart(&p[1..], head, false))
    }),
    ("8 form as text/plain", |p| {
        post("/", "Content-Type: text/plain; charset=ISO-8859-1\r\n", form_text(p).as_bytes())
    }),
    ("8 form without a type", |p| post("/", "", form_text(p).as_bytes())),
    ("8 chunked form", |p| chunked("/", "Content-Type: text/plain\r\n", form_text(p).as_bytes())),
    ("9 query and an empty body", |p| {
        post(&format!("/?{}", form_text(p)), "Content-Type: text/plain; charset=utf-8\r\n", b"")
    }),
    ("9 path and an empty body", |p| post(&format!("/{}", form_text(p)), "", b"")),
    ("10 lines with CRLF", |p| post("/", "", form_text(p).replace('&', "\r\n").as_bytes())),
    ("10 lines with CR and an end", |p| {
        let body = form_text(p).replace('&', "\r") + "\r";
        post("/", "Content-Type: text/plain\r\n", body.as_bytes())
    }),
    ("GET with a body", |p| {
        let body = form_text(&p[1..]);
        let head = format!(
            "GET /action={} HTTP/1.1\r\nHost: localhost\r\n{URLENCODED}Content-Length: {}\r\n\r\n",
            p[0].1,
            body.len()
        );
        (head + &body).into_bytes()
    }),
    ("HTTP/1.0", |p| format!("GET /{} HTTP/1.0\r\n\r\n", form_text(p)).into_bytes()),
    ("as a proxy sends it", |p| get(&format!("http://host:7000/{}", form_text(p)))),
    ("empty pairs", |p| get(&format!("/&{}&&", form_text(p).replace('&', "&&")))),
    ("other case, action last", |p| {
        let names: Vec<_> = p.iter().map(|(n, v)| (n.to_ascii_uppercase(), *v)).collect();
        let mut pairs: Vec<_> = names.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        let action = p[0].1.to_ascii_lowercase();
        pairs[0].1 = &action;
        pairs.rotate_left(1);
        get(&format!("/?{}", form_text(&pairs)))
    }),
    ("no slash", |p| get(&form_text(p))),
];

/// One client that sends everything in one form.
struct Tour {
    client: Client,
    form: Form,
}

impl Tour {
    fn ask(&self, pairs: Pairs<'_>) -> Node {
        let reply = aci(&self.client.send(&(self.form)(pairs)));
        assert_eq!(reply.text("action"), pairs[0].1.to_uppercase());
        assert_eq!(reply.text("response"), "SUCCESS", "{pairs:?}: {reply:?}");
        reply
    }

    fn info(&self, action: &str, more: Pairs<'_>) -> Node {
        let mut pairs =
            vec![("action", "QueueInfo"), ("QueueAction", action), ("QueueName", "Fetch")];
        pairs.extend(more);
        self.ask(&pairs)
    }

    /// Steers an action; the reply names it and its state.
    fn steer(&self, action: &str, token: &str, more: Pairs<'_>) -> String {
        let reply = self.info(action, &[&[("Token", token)], more].concat());
        assert_eq!(reply.text("responsedata/token"), token);
        reply.text("responsedata/status").to_owned()
    }

    fn submit(&self, pairs: Pairs<'_>) -> String {
        token(&self.ask(&[&[("action", "Fetch")], pairs].concat()))
    }

    fn status(&self, token: &str) -> Node {
        let reply = self.info("getstatus", &[("Token", token)]);
        reply.one("responsedata/actions/action").clone()
    }

    fn wait_for(&self, token: &str, wanted: &str) {
        wait_until(wanted, || self.status(token).text("status") == wanted);
    }

    fn go(&self) {
        let synchronize = [("TaskSections", "MyTask1"), ("FetchAction", "Synchronize")];
        assert_eq!(self.info("pause", &[]).text("responsedata/paused"), "true");
        let [one, two, three] = [(); 3].map(|()| self.submit(&synchronize));

        // To return the status of all Fetch actions: the most recent one first.
        let listed = self.info("GetStatus", &[]);
        let tokens: Vec<_> = listed.all("responsedata/actions/action/token");
        let tokens: Vec<_> = tokens.into_iter().map(|t| t.text.as_str()).collect();
        assert_eq!(tokens, [&three, &two, &one]);

        assert_eq!(self.status(&one).text("status"), "Queued");
        assert_eq!(self.steer("changePriority", &two, &[("priority", "100")]), "Queued");
        assert_eq!(self.status(&two).text("priority"), "100");
        assert_eq!(self.status(&one).text("priority"), "0");

        let request = self.info("getActionParameters", &[("Token", &one)]);
        assert_eq!(request.text("responsedata/request/token"), one);
        assert_eq!(request.text("responsedata/request/status"), "Queued");
        // The action itself is none of them; one form writes names in another case.
        let shown = parameters(&request);
        assert_eq!(shown.len(), 2);
        for ((name, value), (sent, wanted)) in shown.iter().zip(synchronize) {
            assert!(name.eq_ignore_ascii_case(sent) && value == wanted, "{shown:?}");
        }

        let copy = token(&self.info("duplicate", &[("Token", &one)]));
        assert!(![&one, &two, &three].contains(&&copy));
        assert_eq!(self.steer("Cancel", &three, &[]), "Cancelled");
        assert_eq!(self.steer("Stop", &copy, &[]), "Cancelled", "it can be stopped at any point");
        let counts = |reply: &Node| {
            ["paused", "pending", "running", "finished"]
                .map(|name| reply.text(&format!("responsedata/{name}")).to_owned())
        };
        assert_eq!(counts(&self.info("queueStatus", &[])), ["true", "2", "0", "2"]);

        assert_eq!(self.info("resume", &[]).text("responsedata/paused"), "false");
        self.wait_for(&one, "Finished");
        self.wait_for(&two, "Finished");

        let long = self.submit(&[("Sleep", "600")]);
        self.wait_for(&long, "Processing");
        let progress = self.info("progress", &[("Token", &long)]);
        assert_eq!(progress.text("responsedata/action/status"), "Processing");
        assert_eq!(self.steer("pause", &long, &[]), "Paused");
        assert_eq!(self.steer("resume", &long, &[]), "Processing");
        let said = self.steer("Stop", &long, &[]);
        assert!(["Stopping", "Stopped"].contains(&said.as_str()), "{said}");
        self.wait_for(&long, "Stopped");

        let first_long = long;
        let long = self.submit(&[("Sleep", "600")]);
        self.wait_for(&long, "Processing");
        self.info("stop", &[]);
        self.wait_for(&long, "Stopped");
        assert_eq!(counts(&self.info("queueStatus", &[])), ["false", "0", "0", "6"]);

        // The ten most recently finished ones, the most recent first.
        let finished = self.info(
            "GetStatus",
            &[
                ("State", "finished"),
                ("Sort-By", "finish-time"),
                ("Sort-Order", "descending"),
                ("MaxResults", "10"),
                ("Start", "1"),
            ],
        );
        let tokens: Vec<_> = finished.all("responsedata/actions/action/token");
        let tokens: Vec<_> = tokens.into_iter().map(|t| t.text.as_str()).collect();
        assert_eq!(tokens.len(), 6);
        assert_eq!(tokens[0], long);
        assert_eq!(tokens[1], first_long);
    }
}

#[test]
fn every_request_in_every_form() {
    for (name, form) in FORMS {
        let home = Home::new(ECHOES);
        let server = home.start();
        eprintln!("form: {name}");
        Tour { client: Client::of(&server), form: *form }.go();
    }
}

#[test]
fn the_forms_of_the_pages_about_ingest() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let token = client.submit("Ingest&adds=%3Cadds%2F%3E&Sleep=600");
    client.wait_for("ingest", &token, "Processing");
    // As the page writes them, letter for letter.
    let all = client.get("/action=QueueInfo&QueueName=ingest&QueueAction=GetStatus");
    assert_eq!(all.text("responsedata/actions/action/token"), token);
    let ask = |rest: &str| client.get(&format!("/action=QueueInfo&QueueName=ingest&{rest}{token}"));
    let one = ask("QueueAction=getstatus&Token=");
    assert_eq!(one.text("responsedata/actions/action/status"), "Processing");
    let refused = fault(&ask("QueueAction=Cancel&Token="));
    assert!(refused.description.contains("stop it instead"), "{refused:?}");
    assert_eq!(ask("QueueAction=Stop&Token=").text("responsedata/token"), token);
    client.wait_for("ingest", &token, "Stopped");
}

#[test]
fn parameters_come_from_target_and_body_at_once() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    client.queue_info("Process", "QueueAction=pause");
    let body = multipart(&[("three", "3"), ("Priority", "7")], "", false);
    let token = token(&aci(&client.send(&post("/action=Process&one=1&two=2", MULTIPART, &body))));
    let shown =
        client.queue_info("Process", &format!("QueueAction=getActionParameters&Token={token}"));
    let expected = [("one", "1"), ("two", "2"), ("three", "3"), ("Priority", "7")];
    assert_eq!(parameters(&shown), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert_eq!(client.status("Process", &token).text("priority"), "7");
}

#[test]
fn one_connection_carries_many_requests_in_all_forms() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let mut stream = server.connect();
    for number in 0..10 {
        for (name, form) in FORMS.iter().filter(|(name, _)| *name != "HTTP/1.0") {
            let value = format!("{name} {number}");
            let request = form(&[("action", "Process"), ("Synchronous", "true"), ("v", &value)]);
            let reply = exchange(&mut stream, &request);
            assert_eq!(reply.header("connection"), None);
            let reply = aci(&reply);
            let last = reply.all("responsedata/parameters/parameter");
            let has = last.iter().any(|p| p.attribute("value") == value);
            assert!(has, "{name}: {reply:?}");
        }
    }
}

#[test]
fn requests_in_a_row_without_waiting_are_answered_in_order() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let mut stream = server.connect();
    let requests: Vec<u8> =
        (0..50).flat_map(|n| get(&format!("/action=Process&Synchronous=true&n={n}"))).collect();
    stream.write_all(&requests).unwrap();
    for n in 0..50 {
        let reply = aci(&Reply::read(&mut stream));
        let all = reply.all("responsedata/parameters/parameter");
        assert_eq!(all[1].attribute("value"), n.to_string());
    }
}

#[test]
fn eight_threads_with_25_requests_each_get_their_own_answers() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let work = |thread: usize| {
        let mut stream = client.connect();
        let ask = |stream: &mut TcpStream, target: String| aci(&exchange(stream, &get(&target)));
        (0..25)
            .map(|n| {
                let reply = ask(&mut stream, format!("/action=Process&Wait=30&v={thread}-{n}"));
                assert_eq!(reply.text("responsedata/status"), "Finished");
                let echoed = reply.all("responsedata/parameters/parameter");
                assert_eq!(echoed[1].attribute("value"), format!("{thread}-{n}"));
                token(&reply)
            })
            .collect::<Vec<_>>()
    };
    let mut tokens: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 200, "no token is given twice");
    let counts = client.queue_info("Process", "QueueAction=queueStatus");
    assert_eq!(counts.text("responsedata/finished"), "200");
}

#[test]
fn http_1_0_and_connection_close_end_the_connection() {
    let home = Home::new(ECHOES);
    let server = home.start();
    for request in [
        "GET /a=getpid HTTP/1.0\r\n\r\n",
        "GET /a=getpid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let mut stream = server.connect();
        aci(&exchange(&mut stream, request.as_bytes()));
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "{request}");
    }
    let mut stream = server.connect();
    for _ in 0..3 {
        let request = b"GET /a=getpid HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        aci(&exchange(&mut stream, request));
    }
}

#[test]
fn a_small_reply_comes_in_one_piece() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let mut stream = server.connect();
    for target in [
        "/action=Process",
        "/action=Wobble",
        "/a=QueueInfo&QueueName=Process&QueueAction=getStatus",
    ] {
        // Some clients take each piece that they read for a whole document.
        stream.write_all(&get(target)).unwrap();
        let mut piece = [0; 65_536];
        let length = stream.read(&mut piece).unwrap();
        let text = std::str::from_utf8(&piece[..length]).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").expect("the whole head");
        tree(body);
    }
}

#[test]
fn a_large_body_waits_for_the_server_s_word_if_the_client_asks_for_it() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let mut stream = server.connect();
    let body = form_text(&[("action", "Process"), ("Synchronous", "true"), ("v", "x")]);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(aci(&exchange(&mut stream, body.as_bytes())).has("responsedata/parameters"));
}
