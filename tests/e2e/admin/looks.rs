//! Accessibility, small screens, the dark, and hostile names.

use std::path::Path;

use super::browser::Browser;
use super::config;
use crate::server::Home;
use crate::skip::skipped;

/// The script of axe-core, as `tests/run` has it from npm.
fn axe() -> Option<String> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/node_modules/axe-core/axe.min.js");
    match std::fs::read_to_string(&path) {
        Ok(script) => Some(script),
        Err(error) => {
            skipped("accessibility by axe-core", &format!("{}: {error}", path.display()));
            None
        }
    }
}

/// Checks that axe-core finds nothing wrong with the page that is shown.
fn is_accessible(browser: &Browser, axe: &str, page: &str) {
    browser.run(axe, Vec::new());
    let found = browser.run_async(
        "const done = arguments[arguments.length - 1];
         axe.run().then(r => done(r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join(' | '))));",
    );
    assert_eq!(found, serde_json::json!([]), "{page}");
}

#[test]
fn each_page_is_accessible_in_the_light_in_the_dark_and_on_a_phone() {
    let Some(axe) = axe() else { return };
    let config = format!(
        "{}[Schedules]\n0=Nightly\n[Nightly]\nAction=Process\nCron=0 2 * * *\n",
        config("").replace(
            "Type=Echo\nMaxQueueSize",
            "Type=Echo\nSecretParameters=Password\nMaxQueueSize"
        )
    );
    let home = Home::new(&config);
    let server = home.start();
    let Some(browser) = Browser::open(&server) else { return };
    let running = server.submit("&Sleep=600&Name=Ada");
    server.wait_for_status(&running, "Processing");
    let failed = server.submit("&Fail=no+luck");
    server.wait_for_status(&failed, "Error");
    let quoted = |token: &str| token.replace('=', "%3D");
    let pages = [
        String::new(),
        "/queue?QueueName=Process".to_owned(),
        "/queue?QueueName=Process&State=error&Text=luck".to_owned(),
        format!("/action?Token={}", quoted(&running)),
        format!("/action?Token={}", quoted(&failed)),
        format!("/confirm?QueueAction=stop&QueueName=Process&Token={}", quoted(&running)),
        "/confirm?QueueAction=changePriority&QueueName=Process&All=true".to_owned(),
        "/console".to_owned(),
        "/console?Action=Process".to_owned(),
        "/server".to_owned(),
        "/sign-in".to_owned(),
        "/nowhere".to_owned(),
    ];
    for (width, dark) in [(1300, false), (1300, true), (390, false)] {
        browser.sized(width, 800);
        if dark {
            browser.dark();
        }
        for page in &pages {
            browser.visit(page);
            is_accessible(&browser, &axe, &format!("{page} at {width}, dark: {dark}"));
            let wide = browser.run(
                "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
                Vec::new(),
            );
            assert_eq!(wide, 0, "{page} is wider than {width}");
        }
    }
    browser.has_no_complaint(&["404"]);
}

/// Text of users that would run, or change the page, if it were not escaped.
const HOSTILE: &str =
    "<img src=x onerror=document.title='run'>\"'&lt;/td><script>document.title='run'</script>";

#[test]
fn hostile_text_is_shown_as_it_is_in_each_place() {
    let home = Home::new(&config(""));
    let server = home.start();
    let Some(browser) = Browser::open(&server) else { return };
    let token =
        server.post("Process", &[("Fail", HOSTILE), (HOSTILE, HOSTILE)]).success().must("token");
    server.wait_for_status(&token, "Error");
    let ended = server.post("Process", &[("Name", HOSTILE), ("Wait", "5")]).success().must("token");
    let encoded: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let quoted = |token: &str| token.replace('=', "%3D");
    for (page, css) in [
        ("/queue?QueueName=Process".to_owned(), "#rows td.error"),
        (format!("/action?Token={}", quoted(&token)), "pre.problem"),
        (format!("/action?Token={}", quoted(&token)), ".parameters"),
        (format!("/action?Token={}", quoted(&ended)), ".tree"),
        (format!("/queue?QueueName=Process&Text={encoded}"), ".filters summary"),
        (format!("/queue?QueueName={encoded}"), ".problem"),
        (
            format!("/confirm?QueueAction=stop&QueueName={encoded}&All=true&Text={encoded}"),
            "#question h1",
        ),
        (format!("/console?Action=Process&From={}", quoted(&ended)), "textarea, input[value]"),
    ] {
        browser.visit(&page);
        let script = "return [...document.querySelectorAll(arguments[0])].map(e => e.value === undefined ? e.textContent : e.value).join('\\n')";
        let shown = browser.run(script, vec![css.into()]).to_string();
        assert!(shown.contains("onerror=document.title='run'"), "{page}: {shown}");
        assert_eq!(
            browser.run("return document.querySelectorAll('img, main script').length", Vec::new()),
            0
        );
        assert!(
            !browser.run("return document.title", Vec::new()).to_string().contains("\"run\""),
            "{page}"
        );
    }
    // What leads back leads nowhere else.
    for back in [
        "https://evil.example/",
        "//evil.example/",
        "javascript:alert(1)",
        "/admin\\evil",
        "/adminevil",
    ] {
        browser.visit(&format!(
            "/confirm?QueueAction=retry&QueueName=Process&Token={}&back={back}",
            quoted(&token)
        ));
        browser.click("#question button.primary");
        browser.wait_for("a page here", |browser| browser.place().is_empty());
    }
    browser.has_no_complaint(&["400"]);
}

/// The pictures of the docs: `cp target/pictures/*.png docs/pictures/` takes new ones.
#[test]
fn pictures_for_the_docs() {
    let config = format!(
        "{}[Schedules]\n0=Nightly\n[Nightly]\nAction=Process\nCron=0 2 * * *\n",
        config("")
    );
    let home = Home::new(&config);
    let server = home.start();
    let Some(browser) = Browser::open(&server) else { return };
    for n in 0..40 {
        server.submit(&format!("&Title=Chapter+{n}"));
    }
    server.submit("&Fail=the+disk+of+the+receiver+is+full");
    let token = server.submit("&Sleep=20&Title=Preface");
    server.wait_for_status(&token, "Processing");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pictures");
    std::fs::create_dir_all(&directory).expect("a directory");
    browser.sized(1_100, 760);
    for (name, page) in [
        ("admin-queues", String::new()),
        ("admin-queue", "/queue?QueueName=Process".to_owned()),
        ("admin-action", format!("/action?Token={}", token.replace('=', "%3D"))),
        ("admin-console", "/console?Action=Process".to_owned()),
    ] {
        browser.visit(&page);
        let picture = browser.picture();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name}");
        std::fs::write(directory.join(format!("{name}.png")), picture).expect("a picture");
    }
}
