//! The configurations in the docs can be used as they stand there, and what the docs say of keys is so.

use std::path::{Path, PathBuf};

use super::build::BuildInputs;
use super::disk::Disk;
use super::files::Included;
use super::{ConfigError, Overrides, Settings};
use crate::kinds::Kinds;

const COMMON: &str = include_str!("../../tests/configurations/common.cfg");

/// Reads a configuration on a machine whose disk nobody looks at, and returns its warnings.
fn read(text: &str) -> Result<Vec<String>, ConfigError> {
    let included = |name: &str| Included {
        name: name.to_owned(),
        text: if name == "common.cfg" { Ok(COMMON.to_owned()) } else { Err("none".to_owned()) },
    };
    let (overrides, kinds) = (&Overrides::default(), &Kinds::shipped());
    let variable = &|_: &str| None;
    let among =
        BuildInputs { overrides, disk: Disk::Unknown, kinds, included: &included, variable };
    let parsed = Settings::parse_among(text, "example", &among)?;
    Ok(parsed.warnings.iter().map(ToString::to_string).collect())
}

/// The README and all pages of the docs but the decisions, with their texts.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = entries.filter(|path| path.extension().is_some_and(|is| is == "md"));
    let pages = pages.chain([root.join("README.md")]);
    pages.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_configuration_in_the_docs_is_a_good_one() {
    let (mut bad, mut read_ones) = (Vec::new(), 0);
    for (page, text) in pages() {
        for block in text.split("```ini\n").skip(1) {
            let example = block.split_once("```").unwrap().0;
            // That of another program: a unit of systemd.
            if example.contains("[Unit]") {
                continue;
            }
            let told = read(example).unwrap_or_else(|error| vec![error.to_string()]);
            // Sections that other servers read.
            let is_own = |told: &&String| !told.contains("section [License]");
            bad.extend(
                told.iter().filter(is_own).map(|told| format!("{}: {told}", page.display())),
            );
            read_ones += 1;
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(read_ones > 20, "{read_ones}");
}

/// A configuration in which a key stands where a row of the table says, with whatever that needs around it.
fn with_key(place: &str, key: &str) -> String {
    let queue = "[AsyncActions]\n0=Q\n[Q]\nType=Echo\n";
    let handler = |library: &str| format!("[Actions]\nOnFinish=H\n[H]\nLibraryName={library}\n");
    let before = match place {
        "a queue" => queue.to_owned(),
        "a role" => "[AuthorizationRoles]\n0=R\n[R]\n".to_owned(),
        "SSL options" => "[Server]\nSSLConfig=S\n[S]\n".to_owned(),
        "a log stream" => "[Logging]\n0=L\n[L]\n".to_owned(),
        "an HttpHandler" => handler("HttpHandler\nURL=http://localhost/"),
        "a TextFileHandler" => handler("TextFileHandler"),
        "a LuaHandler" => handler("LuaHandler"),
        "a task" => "[AsyncActions]\n0=F\n1=Ingest\n[F]\nType=FileSystemConnector\n[Ingest]\nType=Ingest\n[FetchTasks]\n0=T\n[T]\nDirectoryPathCSVs=.\n".to_owned(),
        section => format!("{section}\n"),
    };
    format!("{before}{key}=x\n")
}

/// The rows of the table in `docs/moving.md`: section, key, and what becomes of it.
fn foreign_keys() -> Vec<[String; 3]> {
    let page = include_str!("../../docs/moving.md").split_once("## The keys").unwrap().1;
    let rows = page.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', ""));
        [(); 3].map(|()| cells.next().unwrap())
    });
    cells.collect()
}

#[test]
fn what_becomes_of_the_keys_of_other_servers_is_so() {
    let rows = foreign_keys();
    assert!(rows.len() > 100, "{}", rows.len());
    let mut wrong = Vec::new();
    for [place, key, becomes] in rows {
        let key = if key == "all" { "Any" } else { key.split(',').next().unwrap() };
        let text = with_key(&place, key);
        // Whatever else is said, about the value `x` for example: is it the key that is not known?
        let is_about = |told: &str| {
            let of_key = [format!(" {key} has no effect"), format!(" {key}=x: is no key of")];
            let is_not_honoured =
                told.contains("can't be honoured") && told.contains(&format!(" {key}="));
            is_not_honoured
                || of_key.iter().any(|of_key| told.contains(of_key))
                || told.contains(&format!("section {place} has no effect"))
        };
        let (stops, told) = match read(&text) {
            Ok(warnings) => (false, warnings),
            Err(error) => (true, error.to_string().lines().map(str::to_owned).collect()),
        };
        let is_told = told.iter().any(|told| is_about(told));
        let is = match (is_told, stops) {
            (false, _) => "taken",
            (true, false) => "ignored",
            (true, true) => "refused",
        };
        if is != becomes {
            wrong.push(format!("{place} {key} is {is}: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_files_of_other_servers_have_is_in_the_table() {
    let rows = foreign_keys();
    let has = |section: &str, key: &str| {
        let section = format!("[{section}]");
        rows.iter().any(|[place, known, _]| *place == section && (known == key || known == "all"))
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configurations");
    let mut checked = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut section = String::new();
        for line in text.lines() {
            if let Some((name, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                section = name.to_owned();
            } else if let Some((key, _)) = line.split_once('=')
                && ["Server", "Service", "Actions", "Connector", "Ingestion", "License", "Logging"]
                    .contains(&section.as_str())
                && !key.trim().bytes().all(|byte| byte.is_ascii_digit())
            {
                assert!(has(&section, key.trim()), "docs/moving.md has no [{section}] {key}");
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn every_key_that_is_read_again_is_told_in_the_docs() {
    let page = include_str!("../../docs/operations.md");
    let keys = super::describe(&Kinds::shipped());
    let page_has = |name: &str| page.contains(&format!("`{name}`"));
    // Whole groups of keys have a word for them: those of roles and of certificates, and further attempts.
    let groups = ["SSL", "Retry", "ServiceStatusClients", "ServiceControlClients", "AdminClients"];
    let in_roles = super::table::ROLE.keys.iter().map(|key| key.name);
    let in_roles: Vec<_> = in_roles.chain(["0", "Number", "QueryClients", "TimeoutSecs"]).collect();
    let lines: Vec<_> = keys.lines().collect();
    let mut checked = 0;
    for (at, line) in lines.iter().enumerate() {
        if !line.contains("Read again on SIGHUP.") {
            continue;
        }
        let key = lines[at + 1].trim_start_matches("# ").split('=').next().unwrap();
        let is_of_group = groups.iter().any(|group| key.starts_with(group));
        assert!(is_of_group || in_roles.contains(&key) || page_has(key), "{key}");
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}
