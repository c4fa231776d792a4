//! Prints the table of settings as a commented `.cfg` file that can be used as it is.

use super::table::{Key, Scope, TYPE_FETCH};

const HEAD: &str = "\
// Every setting of actiond, with its meaning and default. This is a good configuration file.
// A line that begins with # shows a setting that has no fixed default, or that belongs to a
// queue or task which does not exist by default: take away the # to use it.
";

/// Returns every setting with its meaning, what it may be and its default, as configuration text.
///
/// It reads back as the settings of an empty file. Lines that begin with `#` are examples; with all
/// those marks taken away the text is still a good configuration.
#[must_use]
pub fn describe() -> String {
    let mut text = HEAD.to_owned();
    for scope in Scope::ALL.into_iter().filter(|scope| scope.keys().next().is_some()) {
        let (mark, header, heading) = heading(scope);
        text.push('\n');
        for line in heading {
            line_into(&mut text, &["// ", line]);
        }
        line_into(&mut text, &[mark, "[", header, "]"]);
        if scope == Scope::IngestQueue {
            line_into(&mut text, &["# Type=", super::table::TYPE_INGEST]);
        }
        // A queue may set most keys of [Actions] too; they are explained there.
        let keys = scope.keys().filter(|key| key.scopes.first() == Some(&scope));
        for key in keys {
            describe_key(&mut text, scope, mark, key);
        }
        if scope == Scope::AsyncActions {
            line_into(&mut text, &["# 1=Ingest"]);
            line_into(&mut text, &["# 2=Fetch"]);
        }
        if scope == Scope::IngestQueue {
            line_into(&mut text, &["\n// A queue that fetches files; [FetchTasks] says which."]);
            line_into(&mut text, &["# [Fetch]"]);
            line_into(&mut text, &["# Type=", TYPE_FETCH]);
        }
    }
    text
}

/// Returns the mark before each line of the section, its name, and what is said about it.
fn heading(scope: Scope) -> (&'static str, &'static str, &'static [&'static str]) {
    match scope {
        Scope::Queue => {
            ("", "Process", &["The section of a queue; its name is in [AsyncActions]."])
        }
        Scope::IngestQueue => ("# ", "Ingest", &["A queue that writes documents."]),
        Scope::Task => ("# ", "DIR1", &["The section of a task; its name is in [FetchTasks]."]),
        Scope::Actions => ("", "Actions", &["What holds for every queue."]),
        Scope::FetchTasks => ("", "FetchTasks", &["What queues with Type=FileSystemConnector do."]),
        Scope::Ingestion => ("", "Ingestion", &["Where fetched documents go."]),
        other => ("", other.section().unwrap_or_default(), &[]),
    }
}

fn describe_key(text: &mut String, scope: Scope, mark: &str, key: &Key) {
    // These two are what the default queue needs, so they stand there for good.
    let needed = matches!((scope, key.name), (Scope::AsyncActions, "0") | (Scope::Queue, "Type"));
    let mark = if key.default.is_some() || needed { mark } else { "# " };
    text.push('\n');
    let allowed = format!("Allowed: {}.", key.kind.allowed());
    for line in wrap(key.meaning).into_iter().chain(wrap(&allowed)) {
        line_into(text, &["// ", &line]);
    }
    line_into(text, &[mark, key.name, "=", key.default.unwrap_or(key.example)]);
}

fn line_into(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
    text.push('\n');
}

/// Breaks a text at spaces into lines of about 100 characters.
fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 97 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::table::KEYS;
    use super::super::{QueueKind, Settings};
    use super::*;

    #[test]
    fn the_printed_table_reads_back_as_the_defaults() {
        let (settings, warnings) = Settings::parse(&describe(), "printed").unwrap();
        assert_eq!(warnings, []);
        assert_eq!(format!("{settings:#?}"), format!("{:#?}", Settings::default()));
    }

    #[test]
    fn the_examples_are_a_good_configuration_too() {
        let text: Vec<_> = describe()
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned())
            // With a host of its own to send to, IngestQueue would have no effect.
            .filter(|line| !line.starts_with("IngestHost=") && !line.starts_with("IngestPort="))
            .collect();
        let (settings, warnings) = Settings::parse(&text.join("\n"), "printed").unwrap();
        assert_eq!(warnings, []);
        let kinds: Vec<_> = settings.queues.iter().map(|queue| &queue.kind).collect();
        assert!(matches!(kinds[..], [QueueKind::Echo, QueueKind::Ingest(_), QueueKind::Fetch(_)]));
    }

    #[test]
    fn every_key_is_printed_once_with_its_meaning() {
        let text = describe();
        let words = |text: &str| text.replace("\n// ", " ");
        for key in KEYS {
            assert!(words(&text).contains(key.meaning), "{}", key.name);
        }
        for name in ["Port", "MaximumThreads", "IngestBatchSize", "DirectoryPathCSVs"] {
            let count = text
                .lines()
                .filter(|line| line.trim_start_matches("# ").starts_with(&format!("{name}=")))
                .count();
            assert_eq!(count, 1, "{name}");
        }
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    }
}
