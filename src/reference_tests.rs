//! Pages of the docs that are written from the tables of the program: `docs/actions.md` here, `docs/settings.md` in
//! `config/reference_tests.rs`.
//!
//! `UPDATE_DOCS=1 cargo test -p actiond --lib reference` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::aci::catalog::{ANY, ASYNC_COMMON, ActionSpec, BUILTIN, COMMON, ParamSpec};
use crate::kinds::Kinds;
use crate::service::SERVICE_ACTIONS;

/// Compares a page of the repository with what it should be, or writes it if that was asked for.
pub(crate) fn as_written(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = there.lines().zip(page.lines()).find(|(there, page)| there != page);
    assert!(
        there == page,
        "{file} is not what the tables say, first at {differs:?}. UPDATE_DOCS=1 cargo test -p actiond --lib reference writes it anew"
    );
}

/// Returns a text as it stands in the cell of a table, without meaning anything in Markdown but for code.
pub(crate) fn cell(text: &str) -> String {
    let mut is_code = false;
    let mut cell = String::with_capacity(text.len());
    for c in text.chars() {
        is_code ^= c == '`';
        match c {
            '|' => cell.push_str("\\|"),
            '<' if !is_code => cell.push_str("&lt;"),
            '*' | '_' if !is_code => cell.extend(['\\', c]),
            c => cell.push(c),
        }
    }
    cell
}

const HEAD: &str = "\
# Actions and parameters

Every action with its parameters, as `action=Help` of a running server lists them. Names and fixed words are compared without regard to
case. How requests and replies are built is in [the protocol](aci.md); who may send which action, in [security](security.md).
";

fn params_into(page: &mut String, params: &[ParamSpec]) {
    if params.is_empty() {
        page.push_str("\nNo parameters of its own.\n");
        return;
    }
    page.push_str("\n| parameter | allowed | meaning |\n|---|---|---|\n");
    for param in params {
        let name = match &*param.name {
            ANY => "any other name".to_owned(),
            name => format!("`{name}`"),
        };
        let required = if param.required { " (required)" } else { "" };
        let (allowed, summary) = (cell(&param.kind.allowed()), cell(&param.summary));
        let _ = writeln!(page, "| {name}{required} | {allowed} | {summary} |");
    }
}

fn action_into(page: &mut String, level: &str, spec: &ActionSpec<'_>) {
    let _ = write!(
        page,
        "\n{level} {}\n\n{} It needs the role {}.\n",
        spec.name,
        cell(spec.summary),
        spec.role.name()
    );
    params_into(page, spec.params);
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Every action\n\nThese parameters are taken by every action.\n");
    params_into(&mut page, COMMON);
    page.push_str(
        "\n## Every action that is queued\n\nAn asynchronous action has the name of its queue, which the configuration chooses, and needs the \
         role Query or one that names it. Beside the parameters of its type it takes these.\n",
    );
    params_into(&mut page, ASYNC_COMMON);
    page.push_str("\n## The types of queues\n");
    for kind in Kinds::shipped().iter() {
        let _ = write!(page, "\n### Type={}\n\n{}\n", kind.word(), cell(kind.summary()));
        params_into(&mut page, kind.params());
    }
    page.push_str("\n## Actions that answer at once\n");
    for spec in BUILTIN {
        action_into(&mut page, "###", spec);
    }
    page.push_str(
        "\n## Actions of the service port\n\nThe service port has a form of replies of its own: see [the service port](operations.md#the-service-port).\n",
    );
    for spec in SERVICE_ACTIONS {
        let named_alike = BUILTIN.iter().any(|other| other.name == spec.name);
        let name = match named_alike {
            true => format!("{} of the service port", spec.name),
            false => spec.name.to_owned(),
        };
        action_into(&mut page, "###", &ActionSpec { name: &name, ..*spec });
    }
    page
}

#[test]
fn the_page_of_actions_is_what_the_tables_say() {
    as_written("docs/actions.md", &page());
}

/// The blocks of code in the docs that are taken from files of the repository, which a comment in front of each names.
#[test]
fn code_in_the_docs_is_that_of_the_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut checked = 0;
    for page in ["docs/embedding.md", "docs/worker-examples.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let mut written = String::new();
        for (number, part) in text.split("<!-- ").enumerate() {
            let Some((comment, rest)) = part.split_once(" -->\n\n```").filter(|_| number > 0)
            else {
                written.push_str(part);
                continue;
            };
            let (kind, rest) = rest.split_once('\n').unwrap();
            // A fence within a comment does not begin its line.
            let (block, rest) = rest.split_once("\n```\n").unwrap();
            let block = format!("{block}\n");
            let (extent, file) = comment.split_once("of ").unwrap();
            let there = std::fs::read_to_string(root.join(file)).unwrap();
            let is_all = extent == "all ";
            assert!(
                is_all || there.contains(&block),
                "{page} shows what is not in {file}: {block}"
            );
            let block = if is_all { there } else { block };
            let _ = write!(written, "<!-- {comment} -->\n\n```{kind}\n{block}```\n{rest}");
            checked += 1;
        }
        as_written(page, &written);
    }
    assert_eq!(checked, 6);
}

#[test]
fn nothing_in_a_cell_is_taken_for_markup() {
    assert_eq!(cell("a|b <c> *d* e_f"), "a\\|b &lt;c> \\*d\\* e\\_f");
    assert_eq!(cell("`*` and `<a_b>`"), "`*` and `<a_b>`");
}
