//! What a program wrote becomes the result: elements where it is XML or a JSON object, else text.

use super::super::calls::Answer;
use super::super::server::Server;
use super::super::shop::{Shop, all_text, whole};

fn shop() -> Shop {
    Shop::with(&[("Say", "cat %HOME%/said", ""), ("Run", "/bin/sh %HOME%/run.sh", "")])
}

/// Runs a program that writes these bytes.
fn says(shop: &Shop, server: &Server, bytes: &[u8]) -> Answer {
    std::fs::write(shop.path("said"), bytes).unwrap();
    let answer = shop.run_to(server, "Say", &[], "Finished");
    assert!(answer.value("output_truncated").is_none(), "{}", answer.0);
    answer
}

/// The element at this path of names below the action, as all its attributes and text.
fn at(answer: &Answer, path: &str) -> Option<String> {
    answer.with(|document| {
        let action = document.descendants().find(|node| {
            node.has_tag_name("action") && node.children().any(|c| c.has_tag_name("status"))
        });
        let mut node = action.expect("an action");
        for name in path.split('/') {
            node = node.children().find(|child| child.tag_name().name() == name)?;
        }
        Some(whole(node))
    })
}

#[test]
fn xml_becomes_elements_of_the_result() {
    let shop = shop();
    let server = shop.start();
    let answer = says(&shop, &server, b"<frames>12</frames>\n");
    assert_eq!(at(&answer, "frames").as_deref(), Some("12"));
    assert_eq!(at(&answer, "output"), None, "{}", answer.0);

    let text = "\n<video codec=\"h264 &amp; more\"><size w='640'/><title>é 漢字</title></video>\n <audio><![CDATA[<a> & b]]></audio><!-- no -->\n";
    let answer = says(&shop, &server, text.as_bytes());
    assert_eq!(at(&answer, "video/size").as_deref(), Some("w=640"));
    assert!(at(&answer, "video").unwrap().contains("codec=h264 & more"), "{}", answer.0);
    assert!(at(&answer, "video").unwrap().contains("é 漢字"), "{}", answer.0);
    assert_eq!(at(&answer, "audio").as_deref(), Some("<a> & b"));
    assert_eq!(at(&answer, "output"), None, "{}", answer.0);

    // In JSON it is shown as other elements are.
    let token = answer.must("token");
    let json = server.about("Say", "getStatus", &format!("{token}&ResponseFormat=simplejson")).0;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(json.to_string().contains("h264 & more"), "{json}");
}

#[test]
fn a_json_object_becomes_elements_of_the_result() {
    let shop = shop();
    let server = shop.start();
    let text = r#" {"width": 640, "name": "a <b> & é", "list": [1, "two"], "nested": {"deep": {"er": true}}, "none": null, "big": 12345678901234567890, "empty": {}, "no": []} "#;
    let answer = says(&shop, &server, text.as_bytes());
    assert_eq!(at(&answer, "width").as_deref(), Some("640"));
    assert_eq!(at(&answer, "name").as_deref(), Some("a <b> & é"));
    assert_eq!(at(&answer, "nested/deep/er").as_deref(), Some("true"));
    let list = all_text(&answer, "list");
    assert!(list.contains('1') && list.contains("two"), "{}", answer.0);
    assert_eq!(at(&answer, "big").as_deref(), Some("12345678901234567890"));
    assert_eq!(at(&answer, "output"), None, "{}", answer.0);
    // Names that no element can have: nothing is lost, and the reply is well-formed (`Answer` reads it).
    let text = r#"{"": "v1", "a b": "v2", "1st": "v3", "<x>": "v4", "xml:y": "v5", "é": "v6", "a\u0000": "v7"}"#;
    let answer = says(&shop, &server, text.as_bytes());
    for value in ["v1", "v2", "v3", "v4", "v5", "v6", "v7"] {
        assert!(answer.0.contains(value), "{value} in {}", answer.0);
    }
}

