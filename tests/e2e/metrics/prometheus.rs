//! promtool and a real Prometheus read what the server says; the alert rules and the dashboard ask for what there is.
//!
//! Debian has both programs in the package `prometheus`. Without it these tests say what was not tested.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;
use serde_json::Value;

use super::Scrape;
use crate::postgres::servers::{Database, Servers};
use crate::server::{CONFIG, Home, Reply, Server};
use crate::skip::skipped;

/// How long Prometheus may take to have what it is asked for: it scrapes once a second.
const SCRAPED: Duration = Duration::from_secs(60);

fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(path)
}

/// Returns a command of this program, or says what is not tested without it.
fn program(name: &str, what: &str) -> Option<Command> {
    let found =
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        skipped(what, &format!("there is no {name} (Debian: prometheus)"));
        return None;
    }
    Some(Command::new(name))
}

/// Runs promtool on this input. It must be content, and say nothing that is in `complaints`.
fn promtool(arguments: &[&str], input: &str) -> Option<()> {
    let mut command = program("promtool", &format!("promtool {}", arguments.join(" ")))?;
    command.args(arguments).current_dir(packaging("prometheus"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    // It complains of names and help without failing.
    assert!(arguments != ["check", "metrics"] || said.trim().is_empty(), "{said}");
    Some(())
}

#[test]
fn promtool_has_no_complaint_about_a_scrape() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.wait_for_status(&server.submit("&Name=Ada"), "Finished");
    promtool(&["check", "metrics"], &Scrape::of(&server).text);
    let Some(database) = Database::shared() else { return };
    let servers = Servers::start(&database, 1, CONFIG);
    promtool(&["check", "metrics"], &Scrape::of(&servers[0]).text);
}

#[test]
fn promtool_takes_the_files_and_the_rules_do_what_their_tests_say() {
    promtool(&["check", "config", "--syntax-only", "prometheus.yml"], "");
    promtool(&["check", "rules", "actiond.rules.yml"], "");
    promtool(&["test", "rules", "actiond.rules.test.yml"], "");
    // Each alert has a test in which it is told.
    let alerts = |file: &str, pattern: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(packaging(file)).expect("a file");
        let found = Regex::new(pattern).unwrap();
        found.captures_iter(&text).map(|found| found[1].to_owned()).collect()
    };
    let all = alerts("prometheus/actiond.rules.yml", r"- alert: (\w+)");
    let told = alerts(
        "prometheus/actiond.rules.test.yml",
        r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels",
    );
    assert!(!all.is_empty());
    assert_eq!(all, told);
    // And docs/metrics.md says what to do.
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let docs = std::fs::read_to_string(docs).expect("docs/metrics.md");
    for alert in &all {
        assert!(
            docs.contains(&format!("| `{alert}` |")),
            "docs/metrics.md says nothing of {alert}"
        );
    }
}

