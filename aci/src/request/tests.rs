//! Tests of how requests are read: each form by table, and any pairs through every form.

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use proptest::prelude::*;

use super::*;

const MULTIPART: &str = "multipart/form-data; boundary=X-X-X";
const FORM: &str = "application/x-www-form-urlencoded";

fn raw<'a>(target: &'a str, content_type: Option<&'a str>, body: &'a [u8]) -> RawRequest<'a> {
    RawRequest { target, content_type, body, max_input_string: 64_000, max_upload: 10_000_000 }
}

fn get(target: &str) -> Request {
    parse(&raw(target, None, &[])).unwrap()
}

fn post(target: &str, content_type: &str, body: &str) -> Request {
    parse(&raw(target, Some(content_type), body.as_bytes())).unwrap()
}

fn reject(target: &str, body: &[u8]) -> Rejected {
    parse(&raw(target, None, body)).unwrap_err()
}

fn texts(request: &Request) -> Vec<(&str, &str)> {
    request
        .pairs
        .iter()
        .filter_map(|(name, value)| match value {
            PairValue::Text(text) => Some((name, text.as_str())),
            PairValue::Bytes(_) => None,
        })
        .collect()
}

#[test]
fn every_form_is_read() {
    let part = |name: &str, value: &str| {
        format!(
            "--X-X-X\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n{value}\r\n"
        )
    };
    let parts = format!("{}{}--X-X-X--\r\n", part("a", "1 2"), part("b", "x=y"));
    let all_parts = format!("{}{parts}", part("action", "Fetch"));
    let all_parts = all_parts.replace("name=\"a\"", "name=\"A\"");
    let table = [
        (get("/action=Fetch&a=1%202&b=x=y"), "path"),
        (get("/?action=Fetch&a=1+2&b=x=y"), "query"),
        (get("/aci/v1?b=x=y&action=Fetch&a=1+2"), "query under a path"),
        (get("http://host:7000/action=Fetch&a=1+2&b=x=y"), "absolute target"),
        (get("HTTPS://[::1]:7000?action=Fetch&a=1+2&b=x=y"), "absolute target with query"),
        (post("/", FORM, "action=Fetch&a=1+2&b=x=y"), "form body"),
        (post("/action=Fetch", FORM, "a=1+2&b=x=y"), "path and form body"),
        (post("/action=Fetch", MULTIPART, &parts), "path and multipart"),
        (post("/?action=Fetch", MULTIPART, &parts), "query and multipart"),
        (post("/", MULTIPART, &all_parts), "all in parts"),
        (
            post("/", "text/plain; charset=ISO-8859-1", "action=Fetch&a=1+2&b=x%3Dy"),
            "mislabelled form",
        ),
        (post("/?action=Fetch&a=1%202&b=x=y", "text/plain; charset=utf-8", ""), "empty body"),
        (post("/", "text/plain", "action=Fetch\r\na=1+2\r\nb=x=y\r\n"), "lines with CRLF"),
        (post("/", "text/plain", "action=Fetch\ra=1+2\rb=x=y"), "lines with CR"),
        (post("/", "", "action=Fetch\na=1+2\nb=x=y\n\n"), "lines with LF"),
        (parse(&raw("/action=Fetch", None, b"a=1+2&b=x=y")).unwrap(), "body without a type"),
    ];
    for (request, form) in table {
        assert_eq!(request.action, "Fetch", "{form}");
        let mut pairs = texts(&request);
        pairs.sort_unstable();
        assert_eq!(pairs.len(), 2, "{form}");
        assert_eq!(
            (request.pairs.get("A"), request.pairs.get("B")),
            (Some("1 2"), Some("x=y")),
            "{form}"
        );
    }
}

#[test]
fn what_stands_before_a_question_mark_counts_if_it_has_parameters() {
    let table: [(&str, &[(&str, &str)]); 9] = [
        ("/action=X&url=http://h/p?q=1&b=2", &[("url", "http://h/p?q=1"), ("b", "2")]),
        ("/p?action=X&url=a?b=c", &[("url", "a?b=c")]),
        ("///action=X&f=//srv/../x", &[("f", "//srv/../x")]),
        ("//?action=X&f=a/b", &[("f", "a/b")]),
        ("/action=X&f=C:\\d\\[e]", &[("f", "C:\\d\\[e]")]),
        ("/action=X&[Session]StartOffset=0s", &[("[Session]StartOffset", "0s")]),
        ("/action=X&f=a#b", &[("f", "a#b")]),
        ("action=X&f=1", &[("f", "1")]),
        ("/http://h/?action=X&f=1", &[("f", "1")]),
    ];
    for (target, expected) in table {
        let request = get(target);
        assert_eq!(texts(&request), expected, "{target}");
        assert_eq!(request.action, "X", "{target}");
    }
    for target in ["", "/", "/getstatus", "*", "/favicon.ico", "/?", "http://h", "http://", "/p?"] {
        assert_eq!(reject(target, b"").error.number, 501, "{target}");
    }
}

