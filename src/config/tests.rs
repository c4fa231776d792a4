//! Tests of whole configurations: what the settings are, and what is refused in which words.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::kinds::echo::Echo;
use crate::kinds::fetch::{FetchSettings, IngestTarget};
use crate::kinds::ingest::{IngestSettings, Output};

/// A configuration with a queue of each type and one task.
const ALL_TYPES: &str = "\
[AsyncActions]
0=Fetch
1=Ingest
2=Process
[Fetch]
Type=filesystemconnector
[Ingest]
Type=INGEST
[Process]
Type=Echo
[FetchTasks]
0=DIR1
[DIR1]
DirectoryPathCSVs=./docs
";

fn good(text: &str) -> Settings {
    let (settings, warnings) = Settings::parse(text, "t").unwrap();
    assert_eq!(warnings, [], "{text}");
    settings
}

fn warnings(text: &str) -> Vec<String> {
    let (_, warnings) = Settings::parse(text, "t").unwrap();
    warnings.iter().map(ToString::to_string).collect()
}

fn errors(text: &str) -> Vec<String> {
    let error = Settings::parse(text, "t").unwrap_err();
    error.problems().iter().map(ToString::to_string).collect()
}

fn fetch(settings: &Settings) -> &FetchSettings {
    settings.queues.iter().find_map(QueueConfig::settings).unwrap()
}

fn ingest(settings: &Settings) -> &IngestSettings {
    settings.queues.iter().find_map(QueueConfig::settings).unwrap()
}

#[test]
fn the_defaults_are_these() {
    let settings = good("");
    assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
    let server = ServerSettings {
        port: 7000,
        bind_addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        token_host: "127.0.0.1".to_owned(),
        server_name: None,
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
        backup_directories: Vec::new(),
        threads: None,
        max_input_string: 64_000,
        max_file_upload_size: 10_000_000,
        max_upload_memory: 50_000_000,
        max_reply_memory: 50_000_000,
        max_connections_per_client: 0,
        max_requests_per_second_per_client: 0,
        event_history: Some(10_000),
        max_event_listeners: 10_000,
        admin_page: true,
        admin_secret: None,
        request_timeout: Duration::from_secs(30),
        reply_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(75),
        strict_action_validation: false,
        tls: None,
    };
    let limits = QueueLimits {
        maximum_threads: 1,
        max_queue_size: None,
        max_finished_size: Some(100_000),
        max_finished_age: None,
        on_restart: None,
        retry: RetryPolicy {
            max_attempts: 1,
            delay: Duration::from_secs(10),
            backoff: Backoff::Fixed,
            max_delay: Duration::from_secs(3600),
        },
        max_restarts: 3,
        stop_grace: Duration::from_secs(10),
        ..QueueLimits::default()
    };
    let actions = ActionsSettings {
        limits: limits.clone(),
        shutdown_grace: Duration::from_secs(10),
        durability: Durability::Full,
        store: StoreSettings::Sqlite,
        max_datastore_size: None,
        in_memory: None,
    };
    assert_eq!(settings.server, server);
    assert_eq!(settings.paths.data_directory, PathBuf::from("./actions"));
    assert_eq!(settings.actions, actions);
    let [queue] = settings.queues.try_into().unwrap();
    assert!(queue.settings::<Echo>().is_some());
    assert_eq!((queue.name.as_str(), queue.limits), ("Process", limits));

    let settings = good(ALL_TYPES);
    let want = IngestSettings {
        output: vec![Output::Idx, Output::Json],
        output_directory: PathBuf::from("./actions/ingest"),
        max_content_size: 1_000_000,
        max_output_size: 1_000_000_000,
        allowed_source_directories: Vec::new(),
    };
    assert_eq!(ingest(&settings), &want);
    let fetch = fetch(&settings);
    assert_eq!(fetch.ingest, IngestTarget::Queue("Ingest".to_owned()));
    assert_eq!(fetch.batch_size, 100);
    assert_eq!(fetch.tasks.len(), 1);
    assert_eq!(fetch.tasks[0].directories, [PathBuf::from("./docs")]);
    assert_eq!(fetch.tasks[0].file_match, ["*"]);
    assert!(fetch.tasks[0].recursive && fetch.tasks[0].no_crawl.is_none());
}