#[test]
fn anything_else_is_output() {
    let shop = shop();
    let server = shop.start();
    for text in [
        "plain",
        "two\nlines",
        "a < b && c > d",
        "<open><not-closed></open>",
        // An element of the result holds elements or text, not both.
        "<a><b/>and text</a>",
        "<a>1</a> and text",
        "text and <a>1</a>",
        "<a>",
        "</a>",
        "<a b=1/>",
        "<a b='1' b='2'/>",
        "<a>&unknown;</a>",
        "<a/><b>&#0;</b>",
        "<1a/>",
        "[1, 2]",
        "42",
        "\"text\"",
        "null",
        "{\"a\": 1} {\"b\": 2}",
        "{\"a\": 1,}",
        "{'a': 1}",
        "é 漢字 🎬",
    ] {
        let answer = says(&shop, &server, format!("{text}\n").as_bytes());
        assert_eq!(
            at(&answer, "output").map(|t| t.trim().to_owned()).as_deref(),
            Some(text),
            "{}",
            answer.0
        );
    }
}

#[test]
fn no_output_is_no_error() {
    let shop = shop();
    let server = shop.start();
    for text in ["", "\n", " \n "] {
        let answer = says(&shop, &server, text.as_bytes());
        assert_eq!(at(&answer, "output").unwrap_or_default().trim(), "", "{}", answer.0);
        assert_eq!(answer.value("error"), None);
    }
}

/// What is no text is shown some way that can be read (`Answer` reads it), with all of it that is text or marked.
#[test]
fn bytes_that_are_no_text_do_no_harm() {
    let shop = shop();
    let server = shop.start();
    for bytes in [
        &b"before \xff\xfe after"[..],
        b"before \x00\x01\x1b[31m after",
        b"before \xed\xa0\x80 after",
    ] {
        let answer = says(&shop, &server, bytes);
        let output = at(&answer, "output").expect("output");
        let is_shown = output.contains("before") && output.contains("after");
        assert!(is_shown || output.contains("encoding=base64"), "{}", answer.0);
    }
    // In an element of XML too, where they make it no XML.
    let answer = says(&shop, &server, b"<a>\xff</a>");
    assert!(at(&answer, "output").is_some() || at(&answer, "a").is_some(), "{}", answer.0);
    let answer = says(&shop, &server, b"{\"a\": \"\\u0001 \\ud800\"}");
    assert!(at(&answer, "output").is_some() || at(&answer, "a").is_some(), "{}", answer.0);
}

#[test]
fn a_result_can_not_pass_for_the_reply_itself() {
    let shop = shop();
    let server = shop.start();
    let forged = "<status>Error</status><token>forged</token><error>none</error><queued_time>x</queued_time>";
    let json = r#"{"status": "Error", "token": "forged", "error": "none"}"#;
    for text in
        [forged, json, "</action></actions><status>Error</status>", "]]><status>Error</status>"]
    {
        let answer = says(&shop, &server, text.as_bytes());
        // Clients take the first.
        assert_eq!(answer.must("status"), "Finished");
        let status = server.about(
            "Say",
            "getStatus",
            &answer.values("token").into_iter().find(|t| t != "forged").unwrap(),
        );
        assert_eq!(status.success().must("status"), "Finished");
    }
}