/// What tools make of the path form, and what people write.
#[test]
fn a_question_mark_in_the_path_form_begins_a_query_where_no_value_can_hold_it() {
    let table: [(&str, &[(&str, &str)]); 31] = [
        ("/action=X?Name=Ada", &[("Name", "Ada")]),
        ("/action=X?Name=Ada&n=a?b=c", &[("Name", "Ada"), ("n", "a?b=c")]),
        ("/action=X?y", &[("y", "")]),
        ("/action=X?", &[]),
        ("/action=X??n=1", &[("?n", "1")]),
        ("/A=X?Name=Ada", &[("Name", "Ada")]),
        ("/ACTION=X?Name=Ada", &[("Name", "Ada")]),
        ("//action=X?Name=Ada", &[("Name", "Ada")]),
        ("http://h:1/action=X?Name=Ada", &[("Name", "Ada")]),
        ("/n=1&action=X?Name=Ada", &[("n", "1"), ("Name", "Ada")]),
        ("/action=X&x=1?Name=Ada", &[("x", "1"), ("Name", "Ada")]),
        ("/action=X&x=?Name=Ada", &[("x", ""), ("Name", "Ada")]),
        ("/action=X&x?Name=Ada", &[("x", ""), ("Name", "Ada")]),
        ("/action=X&?Name=Ada", &[("Name", "Ada")]),
        ("/action=X&x=1?[S]K%20=v", &[("x", "1"), ("[S]K ", "v")]),
        ("/action=X&t=MTA=?Name=Ada", &[("t", "MTA="), ("Name", "Ada")]),
        ("/action=X&u=http%3A%2F%2Fh?Name=Ada", &[("u", "http://h"), ("Name", "Ada")]),
        ("/action=X&u=http://h/p?q=1", &[("u", "http://h/p?q=1")]),
        ("/action=X&u=host:80?q=1", &[("u", "host:80?q=1")]),
        ("/action=X&u=/p?q=1&n=2", &[("u", "/p?q=1"), ("n", "2")]),
        ("/action=X&u=\\\\srv?q=1", &[("u", "\\\\srv?q=1")]),
        ("/action=X&t=is+it+so?&n=1", &[("t", "is it so?"), ("n", "1")]),
        ("/action=X&t=is it so?", &[("t", "is it so?")]),
        ("/action=X&t=who? me=you", &[("t", "who? me=you")]),
        ("/action=X&t=*.doc?", &[("t", "*.doc?")]),
        ("/action=X&t=a?b", &[("t", "a?b")]),
        ("/action=X&t=a?=b", &[("t", "a?=b")]),
        ("/action=X&t=a??n=1", &[("t", "a??n=1")]),
        ("/action=X&a=http://h?q=1", &[("a", "http://h?q=1")]),
        ("/a=http://h?action=X", &[("a", "http://h")]),
        ("/action=X&u=http://h?q=1&x=1?y=2", &[("u", "http://h?q=1"), ("x", "1?y=2")]),
    ];
    for (target, expected) in table {
        let request = get(target);
        assert_eq!(texts(&request), expected, "{target}");
        assert_eq!(request.action, "X", "{target}");
    }
}

#[test]
fn values_are_decoded_once_and_only_where_they_are_encoded() {
    let table = [
        ("1+1%2B1", "1 1+1"),
        ("%E4%BD%A0ü", "你ü"),
        ("100%", "100%"),
        ("%zz%4", "%zz%4"),
        ("%2525", "%25"),
        ("a%26b%3Dc", "a&b=c"),
        ("MTA6QQ==", "MTA6QQ=="),
        ("%00", "\0"),
        ("a\r\nb", "a\r\nb"),
        ("", ""),
    ];
    for (sent, meant) in table {
        assert_eq!(get(&format!("/action=X&v={sent}")).pairs.get("V"), Some(meant), "{sent}");
        assert_eq!(
            post("/action=X", FORM, &format!("q=&v={sent}")).pairs.get("v"),
            Some(meant),
            "{sent}"
        );
    }
    assert_eq!(get("/action=X&a+b%3d=1").pairs.get("A B="), Some("1"));
}

#[test]
fn odd_pairs_are_kept_or_skipped() {
    let request = get("/action=X&&flag&=v&e=&&x=1&X=2&");
    assert_eq!(texts(&request), [("flag", ""), ("", "v"), ("e", ""), ("x", "1"), ("X", "2")]);
    assert_eq!(request.pairs.get("x"), Some("2"));
    assert_eq!(
        (request.pairs.get("flag"), request.pairs.given("flag"), request.pairs.get("none")),
        (Some(""), None, None)
    );
}

