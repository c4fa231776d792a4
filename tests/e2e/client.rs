//! The client of the package `actiond-aci` against the real server: each of its commands.

use std::time::{Duration, Instant};

use actiond::aci::client::{Client, Fault, Status};
use actiond::aci::request::{PairValue, Pairs};

use super::server::{CONFIG, Home, PATIENCE, Server};

fn client_of(server: &Server) -> Client {
    Client::builder("127.0.0.1", server.address.port()).build().expect("a client")
}

/// Runs a test with a server and its client; the server outlives what asks it.
fn with_server<F: Future<Output = ()>>(test: impl FnOnce(Client) -> F) {
    let home = Home::new(CONFIG);
    let server = home.start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(test(client_of(&server)));
}

/// Submits an action that runs until it is stopped.
async fn submit_long(client: &Client) -> String {
    client.submit("Process", [("Sleep", "600")]).await.unwrap()
}

/// Waits until an action runs.
async fn runs(client: &Client, token: &str) {
    let end = Instant::now() + PATIENCE;
    while client.status(token).await.unwrap().status != Status::Processing {
        assert!(Instant::now() < end, "it does not run");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn an_action_is_sent_and_waited_for() {
    with_server(async |client| {
        let version = client.send("GetVersion", Pairs::default()).await.unwrap();
        assert_eq!(version.action, "GETVERSION");
        assert!(version.data.iter().any(|element| element.name == "autn:version"), "{version:?}");

        let token =
            client.submit("Process", [("Sleep", "1"), ("Name", "Ada & Bob")]).await.unwrap();
        let begun = Instant::now();
        let action = client.wait(&token, PATIENCE).await.unwrap();
        assert_eq!((&action.status, &action.token), (&Status::Finished, &token));
        assert!(begun.elapsed() < PATIENCE / 2, "the server waited to the end of patience");
        for time in [action.queued, action.started, action.ended] {
            let time = time.unwrap();
            assert!(time.local.is_some(), "{time:?}");
        }
        assert_eq!(action.error, None);
        let shown = format!("{:?}", action.results);
        assert!(shown.contains("Ada & Bob"), "{shown}");

        let token = client.submit("Process", [("Fail", "no <luck>")]).await.unwrap();
        let action = client.wait(&token, PATIENCE).await.unwrap();
        assert_eq!((action.status, action.error.as_deref()), (Status::Error, Some("no <luck>")));
    });
}

/// One request waits at the server, which is quicker than any poll.
#[test]
fn a_wait_ends_with_the_action() {
    with_server(async |client| {
        let token = submit_long(&client).await;
        runs(&client, &token).await;
        let waiting = tokio::spawn({
            let (client, token) = (client.clone(), token.clone());
            async move { client.wait(&token, PATIENCE).await.unwrap() }
        });
        // Longer than the pauses of polls grow to in that time.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let status = client.stop(&token).await.unwrap();
        assert!(matches!(status, Some(Status::Stopping | Status::Stopped)), "{status:?}");
        let stopped_at = Instant::now();
        assert_eq!(waiting.await.unwrap().status, Status::Stopped);
        assert!(stopped_at.elapsed() < PATIENCE / 2);

        let token = submit_long(&client).await;
        let action = client.wait(&token, Duration::from_millis(300)).await.unwrap();
        assert!(!action.status.has_ended());
        client.stop_all("Process").await.unwrap();
        assert_eq!(client.wait(&token, PATIENCE).await.unwrap().status, Status::Stopped);
    });
}

#[test]
fn actions_are_steered() {
    with_server(async |client| {
        let running = submit_long(&client).await;
        runs(&client, &running).await;
        assert_eq!(client.pause(&running).await, Ok(Some(Status::Paused)));
        assert_eq!(client.resume(&running).await, Ok(Some(Status::Processing)));
        let progress = client.progress(&running).await.unwrap();
        assert_eq!(progress.status, Status::Processing);
        assert!((0.0..100.0).contains(&progress.percent));

        client.pause_queue("process").await.unwrap();
        let waiting = submit_long(&client).await;
        assert_eq!(client.change_priority(&waiting, 9).await, Ok(Some(Status::Queued)));
        assert_eq!(client.status(&waiting).await.unwrap().priority, Some(9));
        let copy = client.duplicate(&waiting).await.unwrap();
        assert_ne!(copy, waiting);
        let status = client.queue_status("Process").await.unwrap();
        assert_eq!((status.paused, status.pending, status.finished), (true, 2, 0));
        for token in [&waiting, &copy] {
            assert_eq!(client.cancel(token).await, Ok(Some(Status::Cancelled)));
        }
        client.resume_queue("Process").await.unwrap();
        assert!(!client.queue_status("Process").await.unwrap().paused);

        let Fault::Refused(refusal) = client.cancel(&running).await.unwrap_err().fault else {
            panic!("what runs was cancelled")
        };
        assert_eq!((refusal.number, refusal.code.as_str()), (Some(502), "ERRORPARAMINVALID"));
        assert!(refusal.description.contains(&running), "{refusal}");
        client.stop(&running).await.unwrap();
        assert_eq!(client.wait(&running, PATIENCE).await.unwrap().status, Status::Stopped);
    });
}

#[test]
fn parameters_come_back_as_they_were_sent() {
    with_server(async |client| {
        client.pause_queue("Process").await.unwrap();
        let mut given: Vec<(String, PairValue)> = vec![
            ("Text".to_owned(), " é&+=%<\">\r\n\t ".into()),
            ("Control".to_owned(), "a\u{1}b".into()),
            ("n\"a;m=e".to_owned(), "x".into()),
            ("Text".to_owned(), "again".into()),
        ];
        let token = client.submit("Process", given.clone()).await.unwrap();
        assert_eq!(client.parameters(&token).await.unwrap(), Some(given.clone().into()));
        // The same as a multipart form.
        given.push(("Bytes".to_owned(), vec![0xFF, 0, b'\r'].into()));
        let token = client.submit("Process", given.clone()).await.unwrap();
        assert_eq!(client.parameters(&token).await.unwrap(), Some(given.into()));
        client.cancel(&token).await.unwrap();
        assert_eq!(client.parameters(&token).await.unwrap(), None);
    });
}

#[test]
fn a_queue_is_listed_page_by_page() {
    with_server(async |client| {
        client.pause_queue("Process").await.unwrap();
        let mut tokens = Vec::new();
        for n in 0..7 {
            tokens.push(client.submit("Process", [("N", n.to_string())]).await.unwrap());
        }
        let mut list = client
            .list("Process")
            .filter("State", "queued")
            .filter("Sort-Order", "ascending")
            .page_size(3);
        let mut pages = Vec::new();
        while let Some(page) = list.next_page().await.unwrap() {
            pages.push(page.len());
            let expected = tokens.drain(..page.len());
            assert!(page.iter().map(|action| &action.token).eq(expected.as_slice()));
        }
        assert_eq!((pages, tokens.len()), (vec![3, 3, 1], 0));
        let mut none = client.list("Process").filter("State", "finished");
        assert_eq!(none.next_page().await, Ok(None));
        let unknown = client.list("Nowhere").next_page().await.unwrap_err();
        assert!(matches!(unknown.fault, Fault::Refused(_)), "{unknown}");
    });
}
