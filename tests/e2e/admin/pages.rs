//! Pages as a user sees and uses them.

use super::browser::Browser;
use super::config;
use crate::server::{Home, Server};

fn open(config: &str) -> Option<(Home, Server, Browser)> {
    let home = Home::new(config);
    let server = home.start();
    let browser = Browser::open(&server)?;
    Some((home, server, browser))
}

/// The card of this queue.
fn card(queue: &str) -> String {
    format!("article[data-queue='{queue}']")
}

/// The rows of the list, each by the text of its cells.
fn rows(browser: &Browser, column: usize) -> Vec<String> {
    browser.texts(&format!("#rows tr > :nth-child({column})"))
}

#[test]
fn all_queues_are_seen_live_paused_and_resumed() {
    let Some((_home, server, browser)) = open(&config("")) else { return };
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
    let failed = server.submit("&Fail=no+luck");
    server.wait_for_status(&failed, "Error");
    browser.visit("");
    assert_eq!(browser.texts(".card h2"), ["Process", "Other"]);
    let count =
        |queue: &str, state: &str| browser.text(&format!("{} [data-count='{state}']", card(queue)));
    assert_eq!((count("Process", "finished"), count("Process", "error")), ("1".into(), "1".into()));
    assert!(browser.text(&card("Process")).contains("Last hour: 2 ended, 1 in Error"));
    browser.wait_until_live();
    // What happens is seen without a word of the user.
    server.info("Other", "pause", "").success();
    browser.wait_for("a queue that another one has paused", |browser| {
        browser.text(&card("Other")).contains("Paused\n")
    });
    for _ in 0..20 {
        server.submit_to("Process", "");
    }
    browser.wait_for("what has ended", |_| count("Process", "finished") == "21");
    server.submit_to("Other", "");
    browser.wait_for("what waits", |_| count("Other", "queued") == "1");
    // And steered.
    browser.click(&format!("{} form button", card("Other")));
    browser.wait_for("a word about it", |browser| {
        browser.is_there(".said") && browser.text(".said") == "Other goes on."
    });
    browser.wait_for("the end of what waited", |_| count("Other", "finished") == "1");
    browser.click(&format!("{} form button", card("Process")));
    browser.wait_for("a pause", |browser| {
        browser.is_there(&format!("{} .state-paused", card("Process")))
    });
    assert_eq!(server.info("Process", "queueStatus", "").must("paused"), "true");
    browser.has_no_complaint(&[]);
}

#[test]
fn a_list_is_filtered_sorted_and_paged_by_its_address() {
    let Some((_home, server, browser)) = open(&config("")) else { return };
    server.info("Process", "pause", "").success();
    for n in 0..60 {
        server.submit(&format!("&n={n}&Priority={}", n % 3));
    }
    browser.visit("/queue?QueueName=Process");
    assert_eq!(rows(&browser, 2).len(), 50);
    let first = rows(&browser, 2);
    browser.click("a[rel=next]");
    browser.wait_for("the next page", |browser| browser.place().contains("After="));
    let second = rows(&browser, 2);
    assert_eq!(second.len(), 10);
    assert!(second.iter().all(|id| !first.contains(id)));
    assert!(!browser.is_there("a[rel=next]"));
    browser.click("a[rel=prev]");
    browser.wait_for("the page before", |browser| browser.place().contains("Before="));
    assert_eq!(rows(&browser, 2), first);
    assert!(!browser.is_there("a[rel=prev]"), "there is nothing before it");

    // Filters are in the address.
    browser.click(".filters summary");
    browser.fill("input[name=Min-Priority]", "2");
    browser.fill("input[name=parameter-name]", "n");
    browser.fill("input[name=parameter-value]", "5");
    browser.click("input[name=State][value=queued]");
    browser.click(".filters button");
    browser.wait_for("one that fits", |browser| rows(browser, 2).len() == 1);
    let shown = browser.text(".filters summary");
    assert_eq!(shown, "Filters: State=queued, Min-Priority=2, Parameter.n=5");
    browser.visit("/queue?QueueName=Process&Parameter.n=5&Sort-Order=ascending");
    assert_eq!(rows(&browser, 10), ["2"]);
    browser.visit("/queue?QueueName=Process&Sort-Order=ascending&MaxResults=25");
    let oldest: Vec<u64> = rows(&browser, 2).iter().map(|id| id.parse().expect("an id")).collect();
    assert!(oldest.is_sorted() && oldest.len() == 25, "{oldest:?}");
    browser.visit("/queue?QueueName=Process&State=error");
    assert!(browser.text("main").contains("No action matches these filters."));
    browser.visit("/queue?QueueName=Process&State=broken");
    assert!(browser.text(".problem").contains("broken"));
    browser.has_no_complaint(&["400"]);
}

