//! Tests of how `QueueInfo` requests are read.

use chrono::{FixedOffset, Utc};
use proptest::prelude::*;

use super::*;
use crate::request::{RawRequest, parse};

/// 2014-07-17 22:30:00 UTC.
const NOW_MS: i64 = 1_405_636_200_000;

fn token() -> Token {
    Token {
        host: "10.2.105.34".to_owned(),
        port: 1234,
        queue: "FETCH".to_owned(),
        queued_ms: NOW_MS,
        id: 7,
    }
}

fn read(pairs: &[(&str, &str)]) -> Result<QueueInfo, AciError> {
    QueueInfo::parse(&pairs.iter().copied().collect(), NOW_MS, &Utc)
}

fn read_url(target: &str) -> Result<QueueInfo, AciError> {
    let raw = RawRequest {
        target,
        content_type: None,
        body: &[],
        max_input_string: 64_000,
        max_upload: 0,
    };
    let request = parse(&raw).unwrap();
    assert!(request.action.eq_ignore_ascii_case("QueueInfo"));
    QueueInfo::parse(&request.pairs, NOW_MS, &Utc)
}

fn status(pairs: &[(&str, &str)]) -> StatusQuery {
    let pairs: Vec<_> = [("QueueAction", "getStatus"), ("QueueName", "Fetch")]
        .iter()
        .chain(pairs)
        .copied()
        .collect();
    match read(&pairs).unwrap().command {
        QueueCommand::GetStatus(query) => *query,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_says_what_it_waits_for() {
    for (word, what) in [
        (None, WaitFor::End),
        (Some(""), WaitFor::End),
        (Some("end"), WaitFor::End),
        (Some("Start"), WaitFor::Start),
        (Some(" CHANGE "), WaitFor::Change),
    ] {
        let pairs: Vec<_> = word.map(|word| ("WaitFor", word)).into_iter().collect();
        assert_eq!(status(&pairs).wait_for, what, "{word:?}");
    }
    let pairs = [("QueueAction", "getStatus"), ("QueueName", "Fetch"), ("WaitFor", "begin")];
    let told = read(&pairs).unwrap_err().description;
    assert!(told.contains("WaitFor") && told.contains("start, change, end"), "{told}");
}

#[test]
fn the_documented_examples_mean_what_they_say() {
    let encoded = token().encode();
    let ten_newest_finished = StatusQuery {
        states: Some(vec![StateFilter::Finished]),
        sort_by: SortBy::FinishTime,
        max_results: Some(10),
        ..StatusQuery::default()
    };
    let table = [
        (
            "/action=QueueInfo&QueueName=ingest&QueueAction=GetStatus",
            "ingest",
            false,
            QueueCommand::GetStatus(Box::default()),
        ),
        (
            "/action=QueueInfo&QueueName=ingest&QueueAction=getstatus&Token=TOKEN",
            "ingest",
            true,
            QueueCommand::GetStatus(Box::default()),
        ),
        (
            "/action=QueueInfo&QueueName=ingest&QueueAction=Cancel&Token=TOKEN",
            "ingest",
            true,
            QueueCommand::Cancel,
        ),
        (
            "/action=QueueInfo&QueueName=ingest&QueueAction=Stop&Token=TOKEN",
            "ingest",
            true,
            QueueCommand::Stop,
        ),
        (
            "http://localhost:1234/action=QueueInfo&QueueAction=GetStatus&QueueName=Fetch",
            "Fetch",
            false,
            QueueCommand::GetStatus(Box::default()),
        ),
        (
            "http://localhost:1234/action=QueueInfo&QueueAction=GetStatus&QueueName=Fetch&State=finished&Sort-By=finish-time\
             &Sort-Order=descending&MaxResults=10&Start=1",
            "Fetch",
            false,
            QueueCommand::GetStatus(Box::new(ten_newest_finished)),
        ),
        (
            "http://localhost:1234/action=QueueInfo&QueueAction=changePriority&QueueName=Fetch&Token=TOKEN&priority=100",
            "Fetch",
            true,
            QueueCommand::ChangePriority { priority: 100 },
        ),
        (
            "http://localhost:1234/action=QueueInfo&QueueAction=getActionParameters&QueueName=Fetch&Token=TOKEN",
            "Fetch",
            true,
            QueueCommand::GetActionParameters { of_ended: false },
        ),
        (
            "/action=queueinfo&queuename=fetch&queueaction=getActionParameters&token=TOKEN",
            "fetch",
            true,
            QueueCommand::GetActionParameters { of_ended: false },
        ),
    ];
    for (target, queue, has_token, command) in table {
        let read = read_url(&target.replace("TOKEN", &encoded)).unwrap();
        let expected = QueueInfo {
            queue: Some(queue.to_owned()),
            token: has_token.then(token),
            many: None,
            command,
            warning: None,
        };
        assert_eq!(read, expected, "{target}");
    }
}

#[test]
fn the_documented_token_is_another_server_s() {
    let target = "/action=QueueInfo&QueueAction=GetStatus&QueueName=Fetch&Token=MTAuMi4xMDUuMzQ6MTIzNDpGRVRDSDoxNDAyOTU3MzY4";
    let error = read_url(target).unwrap_err();
    assert_eq!(error.code, "ERRORPARAMINVALID");
    assert!(error.description.contains("Token") && error.description.contains("MTAuMi4xMDUuMzQ6"));
}

#[test]
fn every_command_is_read_in_any_case() {
    let encoded = token().encode();
    for word in QUEUE_ACTIONS {
        for word in [word.to_uppercase(), word.to_lowercase()] {
            let pairs = [
                ("queueaction", word.as_str()),
                ("QUEUENAME", "Fetch"),
                ("token", &encoded),
                ("PRIORITY", "-3"),
            ];
            let command = read(&pairs).unwrap().command;
            let name = format!("{command:?}").split([' ', '(']).next().unwrap().to_lowercase();
            assert_eq!(name, word.to_lowercase());
        }
    }
}

/// Nothing is deleted that was not clearly meant.
#[test]
fn what_is_deleted_is_named_or_selected() {
    let encoded = token().encode();
    let delete = |pairs: &[(&str, &str)]| {
        let about = [("QueueAction", "Delete"), ("QueueName", "Fetch")];
        read(&about.iter().chain(pairs).copied().collect::<Vec<_>>())
    };
    let named = delete(&[("Token", &encoded), ("MaxResults", "3")]).unwrap();
    assert_eq!(named.token, Some(token()));
    assert_eq!((named.command, named.many), (QueueCommand::Delete, None));
    let selects: [&[(&str, &str)]; 9] = [
        &[("State", "finished")],
        &[("State", "Error, STOPPED,cancelled"), ("ActionID", "a")],
        &[("Min-Priority", "7"), ("Start", "2"), ("Sort-By", "finish-time")],
        &[("Max-Priority", "7"), ("MaxResults", "100")],
        &[("Finished-Before", "2014-Jul-17 15:00:00"), ("Sort-Order", "ascending")],
        &[("Queued-After", "-60"), ("Started-Before", "-7"), ("Finished-After", "-9")],
        &[("Text", "disk")],
        &[("parameter.Title", "A b ")],
        &[("ActionID", "night 7")],
    ];
    for pairs in selects {
        let asked = delete(pairs).unwrap();
        let many = asked.many.unwrap();
        let ManyActions::Listed(query) = many.actions else { panic!("{pairs:?}") };
        assert_eq!(*query, status(pairs), "as getStatus reads it");
        assert_eq!(many.wait_secs, Some(20.0), "clients have no more patience");
    }
    let refused: [(&[(&str, &str)], &str); 11] = [
        (&[("State", " , ,")], "for delete, at least one word"),
        (&[], "The parameter Token is required"),
        (&[("State", "finished"), ("Finished-Befor", "-60")], "Finished-Befor"),
        (&[("State", "finished"), ("Bogus", "1")], "Bogus"),
        (&[("State", "finished"), ("Token", "")], "Token"),
        (&[("State", "finished"), ("MaxResults", " ")], "MaxResults"),
        (&[("Token", &encoded), ("Finished-Before", "")], "a value for each parameter"),
        (&[("Token", &encoded), ("State", "error")], "none with Token"),
        (&[("Token", &encoded), ("Queued-Before", "-60")], "none with Token"),
        (&[("State", "finished,running")], "a list of finished, error, cancelled, stopped"),
        (&[("State", "queued")], "a list of finished, error, cancelled, stopped"),
    ];
    for (pairs, expected) in refused {
        let error = delete(pairs).unwrap_err();
        assert!(error.description.contains(expected), "{pairs:?}: {}", error.description);
    }
}

/// A command to many names them, or says that all are meant that filters select.
#[test]
fn a_command_to_many_says_which() {
    let (one, other) = (token(), Token { id: 8, queue: "OTHER".to_owned(), ..token() });
    let both = format!(" {},, {}", one.encode(), other.encode());
    let after_both = format!("{both},x,y");
    for word in ["cancel", "Stop", "changepriority", "retry", "delete"] {
        let ask = |pairs: &[(&str, &str)]| {
            let mut about = vec![("QueueAction", word)];
            if word == "changepriority" {
                about.push(("Priority", "3"));
            }
            read(&about.iter().chain(pairs).copied().collect::<Vec<_>>())
        };
        let named = ask(&[("tokens", &both)]).unwrap();
        let many = named.many.as_ref().unwrap();
        assert_eq!(many.tokens(), Some(&[one.clone(), other.clone()][..]));
        assert_eq!((named.queue_name(), many.wait_secs), ("", None));
        let named = ask(&[("Tokens", &both), ("QueueName", "Fetch"), ("Wait", "1.5")]).unwrap();
        assert_eq!(named.many.unwrap().wait_secs, Some(1.5));

        let whole = [("QueueName", "Fetch"), ("All", "yes")];
        let filters = [("Min-Priority", "2"), ("Parameter.a", "b"), ("MaxResults", "5")];
        for pairs in [&whole[..], &[&whole[..], &filters].concat()] {
            let many = ask(pairs).unwrap().many.unwrap();
            let filters: Vec<_> =
                pairs.iter().copied().filter(|(name, _)| !name.starts_with("Queue")).collect();
            let ManyActions::Listed(query) = many.actions else { panic!("{pairs:?}") };
            assert_eq!((*query, many.wait_secs), (status(&filters), None));
        }

        let encoded = one.encode();
        let fetch = ("QueueName", "Fetch");
        let mut refused: Vec<(Vec<(&str, &str)>, &str)> = vec![
            (vec![("Tokens", "")], "The parameter Tokens has the value ''"),
            (vec![("Tokens", " , ")], "The parameter Tokens has"),
            (vec![("Tokens", "x")], "The parameter Tokens has the value 'x'"),
            (vec![("Tokens", &after_both)], "the value 'x'. Allowed: one or more"),
            (vec![("Tokens", &after_both)], "; this is number 3 of 4."),
            (vec![("Tokens", &both), ("MaxResults", "1")], "of many actions"),
            (vec![("Tokens", &both), ("Stat", "queued")], "Is State meant?"),
            (vec![("Tokens", &both), ("Token", &encoded)], "The parameter Tokens has"),
            (vec![("Tokens", &both), ("State", "queued")], "none with Tokens"),
            (vec![("Tokens", &both), ("parameter.x", "1")], "none with Tokens"),
            (vec![("Tokens", &both), ("All", "true")], "none with Tokens"),
            (vec![("Token", &encoded), ("All", "true")], "none with Token"),
            (vec![fetch, ("All", "true"), ("Stat", "queued")], "Is State meant?"),
            (vec![fetch, ("All", "true"), ("Log", "true")], "none with"),
            (vec![fetch, ("All", "true"), ("WaitFor", "end")], "The parameter WaitFor has"),
            (vec![fetch, ("All", "true"), ("Parameter.", "x")], "no parameter 'Parameter.'"),
            (vec![fetch, ("All", "true"), ("Queued-Before", "")], "a value for each parameter"),
            (vec![fetch, ("All", "true"), ("State", ",")], "at least one word"),
            (vec![("All", "true")], "The parameter QueueName is required"),
        ];
        if word != "changepriority" {
            refused.push((vec![("Tokens", &both), ("Priority", "5")], "Is Min-Priority meant?"));
            let filters = vec![fetch, ("All", "true"), ("Priority", "5"), ("State", "finished")];
            refused.push((filters, "Is Min-Priority meant?"));
        }
        if word != "delete" {
            for filter in [("State", "queued"), ("Text", "x"), ("PARAMETER.a", "b")] {
                refused.push((vec![fetch, filter], "The parameter All is required"));
                refused.push((vec![fetch, filter, ("All", "false")], "The parameter All is"));
            }
        }
        for (pairs, expected) in refused {
            let error = ask(&pairs).unwrap_err();
            let description = error.description;
            assert!(description.contains(expected), "{word} {pairs:?}: {description}");
        }
        // The name of the request is no filter by itself.
        let one_action = ask(&[("Token", &encoded), ("ActionID", "night 7")]).unwrap();
        assert_eq!((one_action.token, one_action.many), (Some(one.clone()), None));
    }
    for word in ["getStatus", "pause", "resume", "progress", "duplicate", "queueStatus"] {
        let ask = [("QueueAction", word), ("QueueName", "Fetch"), ("Tokens", &both)];
        let error = read(&ask).unwrap_err().description;
        assert!(error.contains("The parameter Tokens has"), "{word}: {error}");
    }
}

/// A command to a whole queue has nothing beside it that may have been meant to leave actions out.
#[test]
fn a_whole_queue_is_steered_only_if_that_was_meant() {
    for word in ["stop", "Pause", "RESUME"] {
        let ask = |pairs: &[(&str, &str)]| {
            let about = [("QueueAction", word), ("QueueName", "Fetch")];
            read(&about.iter().chain(pairs).copied().collect::<Vec<_>>())
        };
        for pairs in [&[][..], &[("ResponseFormat", "json"), ("Synchronous", "true")]] {
            let whole = ask(pairs).unwrap();
            assert_eq!((whole.token, whole.many), (None, None), "{word} {pairs:?}");
        }
        let encoded = token().encode();
        let one = ask(&[("Token", &encoded), ("ActionID", "j1"), ("Tokns", "x")]).unwrap();
        assert_eq!(one.token, Some(token()), "it says which");
        for (name, value) in [
            ("ActionID", "j1"),
            ("ActionID", ""),
            ("Token", ""),
            ("Token", " "),
            ("Tokens", ""),
            ("Tokns", "X"),
            ("Text", "disk"),
            ("Text", ""),
            ("State", "queued"),
            ("State", ""),
            ("Param.Name", "a"),
            ("Parameter.Name", "a"),
            ("Parameter.", "a"),
            ("All", ""),
            ("All", "false"),
            ("Start", "2"),
            ("MaxResults", "1"),
            ("Sort-By", "start-time"),
            ("Queued-Before", "-60"),
            ("Min-Priority", "5"),
            ("Priority", "5"),
            ("Wait", "5"),
        ] {
            let error = ask(&[(name, value)]).unwrap_err().description;
            assert!(error.contains(name), "{word} {name}={value}: {error}");
        }
        if word != "stop" {
            let error = ask(&[("All", "true"), ("State", "queued")]).unwrap_err().description;
            assert!(error.contains("The parameter All has the value 'true'"), "{error}");
        }
    }
    let misspelt = [("QueueAction", "stop"), ("QueueName", "Fetch"), ("Tokns", "X")];
    let error = read(&misspelt).unwrap_err().description;
    assert!(error.contains("Is Tokens meant?") || error.contains("Is Token meant?"), "{error}");
    let empty = [("QueueAction", "stop"), ("QueueName", "Fetch"), ("Token", "")];
    let error = read(&empty).unwrap_err().description;
    assert!(error.contains("none with stop of a whole queue"), "{error}");
}

/// A caller must be allowed to read what its filter compares.
#[test]
fn filters_of_commands_to_many_reveal_what_they_compare() {
    let (status, both) = (&["getStatus"][..], &["getStatus", "getActionParameters"][..]);
    for (pairs, expected) in [
        (&[("State", "error"), ("Min-Priority", "5")][..], &[][..]),
        (&[("Text", "disk")], status),
        (&[("actionid", "a")], status),
        (&[("Text", "")], &[]),
        (&[("PARAMETER.Name", "a")], both),
        (&[("Text", "a"), ("Parameter.Name", "")], both),
        (&[("ActionID", "a"), ("Tokens", "x")], &[]),
        (&[("ActionID", "a"), ("Token", "x")], &[]),
        (&[("Text", "a"), ("Tokens", "")], status),
    ] {
        for word in ["cancel", "STOP", "changePriority", "retry", "delete"] {
            let about = [("QueueAction", word), ("All", "true")];
            let pairs: Pairs = about.iter().chain(pairs).copied().collect();
            assert_eq!(reveals(&pairs), expected, "{word} {pairs:?}");
        }
        let of_status: Pairs =
            [("QueueAction", "getStatus")].iter().chain(pairs).copied().collect();
        assert_eq!(reveals(&of_status), &[] as &[&str], "it is judged by itself");
    }
}

#[test]
fn a_list_says_which_of_its_parameters_select_nothing() {
    let warning = |pairs: &[(&str, &str)]| {
        let about = [("QueueAction", "getStatus"), ("QueueName", "Fetch")];
        let pairs: Vec<_> = about.iter().chain(pairs).copied().collect();
        read(&pairs).unwrap().warning
    };
    let known = [
        ("state", ""),
        ("Parameter.Stat", "x"),
        ("ActionID", "a"),
        ("Text", "t"),
        ("ResponseFormat", "xml"),
        ("Log", "true"),
        ("All", "true"),
        ("Synchronous", "true"),
    ];
    assert_eq!(warning(&known), None);
    let told = warning(&[("Stat", "queued")]).unwrap();
    assert_eq!(
        told,
        "This parameter is not known to getStatus and had no effect: 'Stat' (is State meant?)."
    );
    let many: Vec<_> = ["Priority", "a", "b", "c", "d", "e", "f"].map(|name| (name, "1")).into();
    let told = warning(&many).unwrap();
    assert!(told.starts_with("These parameters are not known"), "{told}");
    assert!(told.contains("'Priority', 'a', ") && told.ends_with(", 2 more."), "{told}");
    let encoded = token().encode();
    let one = [("QueueAction", "getStatus"), ("Token", encoded.as_str()), ("Stat", "queued")];
    assert_eq!(read(&one).unwrap().warning, None, "the token says which");
}

#[test]
fn what_an_action_was_given_is_read_as_it_was_sent() {
    let query = status(&[
        ("parameter.Title", " A b"),
        ("PARAMETER.Title.en", "="),
        ("Parameter.Empty", ""),
        ("actionid", " night 7 "),
        ("TEXT", " no space "),
    ]);
    let given = [("Title", " A b"), ("Title.en", "=")];
    assert_eq!(query.parameters, given.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(query.action_id.as_deref(), Some("night 7"));
    assert_eq!(query.text.as_deref(), Some("no space"));
    let about = [("QueueAction", "getStatus"), ("QueueName", "Fetch")];
    let names: Vec<String> = (0..=MAX_PARAMETERS).map(|n| format!("Parameter.p{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).chain(about).collect();
    let error = read(&many).unwrap_err().description;
    assert!(error.contains("Parameter.p16") && error.contains("at most 16"), "{error}");
    let mut pairs = Pairs::from(about);
    pairs.push("Parameter.File", PairValue::Bytes(vec![0xff]));
    let error = QueueInfo::parse(&pairs, NOW_MS, &Utc).unwrap_err().description;
    assert!(error.contains("Parameter.File") && error.contains("(bytes)"), "{error}");
}

#[test]
fn what_a_command_needs_must_be_there() {
    let encoded = token().encode();
    let table: [(&[(&str, &str)], &str); 14] = [
        (&[], "The parameter QueueAction is required"),
        (&[("QueueAction", " "), ("QueueName", "Fetch")], "The parameter QueueAction is required"),
        (
            &[("QueueAction", "wobble"), ("QueueName", "Fetch")],
            "The parameter QueueAction has the value 'wobble'.",
        ),
        (&[("QueueAction", "getStatus")], "The parameter QueueName is required"),
        (
            &[("QueueAction", "getStatus"), ("QueueName", " "), ("Token", "")],
            "The parameter QueueName is required",
        ),
        (&[("QueueAction", "cancel"), ("QueueName", "Fetch")], "The parameter Token is required"),
        (
            &[("QueueAction", "progress"), ("QueueName", "Fetch"), ("Token", "")],
            "The parameter Token is required",
        ),
        (
            &[("QueueAction", "duplicate"), ("QueueName", "Fetch")],
            "The parameter Token is required",
        ),
        (&[("QueueAction", "retry"), ("QueueName", "Fetch")], "The parameter Token is required"),
        (
            &[("QueueAction", "delete"), ("QueueName", "Fetch"), ("MaxResults", "9")],
            "The parameter Token is required",
        ),
        (
            &[("QueueAction", "changePriority"), ("QueueName", "Fetch"), ("Priority", "1")],
            "The parameter Token is required",
        ),
        (
            &[("QueueAction", "changePriority"), ("QueueName", "Fetch"), ("Token", &encoded)],
            "The parameter Priority is required",
        ),
        (
            &[
                ("QueueAction", "changePriority"),
                ("QueueName", "Fetch"),
                ("Token", &encoded),
                ("Priority", "2147483648"),
            ],
            "The parameter Priority has the value '2147483648'.",
        ),
        (
            &[("QueueAction", "getStatus"), ("QueueName", "Fetch"), ("Token", "???")],
            "The parameter Token has the value '???'.",
        ),
    ];
    for (pairs, expected) in table {
        let error = read(pairs).unwrap_err();
        assert!(error.description.starts_with(expected), "{pairs:?}: {error}");
    }
}

#[test]
fn a_token_can_name_the_queue() {
    let encoded = token().encode();
    let read = read(&[("QueueAction", "getStatus"), ("Token", &encoded)]).unwrap();
    assert_eq!((read.queue.as_deref(), read.queue_name()), (None, "FETCH"));
}

#[test]
fn commands_for_the_whole_queue_need_no_token() {
    for word in ["getStatus", "getActionParameters", "queueStatus", "stop", "pause", "resume"] {
        let about = [("QueueAction", word), ("QueueName", "Fetch"), ("Token", "")];
        // An empty one may have been meant to name an action.
        let shows = !["stop", "pause", "resume"].contains(&word);
        let read = read(&about[..if shows { 3 } else { 2 }]).unwrap();
        assert_eq!((read.token.as_ref(), read.queue_name()), (None, "Fetch"), "{word}");
    }
}

#[test]
fn filters_are_read() {
    let query = status(&[
        ("state", "error, Queued,PROCESSING,queued"),
        ("min-priority", "-5"),
        ("Max-Priority", "7"),
        ("Sort-By", "START-TIME"),
        ("Sort-Order", "Ascending"),
        ("Start", "3"),
        ("MaxResults", "0"),
        ("Wait", "1.5"),
        ("History", "Yes"),
    ]);
    let expected = StatusQuery {
        states: Some(vec![StateFilter::Queued, StateFilter::Processing, StateFilter::Error]),
        min_priority: Some(-5),
        max_priority: Some(7),
        sort_by: SortBy::StartTime,
        descending: false,
        start: 3,
        max_results: Some(0),
        wait_secs: Some(1.5),
        history: true,
        ..StatusQuery::default()
    };
    assert_eq!(query, expected);
    let empty = [
        "State",
        "Sort-By",
        "Sort-Order",
        "Start",
        "MaxResults",
        "Wait",
        "Min-Priority",
        "Queued-After",
    ]
    .map(|name| (name, ""));
    assert_eq!(status(&empty), StatusQuery::default());
    assert_eq!(status(&[("State", ",")]), StatusQuery::default());
}

#[test]
fn the_second_of_a_filter_is_neither_before_nor_after() {
    let query = status(&[
        ("Queued-After", "2014-07-17 15:00:00"),
        ("Queued-Before", "2014-07-17 15:00:10"),
        ("Started-After", "1405609200"),
        ("Finished-Before", "15:00 GMT"),
    ]);
    assert_eq!(
        query.queued,
        TimeRange { from_ms: Some(1_405_609_201_000), until_ms: Some(1_405_609_210_000) }
    );
    assert_eq!(query.started, TimeRange { from_ms: Some(1_405_609_201_000), until_ms: None });
    assert_eq!(query.finished, TimeRange { from_ms: None, until_ms: Some(1_405_609_200_000) });
}

#[test]
fn filters_go_by_the_server_s_zone() {
    let pairs: Pairs = [
        ("QueueAction", "getStatus"),
        ("QueueName", "f"),
        ("Queued-Before", "2014-07-17 15:00:00"),
    ]
    .into_iter()
    .collect();
    let read = QueueInfo::parse(&pairs, NOW_MS, &FixedOffset::east_opt(3600).unwrap()).unwrap();
    let QueueCommand::GetStatus(query) = read.command else { panic!() };
    assert_eq!(query.queued.until_ms, Some(1_405_605_600_000));
}

#[test]
fn bad_filters_name_parameter_value_and_what_is_allowed() {
    let table = [
        ("State", "sleeping", "stopping"),
        ("Sort-By", "name", "queue-time, start-time, finish-time"),
        ("Sort-Order", "up", "ascending, descending"),
        ("Start", "0", "1 or more"),
        ("MaxResults", "-1", "0 or more"),
        ("Min-Priority", "high", "-2147483648 to 2147483647"),
        ("Wait", "3601", "0 to 3600"),
        ("Finished-After", "yesterday", "2014-07-17 15:00:00"),
        ("MaxDepth", "-1", "0 to 4294967295"),
        ("AllStages", "maybe", "true or false"),
        ("History", "all", "true or false"),
    ];
    for (name, value, allowed) in table {
        let error = read(&[("QueueAction", "getStatus"), ("QueueName", "Fetch"), (name, value)])
            .unwrap_err();
        assert_eq!(error.number, 502);
        for part in [name, value, allowed] {
            assert!(error.description.contains(part), "{} lacks {part}", error.description);
        }
    }
}

#[test]
fn progress_has_its_own_parameters() {
    let encoded = token().encode();
    let base = [("QueueAction", "progress"), ("Token", encoded.as_str())];
    assert_eq!(
        read(&base).unwrap().command,
        QueueCommand::Progress { all_stages: false, max_depth: None }
    );
    let more: Vec<_> = base.into_iter().chain([("AllStages", "True"), ("MaxDepth", "0")]).collect();
    assert_eq!(
        read(&more).unwrap().command,
        QueueCommand::Progress { all_stages: true, max_depth: Some(0) }
    );
}

#[test]
fn state_words_select_states() {
    for (word, state) in StateFilter::WORDS.iter().zip(StateFilter::ALL) {
        assert_eq!(StateFilter::parse(&word.to_uppercase()), Some(state));
        let is_group = matches!(state, StateFilter::Running | StateFilter::Finished);
        assert_eq!(state.statuses().len() == 1, !is_group);
        assert!(is_group || state.statuses()[0].eq_ignore_ascii_case(word));
    }
    assert_eq!(StateFilter::parse("idle"), None);
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(which in 0..QUEUE_INFO.params.len(), text in any::<String>(), number in any::<i64>(), action in 0..QUEUE_ACTIONS.len()) {
        for text in [text, number.to_string()] {
            let _ = read(&[("QueueAction", QUEUE_ACTIONS[action]), ("QueueName", "q"), (&QUEUE_INFO.params[which].name, &text)]);
        }
    }
}
