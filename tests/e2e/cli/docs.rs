//! The examples of docs/client.md, run as they stand there; the completions and the pages of the manual that are packaged.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::super::server::PATIENCE;
use super::{Ran, Served, run, words};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Replaces what differs from run to run.
fn masked(text: &str) -> String {
    let masks = [
        (r"[A-Za-z0-9]{40,}={0,2}", "TOKEN"),
        (r"\d{4}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2}", "TIME"),
        (r"\d{8}T\d{6}_[0-9.]+_\d+", "STAMP"),
        (r"(127\.0\.0\.1|localhost):\d+", "SERVER"),
        (r#""\d+":?"#, "N"),
        (r"\d[\d,.:]*", "N"),
        (r"[0-9a-fN]{6,}-N", "ID"),
        (r"/\S*/", "PATH/"),
        (r" +", " "),
    ];
    masks.into_iter().fold(text.trim().to_owned(), |text, (pattern, mask)| {
        regex::Regex::new(pattern).expect("a pattern").replace_all(&text, mask).into_owned()
    })
}

/// One command of the page and what is printed below it.
struct Example {
    line: String,
    printed: String,
}

fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_block = line == "```console";
        } else if let Some(line) = line.strip_prefix("$ ").filter(|_| in_block) {
            examples.push(Example { line: line.to_owned(), printed: String::new() });
        } else if let Some(last) = examples.last_mut().filter(|_| in_block) {
            last.printed.push_str(line);
            last.printed.push('\n');
        }
    }
    examples
}

/// Runs the examples in the repository, in one shell after another, as their reader does: what one has kept in a variable is there
/// for the next.
#[test]
fn every_example_prints_what_it_says() {
    let page = std::fs::read_to_string(root().join("docs/client.md")).expect("the page");
    let examples = examples(&page);
    assert!(examples.len() >= 20, "only {} were found", examples.len());
    let config = std::fs::read_to_string(root().join("actiond.cfg")).expect("the configuration");
    let served = Served::with(&config);
    let bin = Path::new(env!("CARGO_BIN_EXE_actiond")).parent().expect("its directory");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    std::fs::write(served.home.path().join("docs.xml"), "<adds/>").expect("a file");
    let mut variables: HashMap<String, String> = HashMap::new();
    for Example { line, printed } in examples {
        // A variable that is set is printed behind the output, for the next shell.
        let name = line.split_once("=$(").map(|(name, _)| name.to_owned());
        let script = match &name {
            Some(name) => format!("{line}; printf %s \"${name}\""),
            None => line.clone(),
        };
        let run_again = || {
            let mut shell = Command::new("bash");
            shell.args(["-c", &script]).current_dir(served.home.path());
            shell.env("PATH", &path).env("ACTIOND_SERVER", served.url()).envs(&variables);
            run(shell, b"")
        };
        let mut ran = run_again();
        if let Some(name) = name {
            assert!(!ran.out.is_empty(), "{line}: {ran:?}");
            variables.insert(name, ran.out);
            continue;
        }
        let printed = masked(&printed);
        let all = |ran: &Ran| masked(&format!("{}{}", ran.err, ran.out));
        // A reader takes longer from one line to the next than an action from state to state.
        let only_looks = ["status", "list", "queues"]
            .iter()
            .any(|word| line.starts_with(&format!("actiond {word} ")));
        let began = Instant::now();
        while only_looks && all(&ran) != printed && began.elapsed() < PATIENCE {
            ran = run_again();
        }
        assert_eq!(all(&ran), printed, "{line}");
    }
}

/// Every command that the program has is on the page.
#[test]
fn every_command_is_told() {
    let page = std::fs::read_to_string(root().join("docs/client.md")).expect("the page");
    let help = run(super::command("", "--help"), b"").ok();
    let (_, commands) = help.split_once("Commands:\n").expect("the commands");
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<_> = commands.filter_map(|line| words(line).into_iter().next()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names.iter().filter(|name| *name != "help") {
        assert!(page.contains(&format!("actiond {name}")), "{name}");
    }
}

/// Each line of the docs that calls the program is one that it takes.
#[test]
fn every_line_that_calls_the_program_can_be_read() {
    let pages = std::fs::read_dir(root().join("docs")).expect("the docs");
    let pages = pages.map(|entry| entry.expect("an entry").path());
    let pages = pages
        .chain([root().join("README.md")])
        .filter(|page| page.extension().is_some_and(|it| it == "md"));
    let mut read = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page");
        let mut in_block = false;
        for line in text.lines() {
            in_block ^= line.starts_with("```");
            let line = line.trim_start_matches("$ ").trim_start_matches("sudo -u actiond ");
            if !in_block || !line.starts_with("actiond ") || line.contains("...") {
                continue;
            }
            let end = line.find(['#', '|', ';', '>']).unwrap_or(line.len());
            // A place for a number has the name of one.
            let words = words(&line[..end]).into_iter().map(|word| match word.as_str() {
                "N" => "1".to_owned(),
                _ => word,
            });
            let parsed = actiond::cli::args::Args::parse_from(words);
            let is_help = parsed.as_ref().err().is_some_and(|error| error.exit_code() == 0);
            assert!(is_help || parsed.is_ok(), "{}: {line}: {parsed:?}", page.display());
            read += 1;
        }
    }
    assert!(read > 30, "only {read} were found");
}

/// The package has the files that the program makes.
#[test]
fn completions_and_pages_of_the_manual_are_up_to_date() {
    let packaged = root().join("packaging/shell");
    let again = "make them again: packaging/shell/make";
    for (shell, file) in [("bash", "actiond.bash"), ("zsh", "_actiond"), ("fish", "actiond.fish")] {
        let made = run(super::command("", &format!("completions {shell}")), b"").ok();
        let kept = std::fs::read_to_string(packaged.join(file)).unwrap_or_default();
        assert!(made == kept, "{file}: {again}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    run(super::command("", &format!("man {}", directory.path().display())), b"").ok();
    let pages = |directory: &Path| -> HashMap<String, String> {
        let entries = std::fs::read_dir(directory).expect("a directory");
        let entries = entries.map(|entry| entry.expect("an entry").path());
        let entries = entries.map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a page"))
        });
        entries.collect()
    };
    let (made, kept) = (pages(directory.path()), pages(&packaged.join("man")));
    assert!(made.len() > 20, "{:?}", made.keys());
    assert!(made == kept, "{again}");
}

/// A shell takes the completions, and offers commands and options by them.
#[test]
fn bash_completes_by_them() {
    let script = "source packaging/shell/actiond.bash; COMP_WORDS=(actiond se); COMP_CWORD=1; \
                  _actiond actiond se actiond; echo \"${COMPREPLY[@]}\"; \
                  COMP_WORDS=(actiond send --w); COMP_CWORD=2; _actiond actiond --w send; echo \"${COMPREPLY[@]}\"";
    let mut shell = Command::new("bash");
    shell.args(["-c", script]).current_dir(root());
    let offered = run(shell, b"").ok();
    let lines: Vec<_> = offered.lines().collect();
    assert!(lines[0].contains("send") && lines[0].contains("serve"), "{offered}");
    assert_eq!(lines[1].trim(), "--wait", "{offered}");
}