#[test]
fn markup_made_to_harm_is_harmless() {
    let shop = shop();
    let server = shop.start();
    let bomb = format!(
        "<!DOCTYPE a [<!ENTITY x0 \"aaaaaaaaaa\">{}]><a>&x9;</a>",
        (1..10)
            .map(|n| format!("<!ENTITY x{n} \"{}\">", format!("&x{};", n - 1).repeat(10)))
            .collect::<String>()
    );
    let answer = says(&shop, &server, bomb.as_bytes());
    assert!(answer.0.len() < 10_000, "it was expanded: {}", answer.0.len());
    let file = format!(
        "<!DOCTYPE a [<!ENTITY f SYSTEM \"file://{}\">]><a>&f;</a>",
        shop.path("mark").display()
    );
    std::fs::write(shop.path("mark"), "s3cret").unwrap();
    assert!(!says(&shop, &server, file.as_bytes()).0.contains("s3cret"));
    // Deeper than any stack: 80,000 levels of each, below the bound of the output.
    for (open, close) in [("<a>", "</a>"), ("{\"a\":", "}")] {
        let deep = format!(
            "{}{}{}",
            open.repeat(80_000),
            if open == "<a>" { "" } else { "1" },
            close.repeat(80_000)
        );
        std::fs::write(shop.path("said"), deep).unwrap();
        let token = server.submit_to("Say", "");
        // However it is shown: the server lives, and answers something that ends.
        let reply = server.get(&format!(
            "/action=QueueInfo&QueueName=Say&QueueAction=getStatus&Token={token}&Wait=20"
        ));
        assert!(
            reply.contains("<status>Finished</status>"),
            "{}",
            &reply[..reply.len().min(1_000)]
        );
        let json = server.get(&format!("/action=QueueInfo&QueueName=Say&QueueAction=getStatus&Token={token}&ResponseFormat=json"));
        assert!(json.contains("Finished"), "{}", &json[..json.len().min(1_000)]);
    }
    assert!(server.ask("GetPid").is_success());
}

#[test]
fn a_file_wins_over_the_output() {
    let shop = shop();
    let server = shop.start();
    let run = |script: &str| {
        std::fs::write(shop.path("run.sh"), format!("{script}\n")).unwrap();
        shop.run_to(&server, "Run", &[], "Finished")
    };
    let answer = run("echo '<of>xml</of><n>1</n>' > result.xml; echo '<out/>'");
    assert_eq!(
        (at(&answer, "of").as_deref(), at(&answer, "n").as_deref()),
        (Some("xml"), Some("1")),
        "{}",
        answer.0
    );
    assert_eq!((at(&answer, "out"), at(&answer, "output")), (None, None), "{}", answer.0);
    let answer = run("echo '{\"of\": \"json\"}' > result.json; echo text");
    assert_eq!(
        (at(&answer, "of").as_deref(), at(&answer, "output")),
        (Some("json"), None),
        "{}",
        answer.0
    );
    // Written with no output at all, and with the output closed.
    let answer = run("exec >&-; echo '{\"of\": \"json\"}' > result.json");
    assert_eq!(at(&answer, "of").as_deref(), Some("json"), "{}", answer.0);
    // Which of two wins is open; one of them does, and the output does not.
    let answer =
        run("echo '<of>x</of>' > result.xml; echo '{\"of\": \"j\"}' > result.json; echo '<out/>'");
    assert!(["x", "j"].contains(&at(&answer, "of").expect("of").as_str()), "{}", answer.0);
    assert_eq!(at(&answer, "out"), None, "{}", answer.0);
    // One that is left for the next action is none of its own.
    let answer = run("echo mine");
    assert_eq!(
        at(&answer, "output").map(|t| t.trim().to_owned()).as_deref(),
        Some("mine"),
        "{}",
        answer.0
    );
    // Files of other names, or elsewhere, are not looked at.
    let answer = run("echo '<of/>' > result.txt; mkdir x; echo '<of/>' > x/result.xml; echo mine");
    assert_eq!(
        at(&answer, "output").map(|t| t.trim().to_owned()).as_deref(),
        Some("mine"),
        "{}",
        answer.0
    );
}

/// A program that failed may have said why in its output.
#[test]
fn a_failure_keeps_its_result() {
    let shop = shop();
    let server = shop.start();
    std::fs::write(shop.path("run.sh"), "echo '<done>3</done>'; echo why >&2; exit 4\n").unwrap();
    let answer = shop.run_to(&server, "Run", &[], "Error");
    assert!(answer.must("error").contains("exit code 4"), "{}", answer.0);
    assert_eq!(answer.must("exit_code"), "4");
}