#[test]
fn the_url_comes_first_and_the_body_wins() {
    let request = post("/?action=X&p=url&q=1", FORM, "P=body");
    assert_eq!(texts(&request), [("p", "url"), ("q", "1"), ("P", "body")]);
    assert_eq!(request.pairs.get("p"), Some("body"));
}

#[test]
fn the_action_may_be_called_a() {
    let table = [
        ("/a=GetPid", "GetPid"),
        ("/A=%20GetPid+", "GetPid"),
        ("/b=1&ACTION=GetPid", "GetPid"),
        ("/a=x&action=GetPid", "GetPid"),
        ("/action=&a=GetPid", "GetPid"),
    ];
    for (target, action) in table {
        assert_eq!(get(target).action, action, "{target}");
    }
    assert_eq!(texts(&get("/a=x&action=GetPid")), [("a", "x")]);
    assert_eq!(texts(&get("/action=&a=GetPid")), []);
    for target in ["/action=", "/?a=", "/action", "/b=1", "/action=%20"] {
        let rejected = reject(target, b"");
        assert_eq!(
            (rejected.action.as_str(), rejected.error.code),
            ("", "ERRORPARAMMISSING"),
            "{target}"
        );
    }
}

#[test]
fn format_and_action_id_are_found_anywhere() {
    let request = post("/action=X&ActionId=me", FORM, "responseformat=SimpleJSON");
    assert_eq!(
        (request.format, request.action_id.as_deref()),
        (ResponseFormat::SimpleJson, Some("me"))
    );
    let request = get("/action=X&ResponseFormat=&ActionID=");
    assert_eq!((request.format, request.action_id), (ResponseFormat::Xml, None));
    let rejected = reject("/action=X&ResponseFormat=yaml", b"");
    assert_eq!((rejected.action.as_str(), rejected.format), ("X", ResponseFormat::Xml));
    assert!(
        rejected.error.description.contains("yaml")
            && rejected.error.description.contains("simplejson")
    );
}

#[test]
fn line_breaks_separate_pairs_only_where_each_line_is_one() {
    let table: [(&str, &[(&str, &str)]); 9] = [
        ("a=1\r\nb=2", &[("a", "1"), ("b", "2")]),
        ("a=1\r\n\r\nb=2&c=3\r\n", &[("a", "1"), ("b", "2&c=3")]),
        ("a=1&c=3\r\nb=2", &[("a", "1"), ("c", "3\r\nb=2")]),
        ("a=1\r\nno pair", &[("a", "1\r\nno pair")]),
        ("a=1\r\n two=words", &[("a", "1\r\n two=words")]),
        ("a=1\r\n", &[("a", "1")]),
        ("a=1\n\n\r\r", &[("a", "1")]),
        ("\r\n", &[]),
        ("a=1\r\n[S]K%20=%412", &[("a", "1"), ("[S]K ", "A2")]),
    ];
    for (body, expected) in table {
        assert_eq!(texts(&post("/action=X", "text/plain", body)), expected, "{body:?}");
    }
}

#[test]
fn faults_keep_what_is_known() {
    let table: [(&str, &[u8], u16, &str); 5] = [
        ("/action=X&v=%FF&ResponseFormat=json", b"", 502, "The parameter v has"),
        ("/action=X&n%FF=1&ResponseFormat=json", b"", 502, "name of a parameter, 'n\u{FFFD}', is"),
        ("/action=X&ResponseFormat=json", b"v=\xE4", 502, "The parameter v has"),
        ("/v=%C3", b"action=X&responseformat=json", 502, "The parameter v has"),
        ("/", b"action=X\nv=%FF\nresponseformat=json", 502, "The parameter v has"),
    ];
    for (target, body, number, says) in table {
        let rejected = reject(target, body);
        assert_eq!(
            (rejected.action.as_str(), rejected.format, rejected.error.number),
            ("X", ResponseFormat::Json, number),
            "{target}"
        );
        assert!(rejected.error.description.contains(says), "{}", rejected.error);
    }
    let rejected = reject("/action=X&Password=L01geheim%F6x&ActionID=mine&Pin%3D12%F6=1", b"");
    assert_eq!(rejected.action_id.as_deref(), Some("mine"));
    let said = "The parameter Password has the value '(not UTF-8)'.";
    let description = rejected.error.description;
    assert!(description.starts_with(said) && !description.contains("geheim"), "{description}");
    let description = reject("/action=X&Pin%3D12%F6=1", b"").error.description;
    assert!(description.contains("'Pin'") && !description.contains("12"), "{description}");
    let rejected = parse(&raw("/?action=X", Some(MULTIPART), b"rubbish")).unwrap_err();
    assert_eq!((rejected.action.as_str(), rejected.error.number), ("X", 502));
}

