//! `docs/metrics.md` and a scrape tell of the same metrics, with the same types, labels and meanings.

use std::collections::BTreeMap;
use std::path::Path;

use super::Scrape;
use super::scrape::Described;
#[cfg(unix)]
use crate::postgres::servers::{Database, Servers};
use crate::server::{CONFIG, Home, wait_until};

/// The rows of the tables in `docs/metrics.md`.
fn documented() -> BTreeMap<String, Described> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(path).expect("docs/metrics.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.trim_end_matches(" |").split(" | ").collect();
        let [name, kind, labels, help] = cells.as_slice() else { return None };
        let is_metric = ["counter", "gauge", "histogram"].contains(kind);
        let labels = labels.split(", ").filter(|label| !label.is_empty() && *label != "-");
        let mut labels: Vec<_> = labels.map(|label| label.trim_matches('`').to_owned()).collect();
        labels.sort_unstable();
        let described = Described { kind: (*kind).to_owned(), labels, help: (*help).to_owned() };
        is_metric.then(|| (name.trim_matches('`').to_owned(), described))
    });
    rows.collect()
}

/// The metrics of servers on PostgreSQL, or none without it.
fn shared() -> Option<BTreeMap<String, Described>> {
    #[cfg(unix)]
    {
        let database = Database::shared()?;
        let servers = Servers::start(&database, 1, CONFIG);
        let mut scrape = Scrape::wait_for(&servers[0], "actiond_lease_held", 1.0);
        assert_eq!(scrape.value("actiond_leases_lost_total"), 0.0);
        assert_eq!(scrape.value("actiond_store_available"), 1.0);
        // A scrape does not wait for the database for long.
        wait_until("the size of the database", || {
            scrape = Scrape::of(&servers[0]);
            scrape.series.contains_key("actiond_database_bytes")
        });
        assert!(scrape.value("actiond_database_bytes") > 1_000_000.0);
        assert!(!scrape.text.contains("actiond_database_disk"), "{}", scrape.text);
        Some(scrape.described())
    }
    #[cfg(not(unix))]
    None
}

#[test]
fn docs_and_scrapes_tell_of_the_same_metrics() {
    let documented = documented();
    let home = Home::new(CONFIG);
    let mut found = Scrape::of(&home.start()).described();
    let shared = shared();
    let is_of_postgres = |described: &Described| described.help.ends_with("PostgreSQL only");
    for (name, described) in shared.iter().flatten() {
        assert!(found.get(name).is_none_or(|other| other == described), "{name}");
    }
    found.extend(shared.into_iter().flatten());
    for (name, described) in &found {
        let known = documented.get(name).unwrap_or_else(|| panic!("docs/metrics.md has no {name}"));
        assert_eq!(known, described, "{name}");
    }
    for (name, described) in &documented {
        let is_excused = is_of_postgres(described) && !found.contains_key("actiond_lease_held");
        let is_there = found.contains_key(name)
            || is_excused
            || (cfg!(not(target_os = "linux")) && name.starts_with("process_"));
        assert!(is_there, "no server has the {name} of docs/metrics.md");
    }
}
