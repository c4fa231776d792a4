//! Requests about whole servers and many actions: commands to many, queues, lists without pages, live events, paths.

use super::super::{Fault, ManyCommand, Selection};
use super::{Client, client, http, refused, server, success};
use crate::client::LiveEvent;

fn form(got: &super::Got) -> &str {
    got.text().split_once("QueueAction=").map_or("", |(_, rest)| rest)
}

#[tokio::test]
async fn a_command_to_many_goes_on_until_all_have_it() {
    let reason = "<reasons><reason><count>2</count><status>Processing</status><text>it runs</text></reason></reasons>";
    let (port, served) = server([
        success("<more>true</more><done>250</done><refused>1</refused>"),
        success(&format!("<more>false</more><done>3</done><refused>2</refused>{reason}")),
        success("<more>true</more><done>0</done><refused>0</refused>"),
        success("<more>true</more><done>7</done><refused>0</refused>"),
        success("<token>a</token>"),
    ]);
    let client = client(port);
    let filters = [("State".to_owned(), "queued".to_owned())];
    let all = Selection::All { queue: "Fetch", filters: &filters };
    let commanded = client.command_many(ManyCommand::Cancel, all).await.unwrap();
    // What was refused in between may have got it since.
    assert_eq!((commanded.done, commanded.refused), (253, 2));
    assert_eq!((commanded.reasons.len(), commanded.reasons[0].text.as_str()), (1, "it runs"));
    let error = client.command_many(ManyCommand::Cancel, all).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Incomplete(_)), "{error}");
    // A limit of its own would hold for each request.
    let limited = [("MaxResults".to_owned(), "7".to_owned())];
    let limited = Selection::All { queue: "Fetch", filters: &limited };
    let commanded = client.command_many(ManyCommand::ChangePriority(-1), limited).await.unwrap();
    assert_eq!(commanded.done, 7);
    // Another server has done it to one, or to none.
    let tokens = ["a".to_owned(), "b".to_owned()];
    let error =
        client.command_many(ManyCommand::Stop, Selection::Tokens(&tokens)).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Lacks(_)), "{error}");
    let got = served.join().unwrap();
    let forms: Vec<_> = got.iter().map(form).collect();
    assert_eq!(forms[0], "cancel&QueueName=Fetch&All=true&State=queued&Wait=5");
    assert_eq!(forms[1], forms[0]);
    assert_eq!(forms[3], "changePriority&QueueName=Fetch&All=true&MaxResults=7&Priority=-1");
    assert_eq!(forms[4], "stop&Tokens=a%2Cb&Wait=5");
}

#[tokio::test]
async fn queues_are_found_in_three_ways() {
    let counts =
        "<paused>true</paused><pending>1</pending><running>2</running><finished>3</finished>";
    let told = format!(
        "<product>actiond</product><queues><queue><name>Fetch</name>{counts}<maximumthreads>4</maximumthreads></queue></queues>"
    );
    let help = "<actions><action><name>Help</name><asynchronous>false</asynchronous></action>\
                <action><name>Ingest</name><asynchronous>true</asynchronous><parameters><parameter name='adds'/></parameters></action></actions>";
    let (port, served) = server([
        success(&told),
        // It may not be seen, but the help may.
        refused("<error><errorid>X504</errorid></error>"),
        success(help),
        success(counts),
        // Another server, which says nothing of queues.
        success(""),
        refused(""),
        success(&told),
        success(counts),
    ]);
    let client = client(port);
    let queues = client.queues(&[]).await.unwrap();
    assert_eq!(
        (queues[0].name.as_str(), queues[0].slots, queues[0].status.paused),
        ("Fetch", Some(4), true)
    );
    let queues = client.queues(&[]).await.unwrap();
    assert_eq!((queues[0].name.as_str(), queues[0].slots), ("Ingest", None));
    let error = client.queues(&[]).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Lacks(_)), "{error}");
    // One that the server does not tell of is asked for.
    let queues = client.queues(&["Other".to_owned()]).await.unwrap();
    assert_eq!(queues[0].name, "Other");
    assert!(served.join().unwrap()[7].text().contains("queueStatus&QueueName=Other"));
}

