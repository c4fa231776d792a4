//! Examples of the docs beside plain requests: programs, configurations that need something around them, and lines for a
//! shell. Each is taken from its page as it stands; only places, such as `/srv`, are others here.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::calls::Answer;
use super::server::{Home, Server, wait_until};
use super::service::ServicePort;
use super::skip::skipped;

/// The blocks of code below a heading of a page, up to the next one of its level: each with its kind.
fn blocks(page: &str, heading: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(path).expect("the page");
    let (_, below) = text.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut is_open = false;
    for line in below.lines().take_while(|line| !line.starts_with("## ")) {
        if let Some(kind) = line.strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                blocks.push((kind.to_owned(), String::new()));
            }
        } else if is_open && let Some((_, block)) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    assert!(!blocks.is_empty(), "{page} has no code below {heading}");
    blocks
}

/// The one block of a kind.
fn block(page: &str, heading: &str, kind: &str) -> String {
    let mut of_kind = blocks(page, heading).into_iter().filter(|(is, _)| is == kind);
    let (_, block) = of_kind.next().expect("a block of that kind");
    block
}

/// The lines for a shell in a block, each with what is printed below it.
fn lines(block: &str) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), lines.last_mut()) {
            (Some(command), _) => lines.push((command.to_owned(), String::new())),
            (None, Some((_, printed))) => {
                printed.push_str(line);
                printed.push('\n');
            }
            (None, None) => {}
        }
    }
    lines
}

/// Runs a line in a shell, as its reader does.
fn run(line: &str, home: &Home) -> String {
    let output = Command::new("sh").args(["-c", line]).current_dir(home.path()).output();
    let output = output.expect("a shell");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asserts that what was printed holds what the page shows, in its order; `...` stands for anything.
fn assert_like(shown: &str, printed: &str) {
    let mut rest = printed;
    for part in shown.split("...").map(str::trim).filter(|part| !part.is_empty()) {
        let found = rest.find(part).unwrap_or_else(|| panic!("no {part:?} in {rest:?}"));
        rest = &rest[found + part.len()..];
    }
}

/// A home with programs of its own in front of those of the system.
fn home_with(config: &str, programs: &[(&str, &str)]) -> (Home, Server) {
    let home = Home::new(config);
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    for (name, text) in programs {
        let path = bin.join(name);
        std::fs::write(&path, text).expect("a program");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod +x");
    }
    let mut command = home.command();
    let path = std::env::var("PATH").expect("a PATH");
    command.env("PATH", format!("{}:{path}", bin.display()));
    let server = Server::run(command);
    (home, server)
}

/// A converter of pictures, as far as the page needs it.
const CONVERT: &str = r#"#!/bin/sh
[ -e "$1" ] || { echo "convert: unable to open image '$1': No such file or directory" >&2; exit 1; }
cp "$1" "$5"
"#;

#[test]
fn the_first_command_does_what_its_page_says() {
    let (home, server) =
        home_with(&block("commands.md", "A first one", "ini"), &[("convert", CONVERT)]);
    for directory in ["photos", "small"] {
        std::fs::create_dir(home.path().join(directory)).expect("a directory");
    }
    std::fs::write(home.path().join("photos/1.jpg"), "a picture").expect("a picture");
    let here = home.path().to_str().expect("a path of characters");
    let lines = lines(&block("commands.md", "A first one", "text"));
    assert_eq!(lines.len(), 2);
    for (line, shown) in lines {
        let line = line.replace("localhost:7000", &server.address.to_string());
        let line = line.replace("/srv", here);
        assert_like(&shown.replace("MTI3", ""), &run(&format!("{line} -s"), &home));
    }
    assert_eq!(std::fs::read(home.path().join("small/1.jpg")).expect("a file"), b"a picture");
}

#[test]
fn the_python_script_does_what_its_page_says() {
    if Command::new("python3").arg("--version").output().is_err() {
        skipped("the script in Python", "there is no python3");
        return;
    }
    let script = block("commands.md", "Run a Python script", "python");
    let config = block("commands.md", "Run a Python script", "ini");
    let home = Home::new("");
    std::fs::write(home.path().join("report.py"), script).expect("the script");
    let here = home.path().to_str().expect("a path of characters").to_owned();
    let config = config.replace("/srv/venv/bin/python", "python3").replace("/srv/jobs", &here);
    home.configure(&config);
    let server = home.start();
    let done = server.ask("Report&Customers=Ada,Grace,Edsger&Wait=30").success();
    let found = (done.must("status"), done.must("customers"), done.must("pages"));
    assert_eq!(found, ("Finished".into(), "3".into(), "12".into()), "{}", done.0);
}

/// They know the length of a film, and make a copy of it.
const FFPROBE: &str = "#!/bin/sh\necho 10.5\n";
const FFMPEG: &str = r#"#!/bin/sh
for word; do output=$word; done
printf 'out_time_us=N/A\nout_time_us=5000000\nprogress=end\n' > ticks
printf 'a film' > "$output"
"#;

#[test]
fn the_transcoding_script_does_what_its_page_says() {
    let script = block("commands.md", "Transcode a video", "sh");
    let config = block("commands.md", "Transcode a video", "ini");
    let programs = [("transcode", &*script), ("ffprobe", FFPROBE), ("ffmpeg", FFMPEG)];
    let (home, server) = home_with(&config.replace("/srv/bin/", ""), &programs);
    let output = home.path().join("small.mp4");
    let request = format!("Transcode&Input=/srv/film.mp4&Output={}&Wait=30", output.display());
    let done = server.ask(&request).success();
    assert_eq!(
        (done.must("status"), done.must("bytes")),
        ("Finished".into(), "6".into()),
        "{}",
        done.0
    );
    assert_eq!(done.must("file"), output.to_str().expect("a path of characters"));
}

#[test]
fn the_protocol_of_workers_is_as_its_page_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/workers.md");
    let text = std::fs::read_to_string(path).expect("the page");
    let (_, config) = text.split_once("```ini\n").expect("a configuration");
    let (config, _) = config.split_once("```").expect("its end");
    let home = Home::new(config);
    let server = home.start();
    let token = server.submit_to("Render", "&Scene=castle");
    let lines = lines(&block("workers.md", "The protocol", "sh"));
    assert_eq!(lines.len(), 3);
    for (line, shown) in lines {
        let line = line.replace("localhost:7000", &server.address.to_string());
        // Nobody wishes anything else, so it would wait for all of its time.
        let line = line.replace("MTI3...", &token).replace("Wait=10", "Wait=0.1");
        assert_like(&shown.replace("MTI3...", &token), &run(&line, &home));
    }
    assert_eq!(server.outcome("Render", &token).must("frames"), "250");
}

