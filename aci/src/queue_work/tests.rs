//! Tests of how `QueueWork` requests are read.

use proptest::prelude::*;

use super::*;
use crate::catalog::validate;

fn token() -> String {
    Token { host: "h".to_owned(), port: 1, queue: "GPU".to_owned(), queued_ms: 2, id: 3 }.encode()
}

fn read(pairs: &[(&str, &str)]) -> Result<QueueWork, AciError> {
    let mut pairs: Pairs = pairs.iter().copied().collect();
    validate(&QUEUE_WORK, QUEUE_WORK.common(), &pairs, true)?;
    QueueWork::parse_validated(&mut pairs)
}

#[test]
fn a_take_names_its_queues_once_and_has_defaults() {
    let take = |queues: &[&str]| Take {
        queues: queues.iter().map(ToString::to_string).collect(),
        worker: None,
        max: 1,
        wait_secs: 0.0,
    };
    let least = read(&[("WorkAction", "TAKE"), ("QueueName", "GPU")]);
    assert_eq!(least, Ok(QueueWork::Take(take(&["GPU"]))));
    let name = "w".repeat(300);
    let all = [
        ("WorkAction", "take"),
        ("QueueName", " b ,a,, B,a"),
        ("Worker", name.as_str()),
        ("Max", "100"),
        ("Wait", "1.5"),
    ];
    let worker = Some("w".repeat(200));
    let expected = Take { worker, max: 100, wait_secs: 1.5, ..take(&["b", "a"]) };
    assert_eq!(read(&all), Ok(QueueWork::Take(expected)));
}

#[test]
fn each_word_has_its_own_parameters() {
    let token = token();
    let word = |pairs: &[(&str, &str)]| {
        let common = [("Token", token.as_str()), ("Attempt", "2")];
        let pairs: Vec<_> = common.iter().chain(pairs).copied().collect();
        match read(&pairs).unwrap() {
            QueueWork::Report(WorkReport { token, attempt: 2, word }) => {
                assert_eq!((token.queue.as_str(), token.id), ("GPU", 3));
                word
            }
            other => panic!("{other:?}"),
        }
    };
    let text = |text: &str| Some(PairValue::Text(text.to_owned()));
    assert_eq!(word(&[("WorkAction", "heartbeat")]), Word::Heartbeat(Heartbeat::default()));
    let all = Heartbeat {
        worker: Some("w".to_owned()),
        progress: Some(12.5),
        stage: Some("Encoding".to_owned()),
        partial: text(" <a/> "),
        log: Some("a\nb".to_owned()),
        wait_secs: 3.0,
    };
    let given = [
        ("WorkAction", "Heartbeat"),
        ("Worker", "w"),
        ("Progress", "12.5"),
        ("Stage", "Encoding"),
        ("Partial", " <a/> "),
        ("Log", "a\nb"),
        ("Wait", "3"),
    ];
    assert_eq!(word(&given), Word::Heartbeat(all));
    assert_eq!(word(&[("WorkAction", "finish")]), Word::Finish { result: None });
    let result = text("{}");
    assert_eq!(word(&[("WorkAction", "finish"), ("Result", "{}")]), Word::Finish { result });
    let failed = |error: &str, retry| Word::Fail { error: error.to_owned(), retry };
    assert_eq!(word(&[("WorkAction", "fail")]), failed("", true));
    let given = [("WorkAction", "fail"), ("Error", " no disk "), ("Retry", "false")];
    assert_eq!(word(&given), failed("no disk", false));
    assert_eq!(word(&[("WorkAction", "release")]), Word::Release);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let token = token();
    let many = (0..=MAX_QUEUES).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let heartbeat = [("WorkAction", "heartbeat"), ("Token", &token), ("Attempt", "1")];
    let with = |more: (&'static str, &'static str)| {
        heartbeat.iter().copied().chain([more]).collect::<Vec<_>>()
    };
    type Given<'a> = Vec<(&'a str, &'a str)>;
    let table: [(Given<'_>, u16, &str); 13] = [
        (vec![], 501, "WorkAction"),
        (vec![("WorkAction", "steal")], 502, "take, heartbeat, finish, fail, release"),
        (vec![("WorkAction", "take")], 501, "QueueName"),
        (vec![("WorkAction", "take"), ("QueueName", ",")], 502, "QueueName"),
        (vec![("WorkAction", "take"), ("QueueName", &many)], 502, "from one to 100 names"),
        (vec![("WorkAction", "take"), ("QueueName", "a"), ("Max", "0")], 502, "Max"),
        (vec![("WorkAction", "take"), ("QueueName", "a"), ("Max", "101")], 502, "Max"),
        (vec![("WorkAction", "take"), ("QueueName", "a"), ("Wait", "3601")], 502, "Wait"),
        (vec![("WorkAction", "finish")], 501, "Token"),
        (vec![("WorkAction", "finish"), ("Token", "?")], 502, "Token"),
        (vec![("WorkAction", "release"), ("Token", &token)], 501, "Attempt"),
        (with(("Attempt", "0")), 502, "Attempt"),
        (with(("Progress", "101")), 502, "Progress"),
    ];
    for (pairs, number, named) in table {
        let error = read(&pairs).unwrap_err();
        assert_eq!(error.number, number, "{pairs:?}: {error}");
        assert!(error.description.contains(named), "{pairs:?}: {error}");
    }
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(word in "(take|heartbeat|finish|fail)?", name in "[A-Za-z]{1,9}", text in any::<String>()) {
        for param in QUEUE_WORK.params {
            let _ = read(&[("WorkAction", &word), (&param.name, &text), (&name, &text)]);
        }
    }
}