#[test]
fn many_are_chosen_and_commanded_after_a_question() {
    let Some((_home, server, browser)) = open(&config("")) else { return };
    server.info("Process", "pause", "").success();
    for n in 0..60 {
        server.submit(&format!("&n={}", n % 2));
    }
    browser.visit("/queue?QueueName=Process");
    // Nothing is chosen.
    browser.click("#chosen button[value=cancel]");
    browser.wait_for("a word", |browser| browser.text("#live") == "No action is chosen");
    browser.click("#rows tr:nth-child(1) input");
    browser.click("#rows tr:nth-child(2) input");
    assert_eq!(browser.text("#number-chosen"), "2 chosen");
    browser.click("#chosen button[value=cancel]");
    browser.wait_for("a question", |browser| {
        browser.is_there("dialog[open]")
            && browser.text("dialog h1") == "Cancel 2 actions of Process?"
    });
    // It can be left.
    browser.click("dialog [data-close]");
    assert!(!browser.is_there("dialog[open]"));
    assert_eq!(server.info("Process", "queueStatus", "").number("pending"), 60);
    browser.click("#chosen button[value=cancel]");
    browser.click("dialog[open] button.danger");
    browser.wait_for("what was done", |browser| {
        browser.is_there(".said") && browser.text(".said") == "Cancel: 2 done, 0 refused."
    });
    assert_eq!(rows(&browser, 3)[..3], ["Cancelled", "Cancelled", "Queued"]);
    // A page at once.
    browser.click("#choose-all");
    assert_eq!(browser.text("#number-chosen"), "50 chosen");
    browser.click("#chosen button[value=changePriority]");
    browser.fill("dialog[open] #priority", "7");
    browser.click("dialog[open] button.primary");
    browser.wait_for("what was done and not", |browser| {
        browser.is_there(".said")
            && browser.text(".said").starts_with("Change priority: 48 done, 2 refused (2:")
    });
    // All that the filters select, of this page or not.
    browser.visit("/queue?QueueName=Process&Parameter.n=1");
    browser.click("details.all summary");
    browser.click("details.all a[href*='QueueAction=cancel']");
    browser.wait_for("a question", |browser| {
        browser.is_there("dialog[open]")
            && browser.text("dialog h1") == "Cancel all actions of Process with Parameter.n=1?"
    });
    browser.click("dialog[open] button.danger");
    browser.wait_for("what was done", |browser| {
        browser.is_there(".said") && browser.text(".said").starts_with("Cancel: ")
    });
    let left = server.info("Process", "getStatus", "&State=queued&Parameter.n=1").success();
    assert_eq!(left.values("token").len(), 0);
    let others = server.info("Process", "getStatus", "&State=queued&Parameter.n=0").success();
    assert_eq!(others.values("token").len(), 29);
    browser.has_no_complaint(&[]);
}

