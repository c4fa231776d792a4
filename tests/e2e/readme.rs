//! The examples of the README and of docs/README.md, sent as they stand there, and their replies compared with those
//! printed there. Times, tokens and numbers of seconds differ from run to run and are masked.

use std::collections::HashMap;
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

/// The file into which the examples write a reply, to take its token from there.
const REPLY: &str = "/tmp/reply";

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    let mut before_block = 0;
    for line in page.lines() {
        if line.starts_with("```") {
            in_block = line == "```sh";
            before_block = steps.len();
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| in_block) {
            steps.push(if let Some((name, _)) = command.split_once("=$(sed ") {
                Step::Variable { name: name.to_owned(), command: command.to_owned() }
            } else {
                let target = between(command, "localhost:7000", "\"").expect("a curl line");
                Step::Request { target: target.to_owned(), reply: String::new() }
            });
        } else if in_block
            && let Some(Step::Request { reply, .. }) = steps[before_block..].last_mut()
        {
            reply.push_str(line);
        }
    }
    steps
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

/// Runs the examples of a page as a newcomer does: in the repository, with its configuration; only port and data are apart.
fn run_examples(page: &str, at_least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join(page)).expect("the page");
    let steps = steps(&page);
    let requests = steps.iter().filter(|step| matches!(step, Step::Request { .. })).count();
    assert!(requests >= at_least, "only {requests} examples were found");

    let home = Home::new("");
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    command.arg("--data").arg(home.data()).args(["--port", "0"]).current_dir(root);
    let server = Server::run(command);
    let last_reply = home.path().join("reply");
    let mut variables: HashMap<String, String> = HashMap::new();
    for step in steps {
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
    run_examples("README.md", 4);
}

#[test]
fn every_example_of_the_docs_prints_what_it_says() {
    run_examples("docs/README.md", 8);
}