#[test]
fn the_servers_values_are_taken() {
    let settings = good(
        "[server]\nport=0\nBINDADDRESS=::1\nThreads=3\nMaxInputString=-1\nMaxFileUploadSize=-1\n\
         StrictActionValidation=True\nAllowedHosts=A.org,[::2]\nAllowedOrigins=http://A.org:80,*\n[Paths]\nDataDirectory=/data\n",
    );
    let server = settings.server;
    assert_eq!((server.port, server.token_host.as_str(), server.threads), (0, "::1", Some(3)));
    assert_eq!(server.max_input_string, usize::MAX);
    assert_eq!(server.max_file_upload_size, usize::MAX);
    assert!(server.strict_action_validation);
    assert_eq!(server.allowed_hosts, ["a.org", "::2"]);
    assert_eq!(server.allowed_origins, ["http://a.org", "*"]);
    assert_eq!(settings.paths.data_directory, PathBuf::from("/data"));
}

#[test]
fn the_host_of_tokens_follows_the_address() {
    let table = [
        ("BindAddress=10.0.0.7", "10.0.0.7"),
        ("BindAddress=::1, 127.0.0.1", "::1"),
        ("BindAddress=10.0.0.7,10.0.0.8,[::1],10.0.0.7", "10.0.0.7"),
        ("BindAddress=0.0.0.0", "127.0.0.1"),
        ("BindAddress=::", "127.0.0.1"),
        ("BindAddress=::1", "::1"),
        ("BindAddress=0.0.0.0\nTokenHost=a.example.org", "a.example.org"),
        ("TokenHost=[::1]", "::1"),
    ];
    for (text, want) in table {
        assert_eq!(good(&format!("[Server]\n{text}")).server.token_host, want, "{text}");
    }
}

#[test]
fn a_queue_overrides_what_holds_for_all() {
    let settings = good(
        "[Actions]\nMaximumThreads=4\nMaxQueueSize=9\nMaxFinishedSize=-1\nMaxFinishedAge=60\n\
         OnRestart=fail\nStopGraceSecs=0\nDurability=NORMAL\nShutdownGraceSecs=3\n\
         MaxAttempts=5\nRetryDelaySecs=0\nRetryBackoff=Exponential\nRetryMaxDelaySecs=60\nMaxRestarts=0\n\
         [AsyncActions]\n0=A\n1=B\n[A]\nType=Echo\n[B]\nType=Echo\nMaximumThreads=2\n\
         MaxQueueSize=0\nMaxFinishedSize=5\nMaxFinishedAge=0\nOnRestart=Requeue\nStopGraceSecs=7\n\
         MaxAttempts=2\nRetryDelaySecs=9\nRetryBackoff=fixed\nRetryMaxDelaySecs=3\nMaxRestarts=1\n",
    );
    let all = QueueLimits {
        maximum_threads: 4,
        max_queue_size: Some(9),
        max_finished_size: None,
        max_finished_age: Some(Duration::from_secs(60)),
        on_restart: Some(OnRestart::Fail),
        retry: RetryPolicy {
            max_attempts: 5,
            delay: Duration::ZERO,
            backoff: Backoff::Exponential,
            max_delay: Duration::from_secs(60),
        },
        max_restarts: 0,
        stop_grace: Duration::ZERO,
        ..QueueLimits::default()
    };
    let own = QueueLimits {
        maximum_threads: 2,
        max_queue_size: None,
        max_finished_size: Some(5),
        max_finished_age: None,
        on_restart: Some(OnRestart::Requeue),
        retry: RetryPolicy {
            max_attempts: 2,
            delay: Duration::from_secs(9),
            backoff: Backoff::Fixed,
            max_delay: Duration::from_secs(3),
        },
        max_restarts: 1,
        stop_grace: Duration::from_secs(7),
        ..QueueLimits::default()
    };
    let got: Vec<_> = settings.queues.iter().map(|queue| queue.limits.clone()).collect();
    assert_eq!(got, [all.clone(), own]);
    assert_eq!(settings.actions.limits, all);
    assert_eq!(settings.actions.durability, Durability::Normal);
    assert_eq!(settings.actions.shutdown_grace, Duration::from_secs(3));
}

