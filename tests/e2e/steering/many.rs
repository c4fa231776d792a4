//! Commands to many actions: those of `Tokens=`, and those that filters select with `All=true`.

use super::super::calls::{Answer, Caller};
use super::super::server::{Home, Server, wait_until};
use super::{command_beside_others, submit_many};

const CONFIG: &str = "
[AsyncActions]
0=Work
1=Other
[Work]
Type=Echo
MaximumThreads=2
MaxFinishedSize=1000000
[Other]
Type=Echo
";

/// Returns the reasons of refusals as `COUNT STATUS`, in their order.
fn reasons(answer: &Answer) -> Vec<String> {
    answer.with(|document| {
        let reasons = document.descendants().filter(|node| node.has_tag_name("reason"));
        let text = |of: roxmltree::Node<'_, '_>, name: &str| {
            let child = of.children().find(|child| child.has_tag_name(name));
            child.and_then(|child| child.text()).unwrap_or_default().to_owned()
        };
        reasons
            .map(|reason| {
                assert!(text(reason, "text").len() > 30, "{}", answer.0);
                format!("{} {}", text(reason, "count"), text(reason, "status"))
            })
            .collect()
    })
}

fn check(answer: &Answer, done: u64, refused: &[&str]) {
    assert_eq!(answer.number("done"), done, "{}", answer.0);
    assert_eq!(reasons(answer), refused, "{}", answer.0);
    let sum: u64 =
        refused.iter().map(|why| why.split(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(answer.number("refused"), sum, "{}", answer.0);
    assert_eq!(answer.must("more"), "false");
}

/// Submits actions that run, wait, have failed and have finished.
fn some(server: &Server) -> [String; 4] {
    let finished = server.submit_to("Work", "");
    server.outcome("Work", &finished);
    let failed = server.submit_to("Work", "&Fail=no");
    server.outcome("Work", &failed);
    let runs = server.submit_to("Work", "&Sleep=600");
    server.wait_in("Work", &runs, "Processing");
    server.info("Work", "pause", "").success();
    server.about("Work", "resume", &runs).success();
    let waits = server.submit_to("Work", "&Priority=1");
    [runs, waits, failed, finished]
}

#[test]
fn the_actions_of_many_tokens_get_a_command() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let [runs, waits, failed, finished] = some(&server);
    let other = server.submit_to("Other", "&Sleep=600");
    server.wait_in("Other", &other, "Processing");
    let all = format!("{runs},{waits}, {failed},{finished},,{other},{waits}");
    let give = |command: &str, rest: &str| {
        server.ask(&format!("QueueInfo&QueueAction={command}{rest}")).success()
    };
    let here = format!("&QueueName=Work&Tokens={all}").replace(' ', "%20");
    let raised = give("changePriority", &format!("{here}&Priority=7"));
    check(&raised, 1, &["1 ", "1 Processing", "1 Error", "1 Finished"]);
    check(&give("retry", &here), 2, &["1 ", "1 Processing", "1 Finished"]);
    check(&give("cancel", &here), 2, &["1 ", "1 Processing", "1 Finished"]);
    for token in [&waits, &failed] {
        assert_eq!(server.status_in("Work", token), "Cancelled");
    }
    // Without a queue, each token names its own; it has been cancelled before, which is accepted.
    let anywhere = here.replace("&QueueName=Work", "");
    check(&give("cancel", &anywhere), 2, &["2 Processing", "1 Finished"]);
    check(&give("stop", &anywhere), 4, &["1 Finished"]);
    server.wait_in("Work", &runs, "Stopped");
    server.wait_in("Other", &other, "Stopped");
    let deleted = give("delete", &here);
    assert_eq!(deleted.number("deleted"), 4);
    check(&deleted, 4, &["1 "]);
    check(&give("delete", &anywhere), 1, &["4 "]);
    let status = server.info("Work", "queueStatus", "").success();
    assert_eq!(status.number("finished"), 0);

    // More tokens than a request line holds come in a body.
    let mut caller = Caller::new(server.address).unwrap();
    let mut submit = |_| caller.ask("Work").unwrap().success().must("token");
    let tokens: Vec<String> = (0..300).map(&mut submit).collect();
    let joined = tokens.join(",");
    let about = [("QueueAction", "cancel"), ("Tokens", &*joined)];
    check(&server.post("QueueInfo", &about).success(), 300, &[]);
    let json = server.get(&format!(
        "/action=QueueInfo&QueueAction=retry&ResponseFormat=simplejson&Tokens={}",
        tokens[0]
    ));
    assert!(
        json.contains(r#""reasons":{"reason":[{"count":"1","status":"Cancelled","text":""#),
        "{json}"
    );
}

#[test]
fn all_that_filters_select_get_a_command() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let [runs, waits, failed, finished] = some(&server);
    let low = server.submit_to("Work", "&Priority=-3&Colour=red");
    let give = |command: &str, rest: &str| {
        server.info("Work", command, &format!("{rest}&All=true")).success()
    };
    check(&give("changePriority", "&Max-Priority=0&State=queued&Priority=-9"), 1, &[]);
    check(&give("retry", "&Text=NO&State=error"), 1, &[]);
    assert_eq!(server.status_in("Work", &failed), "Queued");
    check(&give("cancel", "&Parameter.colour=red"), 1, &[]);
    assert_eq!(server.status_in("Work", &low), "Cancelled");
    check(&give("cancel", "&Parameter.colour=Red"), 0, &[]);
    check(&give("cancel", "&MaxResults=1&Sort-Order=ascending&State=queued"), 1, &[]);
    assert_eq!(server.status_in("Work", &failed), "Cancelled", "the oldest");
    // What is cancelled already is passed over.
    check(&give("cancel", ""), 1, &["1 Processing", "1 Finished"]);
    assert_eq!(server.status_in("Work", &waits), "Cancelled");
    check(&give("stop", "&State=running"), 1, &[]);
    server.wait_in("Work", &runs, "Stopped");
    check(&give("retry", "&State=finished"), 0, &["3 Cancelled", "1 Stopped", "1 Finished"]);
    let deleted = give("delete", "&State=stopped,cancelled");
    assert_eq!((deleted.number("deleted"), deleted.number("done")), (4, 4));
    let deleted = give("delete", "");
    assert_eq!(deleted.number("deleted"), 1, "{finished}");
    let nothing = server.info("Work", "getStatus", "").success();
    assert_eq!(nothing.values("token").len(), 0);
}

/// A command whose parameters were lost on the way, or misspelt, hits nothing.
#[test]
fn no_action_gets_a_command_by_mistake() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let [runs, waits, ..] = some(&server);
    for (command, rest, expected) in [
        ("stop", "&Tokens=", "The parameter Tokens has"),
        ("stop", "&State=queued", "The parameter All is required"),
        ("stop", "&Parameter.Sleep=600", "The parameter All is required"),
        ("cancel", "&State=queued&All=false", "The parameter All is required"),
        ("cancel", "", "Tokens, or All=true with filters"),
        ("stop", "&All=true&Stat=queued", "Is State meant?"),
        ("stop", "&All=true&Queued-Before=", "a value for each parameter"),
        ("stop", "&All=true&Token=x", "The parameter Token has"),
        ("pause", "&Tokens=x", "The parameter Tokens has"),
        ("stop", "&ActionID=j1", "ActionID and other filters"),
        ("stop", "&Token=", "none with stop of a whole queue"),
        ("stop", "&Text=", "The parameter Text has"),
        ("stop", "&Tokns=X", "has no parameter 'Tokns'"),
        ("stop", "&Param.Name=a", "has no parameter 'Param.Name'"),
        ("pause", "&State=queued", "The parameter State has the value 'queued'"),
        ("pause", "&All=true&State=queued", "The parameter All has the value 'true'"),
        ("resume", "&ActionID=j1", "none with resume of a whole queue"),
        ("cancel", "&All=true&Priority=5", "Is Min-Priority meant?"),
        ("delete", "&State=finished&Priority=5", "Is Min-Priority meant?"),
        ("cancel", "&Tokens=x,y", "the value 'x'"),
        ("cancel", "&Tokens=x,y", "; this is number 1 of 2."),
    ] {
        let (_, description) = server.info("Work", command, rest).error();
        assert!(description.contains(expected), "{command} {rest}: {description}");
    }
    assert_eq!(server.status_in("Work", &runs), "Processing");
    assert_eq!(server.status_in("Work", &waits), "Queued");
}

/// While many are cancelled, others submit, poll and steer as ever; a request that is short of time says that there are more.
#[test]
fn many_are_cancelled_in_small_steps() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Work", "pause", "").success();
    let number = 2_000;
    submit_many(&server, number);
    let about = "QueueInfo&QueueName=Work&QueueAction=cancel&State=queued&All=true";
    let hurried = server.ask(&format!("{about}&Wait=0")).success();
    assert_eq!((hurried.number("done"), hurried.must("more")), (0, "true".to_owned()));
    let answer = command_beside_others(&server, about);
    assert_eq!((answer.must("more"), answer.number("refused")), ("false".to_owned(), 0));
    assert_eq!(answer.number("done"), number);
    let counted = |name: &str| server.info("Work", "queueStatus", "").success().number(name);
    wait_until("the counts", || counted("pending") == 0 && counted("finished") == number);
}
