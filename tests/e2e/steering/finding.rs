//! getStatus finds actions by what they were given, by the name of their request, and by their error.

use super::super::calls::{Answer, id_of};
use super::super::server::{Home, Server};

const CONFIG: &str = "
[Server]
LogRequests=true
[AsyncActions]
0=Work
[Work]
Type=Echo
MaximumThreads=4
";

fn list(server: &Server, rest: &str) -> Answer {
    server.info("Work", "getStatus", &format!("{rest}&Sort-Order=ascending")).success()
}

fn found(server: &Server, rest: &str) -> Vec<String> {
    let answer = list(server, rest);
    assert_eq!(answer.value("warning"), None, "{}", answer.0);
    answer.values("token")
}

#[test]
fn actions_are_found_by_what_they_were_given() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let submit = |rest: &str| {
        let token = server.submit_to("Work", rest);
        server.outcome("Work", &token);
        token
    };
    let red = submit("&Colour=red&Name=Ada%20L&ActionID=night%207");
    let two = submit("&Colour=blue&Colour=red&ActionID=night%208");
    let failed = submit("&Colour=red&Fail=The%20Disk%20is%20full");
    let runs = server.submit_to("Work", "&Colour=red&Sleep=600&ActionID=night%207");
    server.wait_in("Work", &runs, "Processing");
    let all = [&red, &two, &failed, &runs].map(String::to_owned);
    for (rest, expected) in [
        ("&Parameter.Colour=red", &all[..]),
        ("&parameter.COLOUR=red&State=finished", &all[..3]),
        ("&Parameter.Colour=blue&Parameter.Colour=red", &all[1..2]),
        ("&Parameter.Name=Ada%20L&Parameter.Colour=red", &all[..1]),
        ("&Parameter.Name=Ada", &[]),
        ("&Parameter.Colour=Red", &[]),
        ("&Parameter.Missing=x", &[]),
        ("&Parameter.Sleep=600", &all[3..]),
        ("&ActionID=night%208", &all[1..2]),
        ("&ActionID=night", &[]),
        ("&Text=disk%20IS", &all[2..3]),
        ("&Text=disk&State=error&Parameter.Colour=red", &all[2..3]),
        ("&Text=disk&State=running", &[]),
        ("&Parameter.Colour=red&Start=2&MaxResults=2", &all[1..3]),
        ("&Parameter.Colour=&ActionID=&Text=", &all[..]),
    ] {
        assert_eq!(found(&server, rest), expected, "{rest}");
    }
    assert_eq!(found(&server, "&ActionID=night%207"), [red.clone(), runs.clone()]);
    // A copy is found as its source is; with a token the name is that of the request.
    let copy = server.about("Work", "duplicate", &red).success().must("token");
    server.outcome("Work", &copy);
    assert_eq!(found(&server, "&ActionID=night%207&State=finished"), [red.clone(), copy]);
    let one = server.info("Work", "getStatus", &format!("&Token={red}&ActionID=other")).success();
    assert_eq!(one.values("token"), [red]);
    let (_, too_many) = server
        .info(
            "Work",
            "getStatus",
            &(0..17).map(|n| format!("&Parameter.p{n}=1")).collect::<String>(),
        )
        .error();
    assert!(too_many.contains("at most 16"), "{too_many}");
    // They are in the database, which is as it was.
    server.kill();
    let server = home.start();
    for (rest, token) in [("&ActionID=night%208", &two), ("&Text=THE%20disk", &failed)] {
        let ids: Vec<u64> = found(&server, rest).iter().map(|token| id_of(token)).collect();
        assert_eq!(ids, [id_of(token)], "{rest}");
    }
}

/// A filter that there is not never passes in silence.
#[test]
fn a_list_warns_of_a_filter_that_there_is_not() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Work", "&Password=hush%20hush");
    server.outcome("Work", &token);
    for (rest, expected) in [
        ("&Stat=error", "'Stat' (is State meant?)"),
        ("&Priority=5", "'Priority'"),
        ("&Parameter.=5", "'Parameter.'"),
        ("&Parameter=5&Foo=1", "'Parameter', 'Foo'"),
    ] {
        let answer = list(&server, rest);
        assert!(answer.must("warning").contains(expected), "{}", answer.0);
        assert_eq!(answer.values("token"), std::slice::from_ref(&token));
        assert!(
            answer.0.contains("</actions><warning>"),
            "it stands behind the list: {}",
            answer.0
        );
    }
    let json = server.get("/action=QueueInfo&QueueName=Work&QueueAction=getStatus&Stat=x&State=error&ResponseFormat=json");
    assert!(json.contains(r#""actions":{"action":[]},"warning":{"$":""#), "{json}");
    // What is looked for may be a secret.
    assert_eq!(found(&server, "&Parameter.Password=hush%20hush").len(), 1);
    let log = server.ask("GetRequestLog").0;
    assert!(log.contains("Parameter.Password=***") && !log.contains("hush"), "{log}");

    let strict = CONFIG.replace("[Server]", "[Server]\nStrictActionValidation=true");
    let home = Home::new(&strict);
    let server = home.start();
    assert_eq!(found(&server, "&Parameter.Any=1&ActionID=a&Text=b"), [""; 0]);
    for (name, expected) in [("Stat", "Is State meant?"), ("Parameter.", "'Parameter.'")] {
        let (code, description) = server.info("Work", "getStatus", &format!("&{name}=x")).error();
        assert_eq!(code, "ERRORPARAMINVALID");
        assert!(description.contains(expected), "{description}");
    }
}