#[test]
fn the_default_queue_may_have_a_section() {
    let settings = good("[Process]\nMaximumThreads=3");
    assert_eq!(settings.queues[0].limits.maximum_threads, 3);
    assert!(settings.queues[0].settings::<Echo>().is_some());
    let settings =
        good("[process]\nType=Ingest\nMaxOutputSize=-1\nAllowedSourceDirectories=in, \"/a, b\"");
    assert_eq!(ingest(&settings).max_output_size, usize::MAX);
    let allowed = ["in", "/a, b"].map(PathBuf::from);
    assert_eq!(ingest(&settings).allowed_source_directories, allowed);
    let settings = good("[process]\nType=Ingest\nOutput=json\nMaxContentSize=0");
    assert_eq!(settings.queues[0].name, "Process");
    assert_eq!(ingest(&settings).output, [Output::Json]);
    assert_eq!(ingest(&settings).max_content_size, 0);
}

#[test]
fn a_task_takes_its_own_values() {
    let more = "DirectoryRecursive=no\nDirectoryFileMatch=*.rs, \"a,b\"\nPathNoCrawlRegex=^/x\n\
                [Ingestion]\nIngestBatchSize=7\nIngestHost=[::1]\nIngestPort=7001\n";
    let settings = good(&format!("{ALL_TYPES}{more}"));
    let fetch = fetch(&settings);
    assert!(!fetch.tasks[0].recursive);
    assert_eq!(fetch.tasks[0].file_match, ["*.rs", "a,b"]);
    assert_eq!(fetch.tasks[0].no_crawl.as_ref().unwrap().as_str(), "^/x");
    assert_eq!(fetch.batch_size, 7);
    assert_eq!(fetch.ingest, IngestTarget::Remote { host: "::1".to_owned(), port: 7001 });
}

#[test]
fn documents_go_to_the_wanted_queue() {
    let text = ALL_TYPES.replace("[Fetch]", "3=Other\n[Other]\nType=Ingest\n[Fetch]");
    let first = good(&text);
    assert_eq!(fetch(&first).ingest, IngestTarget::Queue("Ingest".to_owned()));
    let other = good(&format!("{text}[Ingestion]\nIngestQueue=OTHER\n"));
    assert_eq!(fetch(&other).ingest, IngestTarget::Queue("Other".to_owned()));
}

#[test]
fn the_data_directory_of_the_command_line_moves_the_output_too() {
    let overrides = Overrides { port: Some(1), data_directory: Some("/d".into()) };
    let (settings, _) = Settings::parse_with(ALL_TYPES, "t", &overrides).unwrap();
    assert_eq!(settings.server.port, 1);
    assert_eq!(ingest(&settings).output_directory, PathBuf::from("/d/ingest"));
    let text = ALL_TYPES.replace("=INGEST", "=Ingest\nOutputDirectory=out");
    let (settings, _) = Settings::parse_with(&text, "t", &overrides).unwrap();
    assert_eq!(ingest(&settings).output_directory, PathBuf::from("out"));
}

