//! Requests that hold far too much of something.

use super::super::server::Home;
use super::*;

const CONFIG: &str = "
[Actions]
Durability=normal
[AsyncActions]
0=Process
1=Ingest
2=Other
[Process]
Type=Echo
[Ingest]
Type=Ingest
[Other]
Type=Echo
";

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn a_hundred_thousand_parameters_are_too_many_wherever_they_stand() {
    let home = Home::new(CONFIG);
    let server = home.start();
    others_are_served(&server);
    let before = resident(&server);
    let part = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n";
    let multipart = format!("{}--B--\r\n", part.repeat(100_000));
    let query =
        format!("GET /action=Process&{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a&".repeat(30_000));
    let distinct: String = (0..100_000).map(|n| format!("&name{n}=value{n}")).collect();
    for request in [
        query.into_bytes(),
        post("/action=Process", FORM, "&a=1".repeat(100_000).as_bytes()),
        post("/action=Process", FORM, distinct.as_bytes()),
        post("/action=Process", FORM, "name=value\n".repeat(100_000).as_bytes()),
        post("/action=Process", "multipart/form-data; boundary=B", multipart.as_bytes()),
    ] {
        let (code, description) = answer(&server, &request, Duration::from_secs(10)).error();
        assert_eq!(code, "ERRORREQUESTTOOLARGE", "{description}");
        assert!(description.contains("at most 10000"), "{description}");
    }
    let grown = peak(&server).saturating_sub(before);
    eprintln!("100,000 parameters, in up to 5 MB: {grown} kB more");
    assert!(grown < 130_000, "{grown} kB more");
    others_are_served(&server);
}

#[test]
fn as_many_as_are_allowed_are_kept_repeated_or_not() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let repeated = "&n=v".repeat(9_990);
    let distinct: String = (0..9_990).map(|n| format!("&n{n}=v{n}")).collect();
    for body in [repeated, distinct] {
        let request = post("/action=Process", FORM, body.as_bytes());
        let token = answer(&server, &request, Duration::from_secs(10)).success().must("token");
        server.wait_in("Process", &token, "Finished");
        let reply = server.about("Process", "getStatus", &token).success();
        assert_eq!(reply.values("parameter").len(), 9_990);
    }
}

#[test]
fn names_and_values_of_all_sizes() {
    let home = Home::new(CONFIG);
    let server = home.start();
    for size in [0, 1, 100, 10_000, 1_000_000, 4_000_000] {
        let long = "y".repeat(size);
        for body in [format!("{long}=v"), format!("n={long}"), format!("={long}"), long.clone()] {
            let body = format!("Synchronous=true&{body}");
            let request = post("/action=Process", FORM, body.as_bytes());
            answer(&server, &request, Duration::from_secs(10)).success();
        }
        // Where names and values are words that are known.
        for body in [
            format!("action={long}x"),
            format!("action=QueueInfo&QueueName={long}x&QueueAction=getStatus"),
            format!("action=QueueInfo&QueueName=Process&QueueAction={long}x"),
            format!("action=QueueInfo&QueueName=Process&QueueAction=getStatus&Token={long}x"),
            format!("action=QueueInfo&QueueName=Process&QueueAction=cancel&Token={long}x"),
            format!("action=QueueInfo&QueueName=Process&QueueAction=getStatus&MaxResults={long}x"),
            format!("action=QueueInfo&QueueName=Process&QueueAction=getStatus&State={long}x"),
            format!(
                "action=QueueInfo&QueueName=Process&QueueAction=getStatus&Queued-After={long}x"
            ),
            format!("action=Process&Priority={long}x"),
            format!("action=GetPid&ResponseFormat={long}x"),
        ] {
            let request = post("/", FORM, body.as_bytes());
            let answer = answer(&server, &request, Duration::from_secs(10));
            answer.error();
            assert!(answer.0.len() < 3_000, "{size}: a reply of {} bytes", answer.0.len());
        }
    }
    others_are_served(&server);
}

#[test]
fn large_heads_are_refused_and_harm_nobody() {
    let home = Home::new(CONFIG);
    let server = home.start();
    others_are_served(&server);
    let before = resident(&server);
    let start = "GET /action=GetPid HTTP/1.1\r\nHost: localhost\r\n";
    for headers in [
        format!("X-Long: {}\r\n", "y".repeat(500_000)),
        format!("{}: v\r\n", "X".repeat(500_000)),
        (0..100_000).map(|n| format!("X-{n}: v\r\n")).collect(),
    ] {
        let mut stream = server.connect();
        stream.write_all(format!("{start}{headers}\r\n").as_bytes()).unwrap();
        let (number, description) = error_in(&rest_of(&mut stream));
        assert_eq!(number, "505");
        assert!(description.contains("65000 bytes"), "{description}");
        others_are_served(&server);
    }
    let grown = peak(&server).saturating_sub(before);
    eprintln!("heads of up to 1.2 MB: {grown} kB more");
    assert!(grown < 30_000, "{grown} kB more");
}

/// What an Ingest of these adds ends as, and with which error.
fn ingest(server: &Server, adds: &str) -> (String, String) {
    let encoded: String =
        percent_encoding::utf8_percent_encode(adds, percent_encoding::NON_ALPHANUMERIC).collect();
    let request = post("/action=Ingest", FORM, format!("adds={encoded}").as_bytes());
    let token = answer(server, &request, PATIENCE).success().must("token");
    let began = Instant::now();
    let ended = server.outcome("Ingest", &token);
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
    (ended.must("status"), ended.value("error").unwrap_or_default())
}

#[test]
fn xml_that_is_deep_wide_or_a_bomb() {
    let home = Home::new(
        "[Server]\nMaxFileUploadSize=60000000\n[AsyncActions]\n0=Ingest\n1=Other\n\
         [Ingest]\nType=Ingest\n[Other]\nType=Echo\n",
    );
    let server = home.start();
    others_are_served(&server);
    let before = resident(&server);
    let deep = format!("<adds>{}{}</adds>", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let unclosed = "<a>".repeat(1_000_000);
    let attributes: String = (0..1_000_000).map(|n| format!(" a{n}=''")).collect();
    let wide = format!("<adds><add><document{attributes}/></add></adds>");
    let same = format!("<adds><add><document{}/></add></adds>", " a=''".repeat(1_000_000));
    let entities: String = (1..10)
        .map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10)))
        .collect();
    let bomb = format!("<!DOCTYPE adds [<!ENTITY e0 \"lol\">{entities}]><adds>&e9;</adds>");
    let file =
        "<!DOCTYPE adds [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><adds>&e;</adds>".to_owned();
    let number =
        "<adds><add><document><reference>&#x110000;</reference></document></add></adds>".to_owned();
    let comment = format!("<adds><!--{}</adds>", "-".repeat(1_000_000));
    for (name, xml) in [
        ("deep", deep),
        ("unclosed", unclosed),
        ("bomb", bomb),
        ("file", file),
        ("number", number),
        ("comment", comment),
        ("wide", wide),
        ("same", same),
    ] {
        let began = Instant::now();
        let (status, error) = ingest(&server, &xml);
        eprintln!("{name}: {status} after {:?}: {error:.120}", began.elapsed());
        if name != "wide" {
            assert_eq!(status, "Error", "{name}");
        }
        assert!(error.len() < 1_000 && !error.contains("root:"), "{name}: {} bytes", error.len());
        others_are_served(&server);
    }
    let grown = peak(&server).saturating_sub(before);
    eprintln!("XML of up to 14 MB: {grown} kB more");
    assert!(grown < 500_000, "{grown} kB more");
}
