//! `docs/settings.md` is what the table of settings says.

use std::fmt::Write as _;

use super::key::{Key, Section};
use super::table::{ACTIONS, ASYNC_ACTIONS, DEFAULT_QUEUE, FIXED, LISTED, QUEUE, TYPE};
use crate::kinds::Kinds;
use crate::reference_tests::{as_written, cell};

const HEAD: &str = "\
# Every setting

Every key of the configuration file, by its section: its default, what it means and what may stand there. How a file is built, with
variables, secrets and includes, is in [the configuration file](configuration.md); `actiond config` prints the same as a file that
can be used, and `actiond config --config FILE` what is in force. A key whose text ends with *Read again on SIGHUP* takes effect
[without a restart](operations.md#signals).
";

fn table_of<'a>(keys: impl IntoIterator<Item = &'a &'static Key>, kinds: &Kinds) -> String {
    let mut table = "\n| key | default | meaning |\n|---|---|---|\n".to_owned();
    for key in keys {
        let allowed = match key.name == TYPE.name {
            true => kinds.allowed(),
            false => key.kind.allowed(),
        };
        let name = match key.is_numbered() {
            true => format!("`{0}0`, `{0}1` ...", key.prefix()),
            false => format!("`{}`", key.name),
        };
        let default = match key.default {
            Some(default) => format!("`{default}`"),
            None if key.is_required() => "must be given".to_owned(),
            None => "none".to_owned(),
        };
        let example = match key.default {
            Some(_) => String::new(),
            None => format!(" For example `{}`.", key.example),
        };
        let again = if key.is_read_again { " *Read again on SIGHUP.*" } else { "" };
        let (default, allowed, meaning) = (cell(&default), cell(&allowed), cell(key.meaning));
        let example = cell(&example);
        let _ = writeln!(
            table,
            "| {name} | {default} | {meaning} Allowed: {allowed}.{example}{again} |"
        );
    }
    table
}

fn section_into(page: &mut String, section: &Section, kinds: &Kinds) {
    if section.keys.is_empty() {
        return;
    }
    let (heading, text) = match section.listed {
        None => (format!("[{}]", section.name), section.heading.to_owned()),
        Some((one, list)) => (
            format!("[{}], the section of a {one}", section.name),
            format!("Its name is yours to choose; it is listed in `[{}]`.", list.name),
        ),
    };
    let _ = write!(page, "\n## {heading}\n");
    if !text.is_empty() {
        let _ = write!(page, "\n{}\n", cell(&text));
    }
    page.push_str(&table_of(section.keys, kinds));
}

/// The keys that the sections of all queues have, whatever their type.
fn queue_into(page: &mut String, kinds: &Kinds) {
    let _ = write!(
        page,
        "\n## [{DEFAULT_QUEUE}], the section of a queue\n\nIts name is that of the queue, as `[{}]` lists it, and that of the action that \
         clients send. Without `[{}]` there is a queue `{DEFAULT_QUEUE}` of type Echo. Beside the keys of its type it may have\n",
        ASYNC_ACTIONS.name, ASYNC_ACTIONS.name
    );
    let is_of_all = |key: &&&Key| ACTIONS.keys.iter().any(|of_all| of_all.name == key.name);
    let (shared, own): (Vec<_>, Vec<_>) = QUEUE.keys.iter().partition(is_of_all);
    page.push_str(&table_of(own, kinds));
    let shared: Vec<_> = shared.iter().map(|key| format!("`{}`", key.name)).collect();
    let _ = write!(
        page,
        "\nand, for this queue alone, these of `[{}]`: {}.\n",
        ACTIONS.name,
        shared.join(", ")
    );
}

fn page(kinds: &Kinds) -> String {
    let mut page = HEAD.to_owned();
    for section in FIXED {
        section_into(&mut page, section, kinds);
        let below = LISTED.into_iter().filter(|listed| listed.is_listed_in(section));
        below.for_each(|listed| section_into(&mut page, listed, kinds));
    }
    queue_into(&mut page, kinds);
    for kind in kinds.iter().filter(|kind| !kind.keys().is_empty()) {
        let (queue, heading) = kind.example();
        let word = kind.word();
        let _ = write!(page, "\n## [{queue}] with Type={word}\n\n{}\n", cell(heading));
        page.push_str(&table_of(kind.keys(), kinds));
    }
    for section in kinds.iter().flat_map(|kind| kind.sections()) {
        section_into(&mut page, section, kinds);
    }
    page
}

#[test]
fn the_page_of_settings_is_what_the_table_says() {
    as_written("docs/settings.md", &page(&Kinds::shipped()));
}