#[test]
fn bad_values_are_refused_in_full_words() {
    let table = [
        (
            "[Server]\nPort=70000",
            "t:2: [Server] Port=70000: must be a whole number from 0 to 65535",
        ),
        ("[Server]\nPort=+7001", "t:2: [Server] Port=+7001: must be a whole number from 0"),
        ("[Server]\nPort=", "t:2: [Server] Port=: is empty: it must be a whole number from 0"),
        ("[Server]\nMaxInputString=0", "from 1 to 1000000, or -1 for unlimited"),
        ("[Server]\nMaxFileUploadSize=-2", "or -1 for unlimited"),
        ("[Server]\nBindAddress=example.org", "must be IP addresses"),
        ("[Server]\nBindAddress=,", "must be IP addresses"),
        ("[Server]\nBindAddress=::1,127.0.0.1:7000", "must be IP addresses"),
        ("[Server]\nTokenHost=a:b", "must be an IP address or a host name"),
        ("[Actions]\nMaximumThreads=0", "from 1 to 10000"),
        ("[Actions]\nMaxFinishedSize=0", "from 1 to 1000000000, or -1 for unlimited"),
        ("[Actions]\nOnRestart=Retry", "must be one of Requeue, Fail"),
        ("[Actions]\nDurability=none", "must be one of full, normal"),
        ("[Process]\nMaximumThreads=x", "t:2: [Process] MaximumThreads=x: must be a whole number"),
        ("[Process]\nType=Program", "must be one of Echo, Ingest, FileSystemConnector"),
        ("[AsyncActions]", "t:1: [AsyncActions] 0: is missing: at least one queue is needed"),
        ("[AsyncActions]\nNumber=0", "from 1 to 1000"),
        (
            "[AsyncActions]\nNumber=2\n0=A\n[A]\nType=Echo",
            "t:2: [AsyncActions]: Number=2, but there is no 1=",
        ),
        (
            "[AsyncActions]\n1=A\n[A]\nType=Echo",
            "t:1: [AsyncActions]: there is no 0=, though a higher",
        ),
        ("[AsyncActions]\n0=A", "t:2: [AsyncActions] 0=A: has no section [A] with Type="),
        ("[AsyncActions]\n0=A\n[a]\nX=1", "t:3: [a] Type: is missing: it must be one of Echo"),
        ("[AsyncActions]\n0=A b", "t:2: [AsyncActions] 0=A b: must be a name"),
        ("[AsyncActions]\n0=getStatus", "cannot be taken: that action answers at once"),
        ("[AsyncActions]\n0=server", "cannot be taken: the section of that name has its own"),
        (
            "[AsyncActions]\n0=A\n1=a\n[A]\nType=Echo",
            "t:3: [AsyncActions] 1=a: is in the list twice",
        ),
        ("[Ingestion]\nIngestHost=h", "t:2: [Ingestion] IngestHost=h: needs IngestPort too"),
        ("[Ingestion]\nIngestPort=1", "t:2: [Ingestion] IngestPort=1: needs IngestHost too"),
        ("[Ingestion]\nIngestQueue=A", "must be the name of a queue of [AsyncActions] with Type="),
        (
            "[Process]\nType=FileSystemConnector",
            "t:2: [Process] Type=FileSystemConnector: has nowhere",
        ),
    ];
    for (text, want) in table {
        let got = errors(text);
        assert_eq!(got.len(), 1, "{text:?}: {got:#?}");
        assert!(got[0].contains(want), "{text:?}: {got:#?}");
    }
}