#[test]
fn everything_has_its_limit() {
    let limited = |target: &str, body: &[u8]| {
        parse(&RawRequest {
            target,
            content_type: None,
            body,
            max_input_string: 20,
            max_upload: 10,
        })
    };
    assert!(limited("/action=X&b=12345678", b"1234567890").is_ok());
    let rejected = limited("/action=X&b=123456789", b"").unwrap_err();
    assert_eq!((rejected.action.as_str(), rejected.error.number), ("X", 505));
    assert!(
        rejected.error.description.contains("MaxInputString")
            && rejected.error.description.contains("is 21, at most 20")
    );
    let rejected = limited("/action=X", b"a=123456789").unwrap_err();
    assert!(
        rejected.error.description.contains("MaxFileUploadSize")
            && rejected.error.description.contains("is 11, at most 10")
    );
    assert_eq!(limited("/b=1", b"a=123456789").unwrap_err().error.number, 505);

    let pairs = |count: usize| "&a=1".repeat(count).into_bytes();
    assert!(parse(&raw("/action=X", None, &pairs(MAX_PAIRS - 1))).is_ok());
    assert_eq!(reject("/action=X", &pairs(MAX_PAIRS)).error.number, 505);
    assert_eq!(reject("/action=X", "a=1\n".repeat(MAX_PAIRS).as_bytes()).error.number, 505);
    let unlimited = RawRequest {
        max_upload: usize::MAX,
        max_input_string: usize::MAX,
        ..raw("/action=X", None, b"a=1")
    };
    assert!(parse(&unlimited).is_ok());
}

/// Encodes as careful clients do; with `plus` a space becomes `+`.
fn encode(text: &str, plus: bool) -> String {
    let encoded = percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
    if plus { encoded.replace("%20", "+") } else { encoded }
}

fn reserved(name: &str) -> bool {
    ["a", "action", "responseformat"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

proptest! {
    #[test]
    fn any_pairs_come_through_every_form(
        pairs in proptest::collection::vec((any::<String>().prop_filter("not the action", |name| !reserved(name)), any::<String>()), 0..6),
        plus in any::<bool>(),
    ) {
        let form: Vec<_> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name, plus), encode(value, plus))).collect();
        let form = form.join("&");
        let requests = [
            get(&format!("/action=X&{form}")),
            get(&format!("/?action=X&{form}")),
            post("/", FORM, &format!("action=X&{form}")),
            post("/action=X", "text/plain; charset=ISO-8859-1", &form),
        ];
        let expected: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for request in requests {
            prop_assert_eq!(&request.action, "X");
            prop_assert_eq!(texts(&request), expected.clone());
        }
    }

    #[test]
    fn any_values_come_through_parts(
        pairs in proptest::collection::vec(("[b-zB-Z][a-zA-Z0-9 _.=&+%-]{0,12}ü?", proptest::collection::vec(any::<u8>(), 0..200)), 0..5),
    ) {
        let mut body = Vec::new();
        for (name, value) in &pairs {
            body.extend_from_slice(format!("--X-X-X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--X-X-X--\r\n");
        let request = parse(&raw("/action=X", Some(MULTIPART), &body)).unwrap();
        prop_assert_eq!(request.pairs.len(), pairs.len());
        for ((name, value), (sent_name, sent)) in request.pairs.iter().zip(&pairs) {
            prop_assert_eq!(name, sent_name);
            match value {
                PairValue::Text(text) => prop_assert_eq!(text.as_bytes(), sent.as_slice()),
                PairValue::Bytes(bytes) => {
                    prop_assert!(std::str::from_utf8(bytes).is_err());
                    prop_assert_eq!(bytes, sent);
                }
            }
        }
    }

    #[test]
    fn no_request_makes_it_panic(
        target in any::<String>(),
        like in "(https?://)?[a-c/?&=%+#]{0,30}",
        content_type in proptest::option::of("multipart/form-data(; boundary=\"?[-a=\" ]{0,5}\"?)?|\\PC{0,20}"),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        parts in "(--a(--)?|\r\n|Content-Disposition: form-data; |name=\"?a?\\\\?\"?|[a-c=&%\r\n]{1,3}){0,12}",
    ) {
        for target in [&target, &like] {
            for body in [body.as_slice(), parts.as_bytes()] {
                let _ = parse(&raw(target, content_type.as_deref(), body));
                let _ = parse(&raw(target, Some("multipart/form-data; boundary=a"), body));
            }
        }
    }
}
