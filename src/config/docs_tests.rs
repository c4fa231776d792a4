//! The examples of `docs/configuration.md` can be used as they stand there.

use super::build::BuildInputs;
use super::disk::Disk;
use super::files::Included;
use super::{Overrides, Settings};
use crate::kinds::Kinds;

const PAGE: &str = include_str!("../../docs/configuration.md");
const COMMON: &str = include_str!("../../tests/configurations/common.cfg");

fn examples() -> Vec<&'static str> {
    let blocks = PAGE.split("```ini\n").skip(1);
    blocks.filter_map(|block| block.split_once("```").map(|(example, _)| example)).collect()
}

#[test]
fn every_example_is_a_good_configuration() {
    let examples = examples();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let included = |name: &str| {
            assert_eq!(name, "common.cfg");
            Included { name: name.to_owned(), text: Ok(COMMON.to_owned()) }
        };
        let (overrides, kinds) = (&Overrides::default(), &Kinds::shipped());
        let among = BuildInputs {
            overrides,
            disk: Disk::Unknown,
            kinds,
            included: &included,
            variable: &|_| None,
        };
        let parsed = Settings::parse_among(example, "example", &among);
        let parsed = parsed.unwrap_or_else(|error| panic!("{error}\n{example}"));
        let warnings: Vec<_> = parsed.warnings.iter().map(ToString::to_string).collect();
        // Sections that other servers read.
        let is_foreign = |warning: &String| warning.contains("section [License]");
        assert!(warnings.iter().all(is_foreign), "{warnings:#?}\n{example}");
    }
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
