//! What is asked of queues, and what is made of their answers.

use std::time::Duration;

use super::super::{Fault, Status};
use super::{Got, client, server, success};
use crate::element::Element;
use crate::request::{PairValue, Pairs, RawRequest, parse};

/// The base64 of `h:7000:FETCH:7`, as an older server gives it.
const TOKEN: &str = "aDo3MDAwOkZFVENIOjc=";

fn asked(got: &Got) -> Vec<(String, String)> {
    let raw = RawRequest {
        target: "/",
        content_type: None,
        body: &got.body,
        max_input_string: 1000,
        max_upload: usize::MAX,
    };
    let request = parse(&raw).unwrap();
    assert_eq!(request.action, "QueueInfo");
    let text = |value| match value {
        PairValue::Text(text) => text,
        PairValue::Bytes(_) => panic!("bytes"),
    };
    request.pairs.into_iter().map(|(name, value)| (name, text(value))).collect()
}

fn status(word: &str) -> String {
    success(&format!(
        "<actions><action><status>{word}</status><token>{TOKEN}</token></action></actions>"
    ))
}

#[tokio::test]
async fn an_action_is_read_in_either_order() {
    // As newer servers write it, with a result that has the name of an element.
    let newer = "<status>Error</status><queued_time>2015-Aug-17 17:40:49</queued_time><time_in_queue>1</time_in_queue>\
        <process_start_time>2015-Aug-17 17:40:50</process_start_time><time_processing>2</time_processing>\
        <process_end_time>soon</process_end_time><error>no &amp; luck</error><token>inner</token><status>odd</status>\
        <error>two</error><priority>-3</priority><position>4</position>";
    // As older ones do.
    let older = "<n a='1'/><token>t</token><status>Finished</status><error>a result</error>";
    let reply = |action: &str| success(&format!("<actions><action>{action}</action></actions>"));
    let newer = reply(&format!("{newer}<token>{TOKEN}</token>"));
    let (port, served) = server([newer, reply(older), reply("<token>t</token>"), success("")]);
    let client = client(port);

    let action = client.status(TOKEN).await.unwrap();
    assert_eq!((action.status.clone(), action.token.as_str()), (Status::Error, TOKEN));
    let queued = action.queued.unwrap();
    assert_eq!(queued.text, "2015-Aug-17 17:40:49");
    assert_eq!(queued.local.unwrap().to_string(), "2015-08-17 17:40:49");
    assert_eq!(action.ended.map(|time| (time.text, time.local)), Some(("soon".to_owned(), None)));
    assert_eq!(action.started.unwrap().text, "2015-Aug-17 17:40:50");
    let durations = (action.in_queue.unwrap().as_secs(), action.processing.unwrap().as_secs());
    assert_eq!(durations, (1, 2));
    assert_eq!((action.priority, action.position), (Some(-3), Some(4)));
    assert_eq!(action.error.as_deref(), Some("no & luck"));
    let t = Element::text;
    assert_eq!(action.results, [t("token", "inner"), t("status", "odd"), t("error", "two")]);

    let action = client.status(TOKEN).await.unwrap();
    assert_eq!((action.status.clone(), action.token.as_str()), (Status::Finished, "t"));
    assert_eq!((action.error, action.queued, action.priority), (None, None, None));
    assert_eq!(action.results, [Element::new("n").attribute("a", "1"), t("error", "a result")]);

    for what in ["the status of an action", "the action"] {
        assert_eq!(client.status(TOKEN).await.unwrap_err().fault, Fault::Lacks(what));
    }
    let sent = asked(&served.join().unwrap()[0]);
    let expected = [("QueueAction", "getStatus"), ("QueueName", "FETCH"), ("Token", TOKEN)];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn attempts_are_told_apart_from_results_of_their_names() {
    let history = "<history><attempt><number>1</number><start_time>2015-Aug-17 17:40:49</start_time>\
        <end_time>2015-Aug-17 17:40:50</end_time><outcome>Lost</outcome><worker>w</worker><error>e</error></attempt>\
        <attempt><number>2</number><start_time>2015-Aug-17 17:41:49</start_time><outcome>Processing</outcome></attempt></history>";
    let waits = format!(
        "<status>Queued</status><error>no luck</error><priority>0</priority><attempt>1</attempt>\
         <next_attempt_time>2015-Aug-17 17:40:49</next_attempt_time>{history}<token>{TOKEN}</token>"
    );
    let later = "<status>Queued</status><priority>0</priority><not_before>2015-Aug-17 17:40:49</not_before><token>t</token>";
    // A result has all of these names; the attempt behind it is the server's.
    let ended = "<status>Finished</status><history>h</history><attempt>9</attempt><not_before>n</not_before>\
        <next_attempt_time>a</next_attempt_time><worker>r</worker><priority>0</priority><attempt>2</attempt><token>t</token>\
        <worker>w</worker><last_word>3</last_word>";
    let bad = "<status>Queued</status><priority>0</priority><history><attempt/></history><token>t</token>";
    let reply = |action: &str| success(&format!("<actions><action>{action}</action></actions>"));
    let replies = [&waits, later, ended, &waits, ended, bad].map(reply);
    let (port, served) = server(replies);
    let client = client(port);

    let action = client.status(TOKEN).await.unwrap();
    assert_eq!((action.attempt, action.error.as_deref()), (Some(1), Some("no luck")));
    assert_eq!(action.next_attempt.unwrap().text, "2015-Aug-17 17:40:49");
    assert_eq!((action.not_before, action.results), (None, Vec::new()));
    let action = client.status(TOKEN).await.unwrap();
    assert_eq!(action.not_before.unwrap().local.unwrap().to_string(), "2015-08-17 17:40:49");
    assert_eq!((action.attempt, action.next_attempt), (None, None));
    let action = client.status(TOKEN).await.unwrap();
    assert_eq!((action.attempt, action.not_before, action.next_attempt), (Some(2), None, None));
    let names: Vec<_> = action.results.iter().map(|element| &*element.name).collect();
    assert_eq!(names, ["history", "attempt", "not_before", "next_attempt_time", "worker"]);

    let attempts = client.history(TOKEN).await.unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!((attempts[0].number, &attempts[0].outcome), (1, &Status::Other("Lost".to_owned())));
    assert_eq!(attempts[0].worker.as_deref(), Some("w"));
    assert_eq!(attempts[0].error.as_deref(), Some("e"));
    assert_eq!(attempts[0].ended.as_ref().unwrap().text, "2015-Aug-17 17:40:50");
    assert_eq!((&attempts[1].outcome, &attempts[1].ended), (&Status::Processing, &None));
    assert_eq!(client.history(TOKEN).await, Ok(Vec::new()));
    let lacks = Fault::Lacks("the outcome of an attempt");
    assert_eq!(client.history(TOKEN).await.unwrap_err().fault, lacks);
    let sent = asked(&served.join().unwrap()[3]);
    assert!(sent.contains(&("History".to_owned(), "true".to_owned())), "{sent:?}");
}

#[test]
fn words_of_states() {
    for word in ["Queued", "Processing", "Paused", "Stopping"] {
        assert!(!Status::read(word).has_ended(), "{word}");
    }
    for word in ["Finished", "Error", "Cancelled", "Stopped", "Processed"] {
        let status = Status::read(word);
        assert!(status.has_ended(), "{word}");
        assert_eq!(status.to_string(), word);
    }
    assert_eq!(Status::read("FINISHED"), Status::Finished);
}

#[tokio::test]
async fn each_command_is_asked_for_by_its_name() {
    let done = || success(&format!("<token>{TOKEN}</token><status>Paused</status>"));
    let whole = || {
        success(
            "<paused>true</paused><pending>1</pending><running>2</running><finished>3</finished>",
        )
    };
    let replies = [
        done(),
        done(),
        done(),
        done(),
        done(),
        done(),
        done(),
        // Another server need not tell the state.
        success(""),
        done(),
        whole(),
        whole(),
        whole(),
        whole(),
        success("<paused>true</paused>"),
    ];
    let (port, served) = server(replies);
    let client = client(port);
    let paused = Ok(Some(Status::Paused));
    assert_eq!(client.cancel(TOKEN).await, paused);
    assert_eq!(client.stop(TOKEN).await, paused);
    assert_eq!(client.pause(TOKEN).await, paused);
    assert_eq!(client.resume(TOKEN).await, paused);
    assert_eq!(client.change_priority(TOKEN, -7).await, paused);
    assert_eq!(client.retry(TOKEN).await, paused);
    assert_eq!(client.delete(TOKEN).await, paused);
    assert_eq!(client.stop("no token of anybody's").await, Ok(None));
    assert_eq!(client.duplicate(TOKEN).await.unwrap(), TOKEN);
    let status = client.queue_status("Fetch").await.unwrap();
    assert_eq!((status.paused, status.pending, status.running, status.finished), (true, 1, 2, 3));
    client.stop_all("Fetch").await.unwrap();
    client.pause_queue("Fetch").await.unwrap();
    client.resume_queue("Fetch").await.unwrap();
    let lacks = Fault::Lacks("the element pending");
    assert_eq!(client.queue_status("Fetch").await.unwrap_err().fault, lacks);

    let sent: Vec<_> = served.join().unwrap().iter().map(asked).collect();
    let sent: Vec<_> = sent
        .iter()
        .map(|pairs| {
            pairs
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    let one = format!("QueueName=FETCH Token={TOKEN}");
    let expected = [
        format!("QueueAction=cancel {one}"),
        format!("QueueAction=stop {one}"),
        format!("QueueAction=pause {one}"),
        format!("QueueAction=resume {one}"),
        format!("QueueAction=changePriority {one} Priority=-7"),
        format!("QueueAction=retry {one}"),
        format!("QueueAction=delete {one}"),
        "QueueAction=stop Token=no token of anybody's".to_owned(),
        format!("QueueAction=duplicate {one}"),
        "QueueAction=queueStatus QueueName=Fetch".to_owned(),
        "QueueAction=stop QueueName=Fetch".to_owned(),
        "QueueAction=pause QueueName=Fetch".to_owned(),
        "QueueAction=resume QueueName=Fetch".to_owned(),
        "QueueAction=queueStatus QueueName=Fetch".to_owned(),
    ];
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_server_that_does_not_wait_is_asked_again() {
    let words = ["Queued", "Processing", "Paused", "Stopped"];
    let (port, served) = server(words.map(status));
    let action = client(port).wait(TOKEN, Duration::from_secs(30)).await.unwrap();
    assert_eq!(action.status, Status::Stopped);
    let waits: Vec<f64> = served
        .join()
        .unwrap()
        .iter()
        .map(|got| asked(got).pop().unwrap())
        .map(|(name, value)| if name == "Wait" { value.parse().unwrap() } else { 0.0 })
        .collect();
    assert_eq!(waits.len(), 4);
    // The pauses are 0.1, 0.2 and 0.4 seconds.
    assert!(waits[0] > 29.0 && waits[3] <= waits[0] - 0.7, "{waits:?}");
}

#[tokio::test]
async fn waiting_ends_with_patience() {
    let (port, served) = server(["Queued", "Queued", "Queued"].map(status));
    let client = client(port);
    assert_eq!(client.wait(TOKEN, Duration::ZERO).await.unwrap().status, Status::Queued);
    let action = client.wait(TOKEN, Duration::from_millis(50)).await.unwrap();
    assert_eq!(action.status, Status::Queued);
    let served = served.join().unwrap();
    assert!(asked(&served[0]).iter().all(|(name, _)| name != "Wait"));
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let page = |tokens: &[&str]| {
        let action = |token: &&str| {
            format!("<action><status>Queued</status><token>{token}</token></action>")
        };
        success(&format!("<actions>{}</actions>", tokens.iter().map(action).collect::<String>()))
    };
    // The second action moved behind one that came meanwhile.
    let broken = success(
        "<actions><action><status>Queued</status></action><error>some are missing</error></actions>",
    );
    let (port, served) = server([
        page(&["a", "b"]),
        broken,
        page(&["b", "c"]),
        page(&[]),
        page(&["a", "b"]),
        page(&["x"]),
    ]);
    let client = client(port);
    let mut list = client.list("Fetch").filter("State", "queued").page_size(2);
    let mut tokens = Vec::new();
    for _ in 0..2 {
        match list.next_page().await {
            Ok(page) => tokens.extend(page.unwrap().into_iter().map(|action| action.token)),
            Err(error) => assert_eq!(error.fault, Fault::Incomplete("some are missing".to_owned())),
        }
    }
    while let Some(page) = list.next_page().await.unwrap() {
        tokens.extend(page.into_iter().map(|action| action.token));
    }
    assert_eq!(tokens, ["a", "b", "c"]);
    assert_eq!(list.next_page().await, Ok(None));

    let mut short = client.list("Fetch").page_size(2);
    assert_eq!(short.next_page().await.unwrap().unwrap().len(), 2);
    assert_eq!(short.next_page().await.unwrap().unwrap()[0].token, "x");
    assert_eq!(short.next_page().await, Ok(None));

    let starts: Vec<_> = served
        .join()
        .unwrap()
        .iter()
        .map(|got| Pairs::from_iter(asked(got)))
        .map(|pairs| {
            assert_eq!(
                (pairs.get("QueueName"), pairs.get("MaxResults")),
                (Some("Fetch"), Some("2"))
            );
            pairs.get("Start").unwrap().to_owned()
        })
        .collect();
    assert_eq!(starts, ["1", "3", "3", "5", "1", "3"]);
}

#[tokio::test]
async fn parameters_come_as_they_were_sent() {
    let shown = "<request><token>t</token><status>Queued</status><parameters><parameter name='a' value=' 1 '/>\
        <parameter name='b' value='/w==' encoding='base64'/><parameter name='long' length='7'>the text</parameter>\
        <parameter name='a' value='2'/></parameters></request>";
    let cut = shown.replace(">the text</parameter>", "/>");
    let ended = "<request><token>t</token><status>Finished</status></request>";
    let (port, _served) = server([shown, &cut, ended].map(success));
    let client = client(port);
    let given: Vec<_> = client.parameters(TOKEN).await.unwrap().unwrap().into_iter().collect();
    let expected: Vec<(&str, PairValue)> = vec![
        ("a", " 1 ".into()),
        ("b", vec![0xFF].into()),
        ("long", "the text".into()),
        ("a", "2".into()),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(given, expected);
    let lacks = Fault::Lacks("the value of a parameter");
    assert_eq!(client.parameters(TOKEN).await.unwrap_err().fault, lacks);
    assert_eq!(client.parameters(TOKEN).await, Ok(None));
}

#[tokio::test]
async fn progress_is_a_tree_of_stages() {
    let told = "<action><token>t</token><status>Processing</status><progress><building_mode>false</building_mode>\
        <percent>26.407</percent><time_processing>71</time_processing><estimated_time_remaining>198</estimated_time_remaining>\
        <stage title='T' status='Processing' weight='1' percent='32'><stage title='S' status='Processing' weight='50' \
        percent='15' progress='10' maximum='20'/><stage title='E' status='Pending' weight='25'/></stage></progress></action>";
    let (port, _served) = server([success(told), success("<action/>")]);
    let client = client(port);
    let progress = client.progress(TOKEN).await.unwrap();
    assert_eq!((progress.status, progress.measuring), (Status::Processing, false));
    assert!((progress.percent - 26.407).abs() < 1e-9);
    let seconds = |duration: Option<Duration>| duration.unwrap().as_secs();
    assert_eq!((seconds(progress.processing), seconds(progress.remaining)), (71, 198));
    let stage = &progress.stages[0];
    assert_eq!((stage.title.as_str(), stage.percent, stage.stages.len()), ("T", Some(32.0), 2));
    assert_eq!((stage.stages[0].counted, stage.stages[0].weight), (Some((10, 20)), Some(50.0)));
    assert_eq!((stage.stages[1].status.as_str(), stage.stages[1].percent), ("Pending", None));
    let lacks = Fault::Lacks("the progress of an action");
    assert_eq!(client.progress(TOKEN).await.unwrap_err().fault, lacks);
}

#[tokio::test]
async fn many_are_deleted_until_there_are_no_more() {
    let deleted = |number: u64, more: &str| {
        success(&format!("<deleted>{number}</deleted><more>{more}</more>"))
    };
    let replies = [
        deleted(400_000, "true"),
        deleted(3, "false"),
        // As far as it was asked to.
        deleted(7, "true"),
        success("<deleted>1</deleted>"),
        deleted(2, "true"),
        deleted(0, "true"),
        success(""),
    ];
    let (port, served) = server(replies);
    let client = client(port);
    let errors = || client.list("Fetch").filter("State", "error");
    assert_eq!(errors().filter("Min-Priority", "2").delete().await, Ok(400_003));
    assert_eq!(errors().filter("maxresults", "7").delete().await, Ok(7));
    assert_eq!(errors().delete().await, Ok(1));
    let Fault::Incomplete(reason) = errors().delete().await.unwrap_err().fault else {
        panic!("it has not deleted all");
    };
    assert!(reason.contains("deleted 2 of them"), "{reason}");
    let lacks = errors().delete().await.unwrap_err().fault;
    assert_eq!(lacks, Fault::Lacks("the number of deleted actions"));
    let sent = served.join().unwrap();
    assert_eq!(sent.len(), 7);
    let pairs = |pairs: &[(&str, &str)]| {
        let named = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        named.collect::<Vec<_>>()
    };
    let about = [("QueueAction", "delete"), ("QueueName", "Fetch"), ("State", "error")];
    for got in &sent[..2] {
        assert_eq!(asked(got), pairs(&[&about[..], &[("Min-Priority", "2")]].concat()));
    }
    assert_eq!(asked(&sent[3]), pairs(&about));
}