/// A Prometheus with the alert rules, which scrapes some servers. It is killed when this is dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn start(mut command: Command, targets: &[SocketAddr]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).unwrap();
        let targets: Vec<_> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [\"{}\"]\nscrape_configs:\n\
             - job_name: actiond\n  static_configs: [{{targets: [{}]}}]\n",
            packaging("prometheus/actiond.rules.yml").display(),
            targets.join(", ")
        );
        let path = directory.path().join("prometheus.yml");
        std::fs::write(&path, config).expect("its configuration");
        command.arg(format!("--config.file={}", path.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let log = std::fs::File::create(directory.path().join("log")).expect("a file");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut prometheus =
            Self { child: child.expect("Prometheus"), address, _directory: directory };
        let began = Instant::now();
        while prometheus.try_get("/-/ready").is_none_or(|reply| !reply.head.contains(" 200 ")) {
            let ended = prometheus.child.try_wait().expect("its status");
            assert!(ended.is_none() && began.elapsed() < SCRAPED, "it does not begin: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        prometheus
    }

    fn try_get(&self, target: &str) -> Option<Reply> {
        let mut stream = std::net::TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(SCRAPED)).ok()?;
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        Reply::try_read(&mut std::io::BufReader::new(stream)).ok()
    }

    fn get(&self, target: &str) -> Value {
        let reply = self.try_get(target).unwrap_or_else(|| panic!("no reply to {target}"));
        let value: Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!(value["status"], "success", "{target}: {value}");
        value["data"].clone()
    }

    /// The series that this query has now.
    fn query(&self, query: &str) -> Vec<Value> {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let data = self.get(&format!("/api/v1/query?query={query}"));
        data["result"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The queries of the dashboard, as Grafana asks them with everything chosen.
fn queries_of_the_dashboard() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(packaging("grafana/actiond.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let variables = dashboard["templating"]["list"].as_array().expect("its variables");
    let variable = |name: &str| variables.iter().find(|of| of["name"] == name).expect("a variable");
    assert_eq!(variable("datasource")["type"], "datasource");
    assert_eq!(variable("datasource")["query"], "prometheus");
    let mut queries: Vec<_> = ["job", "instance", "queue"]
        .map(|name| {
            let query = variable(name)["query"]["query"].as_str().expect("a query").to_owned();
            let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (selector, label) =
                inner.and_then(|inner| inner.rsplit_once(", ")).expect("label_values");
            assert_eq!(label, name);
            (format!("the variable {name}"), format!("count by ({label}) ({selector})"))
        })
        .into();
    let panels = dashboard["panels"].as_array().expect("its panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has a number of its own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().expect("a title");
        let targets = panel["targets"].as_array().expect("its queries");
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            queries.push((title.to_owned(), target["expr"].as_str().expect("a query").to_owned()));
        }
    }
    let chosen =
        [("$__rate_interval", "1m"), ("$job", ".*"), ("$instance", ".*"), ("$queue", ".*")];
    for (title, query) in &mut queries {
        for (variable, value) in chosen {
            *query = query.replace(variable, value);
        }
        assert!(!query.contains('$'), "{title}: {query}");
    }
    queries
}

/// The names of metrics in a query.
fn names_in(query: &str) -> BTreeSet<String> {
    let names = Regex::new(r"\b(?:actiond_[a-z_]+|process_[a-z_]+|up\b)").unwrap();
    names.find_iter(query).map(|found| found.as_str().to_owned()).collect()
}

/// Something of each kind: actions that finish, and some that fail.
fn work(server: &Server) {
    server.submit("&Name=Ada");
    server.submit("&Fail=no");
    server.ask("Nothing");
}

#[test]
fn each_query_of_the_dashboard_and_of_the_rules_finds_what_it_asks_for() {
    let Some(command) = program("prometheus", "the dashboard and the alert rules") else { return };
    let config = CONFIG.replace("MaximumThreads=2", "MaximumThreads=2\nMaxQueueSize=1000");
    let home = Home::new(&config);
    let alone = home.start();
    let database = Database::shared();
    let shared = database.as_ref().map(|database| Servers::start(database, 1, &config));
    let servers = || std::iter::once(&alone).chain(shared.iter().flat_map(Servers::iter));
    let targets: Vec<_> = servers().map(|server| server.address).collect();
    let prometheus = Prometheus::start(command, &targets);

    let is_asked_for = |query: &str| shared.is_some() || !query.contains("_lease");
    let mut wanted = queries_of_the_dashboard();
    assert!(wanted.len() > 30, "{}", wanted.len());
    let rules = std::fs::read_to_string(packaging("prometheus/actiond.rules.yml")).expect("rules");
    let names: BTreeSet<_> = names_in(&rules)
        .into_iter()
        .filter(|name| name.starts_with("actiond_") || name != "up")
        .collect();
    wanted.extend(names.iter().map(|name| ("the alert rules".to_owned(), name.clone())));
    wanted.push(("the targets".to_owned(), "up{job=\"actiond\"} == 1".to_owned()));
    wanted.retain(|(_, query)| is_asked_for(query));
    let began = Instant::now();
    while !wanted.is_empty() {
        servers().for_each(work);
        wanted.retain(|(_, query)| prometheus.query(query).is_empty());
        assert!(began.elapsed() < SCRAPED, "nothing after {SCRAPED:?} for {wanted:#?}");
    }
    // What a panel shows of several metrics is there of each.
    for (title, query) in queries_of_the_dashboard().iter().filter(|(_, query)| is_asked_for(query))
    {
        for name in names_in(query) {
            assert!(!prometheus.query(&name).is_empty(), "{title}: there is no {name}");
        }
    }
    // Prometheus has evaluated the rules, and none of them failed; both servers are well.
    let began = Instant::now();
    loop {
        let groups = prometheus.get("/api/v1/rules");
        let rules = groups["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
        assert!(!rules.is_empty(), "{groups}");
        for rule in &rules {
            assert_ne!(rule["health"], "err", "{rule}");
            assert_ne!(rule["state"], "firing", "{rule}");
        }
        if rules.iter().all(|rule| rule["health"] == "ok") {
            break;
        }
        assert!(began.elapsed() < SCRAPED, "not evaluated: {groups}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