#[tokio::test]
async fn a_list_without_pages_is_read_once() {
    let action =
        |token: &str| format!("<action><status>Queued</status><token>{token}</token></action>");
    let list = |tokens: &[&str]| {
        let actions: String = tokens.iter().map(|token| action(token)).collect();
        success(&format!("<actions>{actions}</actions>"))
    };
    let replies = [list(&["1", "2", "3"]), list(&["1", "2"]), list(&["1", "2"])];
    let (port, served) = server(replies);
    let client = client(port);
    // More than was asked for: that is all of it.
    let mut all = client.list("Fetch").page_size(2);
    assert_eq!(all.next_page().await.unwrap().map(|page| page.len()), Some(3));
    assert!(all.next_page().await.unwrap().is_none());
    // The same page again: there is no other.
    let mut same = client.list("Fetch").page_size(2).from(5);
    assert_eq!(same.next_page().await.unwrap().map(|page| page.len()), Some(2));
    assert_eq!(same.next_page().await.unwrap().map(|page| page.len()), Some(0));
    assert!(same.next_page().await.unwrap().is_none());
    let got = served.join().unwrap();
    assert!(form(&got[1]).contains("Start=5&") && form(&got[2]).contains("Start=7&"));
}

fn stream(events: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{events}"
    )
}

#[tokio::test]
async fn events_go_on_after_the_last_one() {
    let (port, served) = server([
        stream(
            "retry: 1\nid: a-0\n\nid: a-1\nevent: started\ndata: {}\n\nid: a-2\nevent: finished\ndata: cut",
        ),
        http("503 Service Unavailable", ""),
        stream("id: a-2\nevent: finished\ndata: {}\n\n"),
        success(""),
    ]);
    let filters = vec![("Queue".to_owned(), "A B".to_owned())];
    let mut listener = client(port).events(filters);
    let event = |kind: &str, id: &str| LiveEvent {
        kind: kind.to_owned(),
        data: "{}".to_owned(),
        id: id.to_owned(),
    };
    assert_eq!(listener.next().await.unwrap(), event("started", "a-1"));
    assert_eq!(listener.next().await.unwrap(), event("finished", "a-2"));
    // Another server answers the path as an action.
    let error = listener.next().await.unwrap_err();
    assert_eq!(error.fault, Fault::Status(404));
    let got = served.join().unwrap();
    let heads: Vec<_> = got.iter().map(|got| got.head.to_lowercase()).collect();
    assert!(heads[0].starts_with("get /events?queue=a+b "), "{}", heads[0]);
    assert!(!heads[0].contains("last-event-id"));
    assert!(
        heads[1].contains("last-event-id: a-1\r\n") && heads[3].contains("last-event-id: a-2\r\n")
    );
}

#[tokio::test]
async fn what_keeps_one_from_listening_is_told() {
    let denied =
        refused("<error><errorid>EVENTS504</errorid></error>").replace("200 OK", "403 Forbidden");
    let (port, served) = server([denied, http("404 Not Found", "no")]);
    let mut listener = client(port).events(Vec::new());
    let error = listener.next().await.unwrap_err();
    assert!(
        matches!(&error.fault, Fault::Refused(refusal) if refusal.number == Some(504)),
        "{error}"
    );
    assert_eq!(listener.next().await.unwrap_err().fault, Fault::Status(404));
    served.join().unwrap();
}

#[tokio::test]
async fn a_server_may_answer_below_a_path() {
    let (port, served) = server([success(""), http("404 Not Found", "")]);
    let client = Client::builder("127.0.0.1", port).path("aci").build().unwrap();
    client.send("GetPid", crate::request::Pairs::default()).await.unwrap();
    client.events(Vec::new()).next().await.unwrap_err();
    let got = served.join().unwrap();
    assert!(got[0].head.starts_with("POST /aci/ "), "{}", got[0].head);
    assert!(got[1].head.starts_with("GET /aci/events "), "{}", got[1].head);
    for path in ["/a?b", "/a#b", "/../x"] {
        assert!(Client::builder("host", 7000).path(path).build().is_err(), "{path}");
    }
}
