//! The examples of the README and of pages of the docs, sent as they stand there, and their replies compared with those
//! printed there. Times, tokens and numbers of seconds differ from run to run and are masked.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::server::{Home, PATIENCE, Server, between};

/// One command of an example, and what is printed below it.
enum Step {
    /// The target of a curl line, and the reply to it.
    Request { target: String, reply: String },
    /// A line of the shell that takes a variable from the last reply.
    Variable { name: String, command: String },
}

/// A part of a page between two headings: the files that its reader writes, and what is run then.
#[derive(Default)]
struct Part {
    files: Vec<(String, String)>,
    steps: Vec<Step>,
}

/// The file into which the examples write a reply, to take its token from there.
const REPLY: &str = "/tmp/reply";

fn parts(page: &str) -> Vec<Part> {
    let written = regex::Regex::new("write `([^`]+)`:$").expect("a pattern");
    let mut parts = vec![Part::default()];
    let (mut block, mut before_block, mut file) = (None, 0, None);
    for line in page.lines() {
        if block.is_none() && line.starts_with("## ") {
            parts.push(Part::default());
        }
        let part = parts.last_mut().expect("one part");
        if let Some(kind) = line.strip_prefix("```") {
            block = if block.is_none() { Some(kind) } else { None };
            before_block = part.steps.len();
            if block.is_some()
                && let Some(name) = file.take()
            {
                part.files.push((name, String::new()));
                block = Some("file");
            }
        } else if block == Some("file") {
            let (_, text) = part.files.last_mut().expect("its name");
            text.push_str(line);
            text.push('\n');
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| block == Some("sh")) {
            part.steps.push(if let Some((name, _)) = command.split_once("=$(sed ") {
                Step::Variable { name: name.to_owned(), command: command.to_owned() }
            } else {
                let target = between(command, "localhost:7000", "\"").expect("a curl line");
                Step::Request { target: target.to_owned(), reply: String::new() }
            });
        } else if block == Some("sh")
            && let Some(Step::Request { reply, .. }) = part.steps[before_block..].last_mut()
        {
            reply.push_str(line);
        } else if block.is_none() {
            file = written.captures(line).map(|found| found[1].to_owned()).or(file);
        }
    }
    parts
}

/// Takes away the white space by which a page shows JSON on several lines.
fn on_one_line(reply: &str) -> String {
    if !reply.starts_with('{') {
        return reply.to_owned();
    }
    let mut in_text = false;
    let kept = reply.chars().filter(|&c| {
        in_text ^= c == '"';
        in_text || !c.is_whitespace()
    });
    kept.collect()
}

/// Replaces what differs from run to run.
fn masked(reply: &str) -> String {
    let masks = [
        (r"[A-Za-z0-9]{30,}={0,2}", "TOKEN"),
        (r"\d{4}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2}", "TIME"),
        (r"\d{2} [A-Z][a-z]{2} \d{2} \d{2}:\d{2}:\d{2}", "TIME"),
        (r"<(time_\w+|slept_ms)>\d+<", "<$1>N<"),
        (r#""(time_\w+|slept_ms)":"\d+""#, "\"$1\":\"N\""),
    ];
    masks.into_iter().fold(on_one_line(reply.trim()), |text, (pattern, mask)| {
        regex::Regex::new(pattern).expect("a pattern").replace_all(&text, mask).into_owned()
    })
}

/// Lets a shell take a variable from a reply, as its reader does.
fn taken(name: &str, command: &str, reply: &Path) -> String {
    let reply = reply.to_str().expect("a name of characters");
    let command = format!("{}; printf %s \"${name}\"", command.replace(REPLY, reply));
    let output = Command::new("sh").args(["-c", &command]).output().expect("a shell");
    String::from_utf8(output.stdout).expect("text")
}

/// Runs the examples of a page as a newcomer does: in the repository, with its configuration, or with the files that the page has
/// written; only port and data are apart.
fn run_examples(page: &str, at_least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join(page)).expect("the page");
    let parts = parts(&page);
    let requests = parts.iter().flat_map(|part| &part.steps);
    let requests = requests.filter(|step| matches!(step, Step::Request { .. })).count();
    assert!(requests >= at_least, "only {requests} examples were found");
    // Parts without files of their own go on with the same server.
    let (with_files, without): (Vec<_>, Vec<_>) =
        parts.into_iter().partition(|part| !part.files.is_empty());
    let shared = without.into_iter().flat_map(|part| part.steps).collect();
    for part in with_files.into_iter().chain([Part { files: Vec::new(), steps: shared }]) {
        if !part.steps.is_empty() {
            run_part(part, root);
        }
    }
}

fn run_part(part: Part, root: &Path) {
    let home = Home::new("");
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    command.arg("--data").arg(home.data()).args(["--port", "0"]).current_dir(root);
    for (name, text) in &part.files {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("the file");
        if name.ends_with(".sh") {
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(path, executable).expect("chmod +x");
        } else {
            command.args(["--config", name]).current_dir(home.path());
        }
    }
    let server = Server::run(command);
    let last_reply = home.path().join("reply");
    let mut variables: HashMap<String, String> = HashMap::new();
    for step in part.steps {
        let (mut target, printed) = match step {
            Step::Request { target, reply } => (target, reply),
            Step::Variable { name, command } => {
                let value = taken(&name, &command, &last_reply);
                assert_eq!(masked(&value), "TOKEN", "{command}");
                variables.insert(name, value);
                continue;
            }
        };
        for (name, value) in &variables {
            target = target.replace(&format!("${name}"), value);
        }
        let mut reply = server.get(&target);
        if target.contains("getStatus") {
            // A reader takes longer from one line to the next than an action from state to state.
            let began = Instant::now();
            while masked(&reply) != masked(&printed) && began.elapsed() < PATIENCE {
                reply = server.get(&target);
            }
        }
        assert_eq!(masked(&reply), masked(&printed), "{target}");
        std::fs::write(&last_reply, reply).expect("the reply is kept");
    }
}

#[test]
fn every_example_of_the_readme_prints_what_it_says() {
    run_examples("README.md", 2);
}

#[test]
fn every_example_of_the_quick_start_prints_what_it_says() {
    run_examples("docs/quick-start.md", 6);
}

#[test]
fn every_example_of_the_protocol_prints_what_it_says() {
    run_examples("docs/aci.md", 7);
}

#[test]
fn every_example_of_the_kinds_of_action_prints_what_it_says() {
    for (page, at_least) in [("docs/echo.md", 2), ("docs/ingest.md", 1), ("docs/fetch.md", 1)] {
        run_examples(page, at_least);
    }
}