#[test]
fn an_action_is_seen_live_and_steered() {
    let Some((_home, server, browser)) = open(&config("")) else { return };
    let token = server.submit("&Sleep=600&Name=Ada+%3CLovelace%3E");
    server.wait_for_status(&token, "Processing");
    browser.visit("/queue?QueueName=Process");
    browser.wait_until_live();
    let percent = |browser: &Browser, css: &str| {
        let text = browser.texts(css).concat();
        text.split(' ').next().and_then(|percent| percent.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let before = percent(&browser, "#rows .progress");
    browser
        .wait_for("progress in the list", |browser| percent(browser, "#rows .progress") > before);
    browser.click("#rows th a");
    browser.wait_until_live();
    assert!(browser.text(".heading").contains("Processing"));
    assert_eq!(browser.texts(".parameters dd"), ["600", "Ada <Lovelace>"]);
    let before = percent(&browser, ".bar");
    browser.wait_for("progress of the action", |browser| percent(browser, ".bar") > before);
    let press = |label: &str| {
        let script = "const found = [...document.querySelectorAll('#action .commands button, #action .commands a')]
            .find(e => e.innerText.trim() === arguments[0]); if (found) found.click(); return Boolean(found)";
        browser.wait_for(&format!("a button {label}"), |browser| {
            browser.run(script, vec![label.into()]) == serde_json::json!(true)
        });
    };
    press("Pause");
    browser.wait_for("a pause", |browser| browser.text(".heading").contains("Paused"));
    press("Resume");
    browser
        .wait_for("work that goes on", |browser| browser.text(".heading").contains("Processing"));
    // Another one stops it, and the page shows it.
    press("Stop");
    browser.wait_for("a question", |browser| browser.is_there("dialog[open]"));
    assert!(browser.text("dialog").contains("is ended by force"));
    browser.click("dialog[open] button.danger");
    browser.wait_for("its end", |browser| browser.text(".heading").contains("Stopped"));
    assert_eq!(server.status(&token), "Stopped");
    // Again, with another parameter.
    press("Edit and send");
    browser.wait_for("its form", |browser| browser.is_there("input[name='p-Sleep']"));
    browser.fill("input[name='p-Sleep']", "0");
    browser.click("form.fields button.primary");
    browser.wait_for("the reply", |browser| browser.is_there("#reply .tree a"));
    browser.click("#reply .tree a");
    browser.wait_for("the copy", |browser| browser.is_there("#action"));
    browser.wait_for("its end", |browser| browser.text(".heading").contains("Finished"));
    assert_eq!(browser.texts(".parameters dd"), ["0", "Ada <Lovelace>"]);
    press("Duplicate");
    browser.wait_for("another", |browser| {
        browser.is_there(".said") && browser.text(".said") == "This is the copy."
    });
    press("Delete");
    browser.click("dialog[open] button.danger");
    browser.wait_for("the list without it", |browser| browser.place().starts_with("/queue"));
    assert_eq!(rows(&browser, 3), ["Finished", "Stopped"]);
    browser.has_no_complaint(&[]);
}

#[test]
fn any_action_is_sent_by_its_form() {
    let Some((_home, _server, browser)) = open(&config("")) else { return };
    browser.visit("/console");
    browser.click(".choices a[href$='Action=GetVersion']");
    browser.click("form.fields button.primary");
    browser.wait_for("the reply", |browser| browser.is_there("#reply .tree"));
    assert!(browser.text("#reply .tree").contains("productname: actiond"));
    assert!(browser.text("#reply").contains("action=GetVersion"));
    // An error of the server is told as it is.
    browser.visit("/console?Action=QueueInfo");
    browser.run("document.querySelector('form.fields').noValidate = true", Vec::new());
    browser.click("form.fields button.primary");
    browser.wait_for("an error", |browser| browser.is_there("#reply .problem"));
    assert!(browser.text("#reply .problem").contains("QueueAction"));
    // What has no field.
    browser.visit("/console?Action=Process");
    browser.fill("textarea[name=console-more]", "Title=A & B = C\nLine=\u{e9}");
    browser.run("document.querySelector(\"input[name='p-Wait']\").value = '5'", Vec::new());
    browser.click("form.fields button.primary");
    browser.wait_for("its result", |browser| browser.is_there("#reply .tree"));
    let reply = browser.text("#reply .tree");
    assert!(reply.contains("A & B = C") && reply.contains('\u{e9}'), "{reply}");
    assert!(browser.text("#reply pre").contains("--data-urlencode 'Title=A & B = C'"));
    browser.has_no_complaint(&[]);
}

#[test]
fn the_keyboard_is_enough() {
    let Some((_home, server, browser)) = open(&config("")) else { return };
    server.info("Process", "pause", "").success();
    server.submit("");
    browser.visit("");
    browser.tab_to(".skip");
    browser.tab_to(".card h2 a");
    browser.press("\u{E007}");
    browser.wait_for("the list", |browser| browser.is_there("#rows tr"));
    browser.tab_to("#rows input");
    browser.press(" ");
    assert_eq!(browser.text("#number-chosen"), "1 chosen");
    browser.run("document.querySelector('main').focus()", Vec::new());
    browser.visit(&browser.place());
    browser.tab_to("#rows th a");
    browser.press("\u{E007}");
    browser.wait_for("the action", |browser| browser.is_there("#action"));
    browser.tab_to("#action a.danger");
    // A link that looks like a button.
    browser.press(" ");
    browser.wait_for("a question", |browser| browser.is_there("dialog[open]"));
    browser.tab_to("dialog button.danger");
    browser.press("\u{E007}");
    browser.wait_for("its end", |browser| browser.text(".heading").contains("Cancelled"));
    browser.has_no_complaint(&[]);
}

#[test]
fn the_server_its_schedules_handlers_and_log_are_shown_and_steered() {
    let config = format!(
        "{}[Schedules]\n0=Nightly\n[Nightly]\nAction=Process\nCron=0 2 * * *\n[Dead]\nLibraryName=TextFileHandler\nFilePath=/dev/full\nRetries=0\n\
         [Logging]\n0=Application\n[Application]\nLogTypeCSVs=application\n",
        config("").replace("[Actions]", "[Actions]\nOnFinish=Dead")
    );
    let Some((_home, server, browser)) = open(&config) else { return };
    browser.visit("/server");
    let text = browser.text("main");
    for part in ["Version", "full", "Nightly", "0 2 * * *", "Dead", "TextFileHandler", "Admin"] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    browser.click("button[aria-label='Run now: Nightly']");
    browser.wait_for("a word", |browser| {
        browser.is_there(".said") && browser.text(".said") == "The schedule Nightly runs once now."
    });
    browser.click("button[aria-label='Pause Nightly']");
    browser.wait_for("a pause", |browser| browser.is_there("button[aria-label='Resume Nightly']"));
    assert_eq!(server.ask("ScheduleInfo").must("paused"), "true");
    browser.has_no_complaint(&[]);
}