#[test]
fn bad_tasks_are_refused_where_something_fetches() {
    let fetches = "[Process]\nType=FileSystemConnector\n[Ingestion]\nIngestHost=h\nIngestPort=1\n";
    for (text, want) in [
        ("0=Process", "cannot be taken: there is a queue of that name"),
        ("0=A b\n[A b]\nDirectoryPathCSVs=a", "must be a name of 1 to 64"),
        ("0=A", "t:7: [FetchTasks] 0=A: has no section [A]"),
        ("0=D\n[D]\nDirectoryRecursive=1", "t:8: [D] DirectoryPathCSVs: is missing"),
        ("0=D\n[D]\nDirectoryPathCSVs=,", "has no item: must be paths"),
        (
            "0=D\n[D]\nDirectoryPathCSVs=a\nPathNoCrawlRegex=(",
            "t:10: [D] PathNoCrawlRegex=(: must be a regular expression",
        ),
    ] {
        let got = errors(&format!("{fetches}[FetchTasks]\n{text}"));
        assert_eq!(got.len(), 1, "{text:?}: {got:#?}");
        assert!(got[0].contains(want), "{text:?}: {got:#?}");
        // Else they may be those of another connector.
        let (_, warnings) = Settings::parse(&format!("[FetchTasks]\n{text}"), "t").unwrap();
        let got: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(got.len(), 1, "{text:?}: {got:?}");
        assert!(got[0].starts_with("t:1: [FetchTasks] has no effect, because no queue has Type="));
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let got = errors("x\n[Server]\nPort=a\nThreads=b\n[AsyncActions]\n0=Q\n1=R\n[Q]\nType=z\n");
    let lines: Vec<_> = got.iter().map(|error| error.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["t:1:", "t:3:", "t:4:", "t:7:", "t:9:"], "{got:#?}");
}

#[test]
fn a_long_value_is_shortened() {
    let got = errors(&format!("[Server]\nPort={}", "9".repeat(500)));
    assert!(got[0].contains(&format!("Port={}...:", "9".repeat(100))), "{got:?}");
}

#[test]
fn contradictions_that_do_no_harm_are_warnings() {
    let remote = "[Ingestion]\nIngestHost=h\nIngestPort=1\nIngestQueue=Ingest\n";
    let table = [
        (
            "[AsyncActions]\nNumber=1\n0=A\n1=B\n[A]\nType=Echo".to_owned(),
            "t:4: [AsyncActions] 1= is not used, because Number=1",
        ),
        (
            ALL_TYPES.replace("0=DIR1", "Number=0\n0=DIR1"),
            "[FetchTasks] lists no task, so a fetch has nothing to do",
        ),
        (
            "[FetchTasks]\n0=D\n[D]\nDirectoryPathCSVs=a".to_owned(),
            "t:1: [FetchTasks] has no effect, because no queue has Type=FileSystemConnector",
        ),
        (format!("{ALL_TYPES}{remote}"), "[Ingestion] IngestQueue has no effect"),
        ("[Server]\nPort=1\nPort=2".to_owned(), "t:3: [Server] Port was given in line 2 already"),
    ];
    for (text, want) in table {
        let got = warnings(&text);
        assert!(got.iter().any(|warning| warning.contains(want)), "{text:?}: {got:#?}");
    }
}

#[test]
fn a_value_that_may_be_meant_otherwise_is_told() {
    let home = "the ~ is taken as it is and not as a home directory: write that out";
    let quotes = "the quotes are taken as they are, as part of the value: leave them out";
    let comment = "all of this is the value: a comment needs a line of its own";
    let task = |line: &str| format!("{ALL_TYPES}{line}\n");
    let table = [
        (
            "[Paths]\nDataDirectory=~/data".to_owned(),
            vec!["t:2: [Paths] DataDirectory=~/data", home],
        ),
        (
            "[Paths]\nDataDirectory=/data // all".to_owned(),
            vec!["DataDirectory=/data // all", comment],
        ),
        ("[Paths]\nDataDirectory=/data\t#x".to_owned(), vec![comment]),
        (task("[Ingest]\nOutputDirectory=~ada/out"), vec!["OutputDirectory=~ada/out", home]),
        (ALL_TYPES.replace("=./docs", "=/a,~/docs"), vec!["=/a,~/docs", home]),
        (
            "[Paths]\nDataDirectory=\"./my data\"".to_owned(),
            vec!["t:2: [Paths] DataDirectory=\"./my data\"", quotes],
        ),
        ("[Paths]\nDataDirectory='/data'".to_owned(), vec!["DataDirectory='/data'", quotes]),
        (task("[Ingest]\nOutputDirectory=\"out\""), vec!["OutputDirectory=\"out\"", quotes]),
        (ALL_TYPES.replace("=./docs", "=/a,'/b c'"), vec!["=/a,'/b c'", quotes]),
        (
            task("[Ingest]\nAllowedSourceDirectories='/a','/b'"),
            vec!["AllowedSourceDirectories='/a','/b'", quotes],
        ),
        (task("DirectoryFileMatch='*.rs'"), vec!["DirectoryFileMatch='*.rs'", quotes]),
        (task("PathNoCrawlRegex=\"/a\""), vec!["PathNoCrawlRegex=\"/a\"", quotes]),
        (task("DirectoryFileMatch=*.rs // all"), vec!["*.rs // all", comment]),
    ];
    for (text, want) in table {
        let got = warnings(&text);
        assert_eq!(got.len(), 1, "{text}: {got:?}");
        assert!(want.iter().all(|want| got[0].contains(want)), "{text}: {got:?}");
    }
    for text in [
        "[Paths]\nDataDirectory=/a~b//c#d".to_owned(),
        task("DirectoryFileMatch=~*"),
        task("PathNoCrawlRegex=~ #x"),
        "[Paths]\nDataDirectory=/a\"b\"/it's".to_owned(),
        ALL_TYPES.replace("=./docs", "=\"/a, b\",\"\\\"c\\\"\""),
        task("DirectoryFileMatch=\"*.rs\""),
        task("PathNoCrawlRegex=\"/a|b'"),
    ] {
        good(&text);
    }
    let overrides = Overrides { port: None, data_directory: Some("~/d".into()) };
    let (_, warnings) = Settings::parse_with("", "t", &overrides).unwrap();
    assert_eq!(warnings[0].to_string(), format!("t: --data ~/d: {home}"));
    let overrides = Overrides { port: None, data_directory: Some("\"d\"".into()) };
    let (_, warnings) = Settings::parse_with("", "t", &overrides).unwrap();
    assert_eq!(warnings[0].to_string(), format!("t: --data \"d\": {quotes}"));
}

#[test]
fn what_is_misspelt_is_told_beside_what_stops_the_start() {
    let table = [
        (
            "[Server]\nTreads=2\nPort=x\n[Actons]\nA=1",
            vec!["t:2: [Server] Treads has", "t:4: section [Actons] has"],
        ),
        // What a bad list should have named, or a bad type would know, is no mistake of its own.
        ("[AsyncActions]\nNumber=x\n0=Work\n[Work]\nType=Echo", vec![]),
        ("[AsyncActions]\n0=Work\n[Work]\nType=Igest\nOutput=idx\nX=1", vec!["t:6: [Work] X has"]),
        // A task that is listed and bad is a task: that there is none would be false.
        (
            "[AsyncActions]\n0=F\n[F]\nType=FileSystemConnector\n[FetchTasks]\n0=A\n\
             [Ingestion]\nIngestHost=h\nIngestPort=1",
            vec![],
        ),
    ];
    for (text, want) in table {
        let error = Settings::parse(text, "t").unwrap_err();
        assert_eq!(error.problems().len(), 1, "{text}: {error}");
        let got: Vec<_> = error.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(got.len(), want.len(), "{text}: {got:?}");
        assert!(got.iter().zip(&want).all(|(got, want)| got.starts_with(want)), "{text}: {got:?}");
    }
}

#[test]
fn every_kind_of_action_runs_again_unless_it_is_told_not_to() {
    let settings = good(ALL_TYPES);
    let site = crate::kinds::Site::new(&settings.paths.data_directory, &[]);
    for queue in &settings.queues {
        assert_eq!(queue.kind.on_restart(), OnRestart::Requeue);
        // Also where the performer runs in a system of somebody else.
        assert_eq!(queue.settings.performer(&site).on_restart(), OnRestart::Requeue);
    }
}

#[test]
fn the_files_of_the_repository_are_good() {
    let settings = good(include_str!("../../actiond.cfg"));
    let names: Vec<_> = settings.queues.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(names, ["Fetch", "Ingest", "Process"]);
    let fetch = fetch(&settings);
    assert_eq!(fetch.tasks[0].name, "DIR1");
    assert_eq!(fetch.tasks[1].directories, [PathBuf::from("./src"), "./actors/src".into()]);
    assert_eq!(fetch.tasks[1].file_match, ["*.rs"]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        lines in proptest::collection::vec(
            "\\[(Server|Actions|AsyncActions|Process|A|FetchTasks|Ingestion|\\PC{0,5})\\]\
             |(Port|Number|[0-9]{1,12}|Type|MaximumThreads|DirectoryPathCSVs|PathNoCrawlRegex|IngestHost|IngestQueue)=(A|Process|Echo|Ingest|FileSystemConnector|-?[0-9]{0,20}|\\PC{0,9})\
             |\\PC{0,30}",
            0..30,
        )
    ) {
        let text = lines.join("\n");
        match Settings::parse(&text, "t") {
            Ok((settings, _)) => prop_assert!(!settings.queues.is_empty()),
            Err(error) => prop_assert!(!error.problems().is_empty()),
        }
    }
}
