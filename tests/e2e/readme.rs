//! The examples of the README, sent as they stand there, and their replies compared with those
//! printed there. Times, tokens and numbers of seconds differ from run to run and are masked.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::server::{Home, PATIENCE, Server, between};

/// One example: the target of its curl line, and the reply that stands below it.
struct Example {
    target: String,
    reply: String,
    /// The variable that the README sets to the token of this reply.
    sets: Option<String>,
}

fn examples(readme: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut in_block = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            in_block = line == "```sh";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| in_block) {
            if let Some((name, _)) = command.split_once("=$(sed ") {
                examples.last_mut().expect("a reply above").sets = Some(name.to_owned());
            } else {
                let target = between(command, "localhost:7000", "\"").expect("a curl line");
                let target = target.to_owned();
                examples.push(Example { target, reply: String::new(), sets: None });
            }
        } else if in_block && let Some(example) = examples.last_mut() {
            example.reply.push_str(line);
        }
    }
    examples
}

/// Replaces what differs from run to run.
fn masked(reply: &str) -> String {
    let masks = [
        (r"[A-Za-z0-9]{30,}={0,2}", "TOKEN"),
        (r"\d{4}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2}", "TIME"),
        (r"<(time_\w+|slept_ms|position)>\d+<", "<$1>N<"),
    ];
    masks.into_iter().fold(reply.trim().to_owned(), |text, (pattern, mask)| {
        regex::Regex::new(pattern).expect("a pattern").replace_all(&text, mask).into_owned()
    })
}

#[test]
fn every_example_of_the_readme_prints_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the README");
    let examples = examples(&readme);
    assert!(examples.len() >= 9, "only {} examples were found", examples.len());

    // As a newcomer does: in the repository, with its configuration; only port and data are apart.
    let home = Home::new("");
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    command.arg("--data").arg(home.data()).args(["--port", "0"]).current_dir(root);
    let server = Server::run(command);
    let mut variables: HashMap<String, String> = HashMap::new();
    for example in examples {
        let mut target = example.target.clone();
        for (name, value) in &variables {
            target = target.replace(&format!("${name}"), value);
        }
        let mut reply = server.get(&target);
        if target.contains("getStatus") {
            // A reader takes longer from one line to the next than an action from state to state.
            let began = Instant::now();
            while masked(&reply) != masked(&example.reply) && began.elapsed() < PATIENCE {
                reply = server.get(&target);
            }
        }
        assert_eq!(masked(&reply), masked(&example.reply), "{}", example.target);
        if let Some(name) = example.sets {
            let token = between(&reply, "<token>", "</token>");
            let token = token.or_else(|| between(&reply, "\"token\":\"", "\""));
            variables.insert(name, token.expect("a token").to_owned());
        }
    }
}
