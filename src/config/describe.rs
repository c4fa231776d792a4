//! Prints the table of settings as a commented `.cfg` file that can be used as it is.

use super::key::{Key, Section};
use super::table::{ACTIONS, ASYNC_ACTIONS, FIXED, LISTED, QUEUE, QUEUE_NAME, QUEUE_NUMBER, TYPE};
use crate::kinds::Kinds;

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
pub fn describe(kinds: &Kinds) -> String {
    let mut text = HEAD.to_owned();
    for section in FIXED {
        section_into(&mut text, section, kinds);
        let below = LISTED.into_iter().filter(|listed| listed.is_listed_in(section));
        below.for_each(|listed| section_into(&mut text, listed, kinds));
    }
    section_into(&mut text, QUEUE, kinds);
    // The first kind is that of the queue that has just been shown.
    for kind in kinds.iter().skip(1) {
        let (queue, heading) = kind.example();
        text.push('\n');
        wrap(heading).iter().for_each(|line| line_into(&mut text, &["// ", line]));
        line_into(&mut text, &["# [", queue, "]"]);
        line_into(&mut text, &["# Type=", kind.word()]);
        kind.keys().iter().for_each(|key| key_into(&mut text, "# ", key));
    }
    for section in kinds.iter().flat_map(|kind| kind.sections()) {
        section_into(&mut text, section, kinds);
    }
    text
}

fn section_into(text: &mut String, section: &Section, kinds: &Kinds) {
    if section.keys.is_empty() {
        return;
    }
    let is_queue = section.name == QUEUE.name;
    let (mark, heading) = match section.listed {
        None => (if section.is_example { "# " } else { "" }, section.heading.to_owned()),
        Some((one, list)) => (
            // There is that of a queue by default.
            if is_queue { "" } else { "# " },
            format!("The section of a {one}; its name is in [{}].", list.name),
        ),
    };
    text.push('\n');
    if !heading.is_empty() {
        wrap(&heading).iter().for_each(|line| line_into(text, &["// ", line]));
    }
    line_into(text, &[mark, "[", section.name, "]"]);
    // A queue may set most keys of [Actions] too; they are explained there.
    let is_explained = |key: &Key| is_queue && ACTIONS.keys.iter().any(|k| k.name == key.name);
    for key in section.keys.iter().filter(|key| !is_explained(key)) {
        if !key_of_kinds_into(text, section, key, kinds) {
            key_into(text, mark, key);
        }
    }
}

fn key_into(text: &mut String, mark: &str, key: &Key) {
    let mark = if key.default.is_some() { mark } else { "# " };
    let value = key.default.unwrap_or(key.example);
    lines_into(text, key, &key.kind.allowed(), mark, value);
}

/// Prints a key that depends on which kinds of action there are; tells whether it is one.
fn key_of_kinds_into(text: &mut String, section: &Section, key: &Key, kinds: &Kinds) -> bool {
    let allowed = key.kind.allowed();
    if (section.name, key.name) == (QUEUE.name, TYPE.name) {
        // This and the name are what the default queue needs, so they stand there for good.
        lines_into(text, key, &kinds.allowed(), "", key.example);
    } else if (section.name, key.name) == (ASYNC_ACTIONS.name, QUEUE_NAME.name) {
        lines_into(text, key, &allowed, "", key.example);
        for (number, kind) in kinds.iter().enumerate().skip(1) {
            line_into(text, &["# ", &number.to_string(), "=", kind.example().0]);
        }
    } else if (section.name, key.name) == (ASYNC_ACTIONS.name, QUEUE_NUMBER.name) {
        lines_into(text, key, &allowed, "# ", &kinds.iter().count().to_string());
    } else {
        return false;
    }
    true
}

fn lines_into(text: &mut String, key: &Key, allowed: &str, mark: &str, value: &str) {
    text.push('\n');
    let again = if key.is_read_again { " Read again on SIGHUP." } else { "" };
    let allowed = format!("Allowed: {allowed}.{again}");
    for line in wrap(key.meaning).into_iter().chain(wrap(&allowed)) {
        line_into(text, &["// ", &line]);
    }
    line_into(text, &[mark, key.name, "=", value]);
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
    use super::super::Settings;
    use super::super::table::places;
    use super::*;
    use crate::kinds::echo::Echo;
    use crate::kinds::fetch::FetchSettings;
    use crate::kinds::forward::ForwardSettings;
    use crate::kinds::ingest::IngestSettings;

    fn describe() -> String {
        super::describe(&Kinds::shipped())
    }

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
            // With a host of its own to send to, IngestQueue would have no effect; a key stands in the configuration or in a file,
            // a database needs AsyncStoreLibraryName, and a schedule has Cron or RepeatSecs.
            .filter(|line| {
                let left_out = [
                    "IngestHost=",
                    "IngestPort=",
                    "ForwardKey=",
                    "ForwardTo=",
                    "ConnectionString",
                    "SSLPrivateKeyPassword=",
                    "BearerToken",
                    "BasicPassword=",
                    "ProxyPassword=",
                    "Secret=",
                    "AdminSecret=",
                    "CallbackHandler=",
                    "RepeatSecs=",
                ];
                !left_out.iter().any(|key| line.starts_with(key))
            })
            .collect();
        let (settings, warnings) = Settings::parse(&text.join("\n"), "printed").unwrap();
        assert_eq!(warnings, []);
        let [echo, ingest, fetch, .., forward] = &settings.queues[..] else {
            panic!("{settings:?}")
        };
        assert!(echo.settings::<Echo>().is_some());
        assert!(ingest.settings::<IngestSettings>().is_some());
        assert!(fetch.settings::<FetchSettings>().is_some());
        assert!(forward.settings::<ForwardSettings>().is_some());
    }

    #[test]
    fn every_key_is_printed_once_with_its_meaning() {
        let text = describe();
        let words = |text: &str| text.replace("\n// ", " ");
        for key in places(&Kinds::shipped()).flat_map(|(_, keys)| keys) {
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