#[test]
fn lines_for_a_shell_do_what_their_pages_say() {
    let home = Home::new("");
    let server = home.start();
    let here = server.address.to_string();

    let [(line, shown)] = &lines(&block("security.md", "Keys, in five minutes", "text"))[..] else {
        panic!("one line");
    };
    let line = line.replace("actiond", env!("CARGO_BIN_EXE_actiond"));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = words(shown).replace("Z0l4...", "...").replace("9f2c...", "...");
    assert_like(&shown, &words(&run(&line, &home)));

    let line = block("schedules.md", "Watching and steering", "sh");
    let reply = Answer(run(&line.replace("localhost:7000", &here), &home)).success();
    assert!(reply.0.contains("SCHEDULEINFO"), "{}", reply.0);
    assert!(server.ask("ScheduleInfo").0.contains("<name>Hourly</name>"));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let line = page.lines().find_map(|line| line.strip_prefix("$ ")).expect("a line");
    let told = run(&line.replace("localhost:7000", &here), &home);
    assert!(told.lines().count() >= 8, "{told}");
    assert!(told.lines().all(|line| line.starts_with("actiond_actions{")), "{told}");
}

#[test]
fn the_service_port_tells_what_its_page_says() {
    let config = "[Service]\nServicePort=0\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\nMaximumThreads=2\n\
                  [Logging]\nLogDirectory=logs\n0=ActionLogStream\n[ActionLogStream]\nLogFile=action.log\nLogTypeCSVs=action\n";
    let home = Home::new(config);
    let server = home.start();
    let port = ServicePort::of(&server).0.to_string();
    let tokens: Vec<_> = (0..4).map(|_| server.submit("&Sleep=600")).collect();
    wait_until("two that run", || server.info("Process", "queueStatus", "").must("running") == "2");
    let all = blocks("operations.md", "The service port");
    let all: Vec<_> = all.iter().flat_map(|(_, block)| lines(block)).collect();
    let told = |action: &str| {
        let (line, shown) = all.iter().find(|(line, _)| line.contains(action)).expect("a line");
        let printed = run(&line.replace("localhost:7002", &port), &home);
        (shown.clone(), printed)
    };
    for action in ["action=GetStatus\"", "action=GetStatistics"] {
        let (shown, printed) = told(action);
        assert_like(&shown, &printed);
    }
    let (shown, printed) = told("action=GetConfig");
    let keys = ["DataDirectory=", "// default", "MaximumThreads=2"];
    assert!(keys.iter().all(|key| shown.contains(key) && printed.contains(key)), "{printed}");
    // The page shows an action that has ended; these have only begun.
    let (shown, printed) = told("action=GetLogStream&");
    assert!(shown.contains("00-Always: Starting PROCESS [MTI3"), "{shown}");
    let begun = format!("00-Always: Starting PROCESS [{}]", tokens[1]);
    assert!(printed.contains(&begun), "{printed}");
}
