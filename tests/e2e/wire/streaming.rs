//! Long lists are written while they are sent, and are the same as in pages.

use super::*;

const MANY: usize = 2_000;

/// A server whose queue holds many actions that wait.
fn full(home: &Home) -> Server {
    let server = home.start();
    let client = Client::of(&server);
    client.queue_info("Process", "QueueAction=pause");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let mut stream = client.connect();
                let request = get(&format!("/action=Process&n={thread}%26"));
                for _ in 0..MANY / 4 {
                    token(&aci(&exchange(&mut stream, &request)));
                }
            });
        }
    });
    server
}

/// What a list shows but for the time that goes on while they wait.
fn settled(reply: &Node) -> Vec<Node> {
    let actions = reply.all("responsedata/actions/action").into_iter().cloned();
    let settle = |mut action: Node| {
        action.children.retain(|child| child.name != "time_in_queue");
        action
    };
    actions.map(settle).collect()
}

#[test]
fn a_long_list_is_streamed_complete_and_the_same_as_in_pages() {
    let home = Home::new(ECHOES);
    let server = full(&home);
    let client = Client::of(&server);
    let list = |rest: &str| format!("/a=QueueInfo&QueueName=Process&QueueAction=getStatus{rest}");

    let reply = client.send(&get(&list("")));
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    let whole = settled(&aci(&reply));
    assert_eq!(whole.len(), MANY);

    let mut paged = Vec::new();
    for start in (1..=MANY).step_by(300) {
        let page = aci(&client.send(&get(&list(&format!("&Start={start}&MaxResults=300")))));
        paged.extend(settled(&page));
    }
    assert_eq!(paged, whole);

    // Short ones go out whole, with their length.
    for rest in ["&MaxResults=249", "&Min-Priority=1"] {
        let reply = client.send(&get(&list(rest)));
        assert!(
            reply.header("content-length").is_some() && reply.header("transfer-encoding").is_none()
        );
    }
    for (rest, count) in [("&MaxResults=250", 250), ("&MaxResults=251", 251), ("&Start=1501", 500)]
    {
        assert_eq!(settled(&client.get(&list(rest))).len(), count, "{rest}");
    }

    // In JSON it is one object, in the same order.
    let tokens: Vec<_> = whole.iter().map(|action| action.text("token").to_owned()).collect();
    for (format, path) in [("simplejson", ""), ("json", "/$")] {
        let reply = client.send(&get(&list(&format!("&ResponseFormat={format}"))));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let json: serde_json::Value = serde_json::from_str(&reply.body_text()).expect("JSON");
        let actions = json["autnresponse"]["responsedata"]["actions"]["action"].as_array().unwrap();
        let token = |action: &serde_json::Value| {
            action.pointer(&format!("/token{path}")).and_then(|t| t.as_str()).unwrap().to_owned()
        };
        assert_eq!(actions.iter().map(token).collect::<Vec<_>>(), tokens, "{format}");
    }

    // The parameters of all that wait, in the same order.
    let reply = client.queue_info("Process", "QueueAction=getActionParameters");
    let requests = reply.all("responsedata/request");
    let of_requests: Vec<_> = requests.iter().map(|r| r.text("token").to_owned()).collect();
    assert_eq!(of_requests, tokens);
    assert!(
        requests.iter().all(|r| r.one("parameters/parameter").attribute("value").ends_with('&'))
    );

    // A connection goes on after a long list, and HTTP/1.0 gets it without chunks.
    let mut stream = server.connect();
    for _ in 0..2 {
        assert_eq!(settled(&aci(&exchange(&mut stream, &get(&list(""))))).len(), MANY);
    }
    let old = format!("GET {} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", list(""));
    let reply = client.send(old.as_bytes());
    assert_eq!(reply.header("transfer-encoding"), None);
    assert_eq!(reply.header("keep-alive"), None, "its end is that of the list");
    assert_eq!(settled(&aci(&reply)).len(), MANY);

    // Somebody who asks and does not read holds up nobody.
    let lazy: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&get(&list(""))).unwrap();
            stream
        })
        .collect();
    assert!(client.get("/a=getpid").has("responsedata/autn:pid"));
    client.submit("Process");
    drop(lazy);
    let counts = client.queue_info("Process", "QueueAction=queueStatus");
    assert_eq!(counts.text("responsedata/pending"), (MANY + 1).to_string());
}

/// The oldest actions are deleted all the time, and a list that begins with them goes on behind
/// those that vanish while it is read.
#[test]
fn a_list_is_complete_while_actions_are_deleted() {
    let home = Home::new(&ECHOES.replace("[Process]", "[Process]\nMaxFinishedSize=600\n"));
    let server = home.start();
    let client = Client::of(&server);
    let done = std::sync::atomic::AtomicBool::new(false);
    let submit = |until: &dyn Fn(usize) -> bool| {
        let mut stream = client.connect();
        (0..).take_while(|n| !until(*n)).for_each(|_| {
            exchange(&mut stream, &get("/action=Process"));
        });
    };
    submit(&|sent| sent == 700);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| submit(&|_| done.load(std::sync::atomic::Ordering::Relaxed)));
        }
        let lists: Vec<String> = (0..15)
            .map(|_| {
                let target = "/a=QueueInfo&QueueName=Process&QueueAction=getStatus&State=finished\
                              &Sort-Order=ascending";
                client.send(&get(target)).body_text()
            })
            .collect();
        // First of all the others come to their end.
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let lists: Vec<_> = lists.iter().map(|list| settled(&tree(list)).len()).collect();
        assert!(lists.iter().all(|length| *length > 500), "{lists:?}");
    });
}
