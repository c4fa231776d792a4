//! Every action and command as every kind of caller. What is expected is worked out here from the rules: a caller has a role
//! by one of its keys, or by the address where the role has no keys; roles add up and none implies another; a standard role
//! that no role names is for this machine only (`Admin`, `ServiceControl`) or for everybody.
//!
//! Each configuration is walked twice: first everything that must be refused, after which nothing may have changed, then
//! everything that must not be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use actiond::aci::catalog::{BUILTIN, ParamKind, StandardRole};
use actiond::aci::queue_info::QUEUE_ACTIONS;

use super::*;

/// A queue of each kind, and a second one of the kind that needs nothing.
const QUEUES: &str = "
[AsyncActions]
0=Fetch
1=Ingest
2=Process
3=Other
[Fetch]
Type=FileSystemConnector
[Ingest]
Type=Ingest
[Process]
Type=Echo
[Other]
Type=Echo
";

const NAMES: [&str; 4] = ["Fetch", "Ingest", "Process", "Other"];

/// The role that each action needs. Whoever adds an action says here who may send it.
const NEEDED: &[(&str, StandardRole)] = &[
    ("QueueInfo", StandardRole::Query),
    ("QueueWork", StandardRole::Query),
    ("ScheduleInfo", StandardRole::Admin),
    ("GetVersion", StandardRole::Query),
    ("GetStatus", StandardRole::Admin),
    ("GetPid", StandardRole::Query),
    ("GetChildren", StandardRole::Query),
    ("GetLicenseInfo", StandardRole::Query),
    ("GetRequestLog", StandardRole::Admin),
    ("ShowPermissions", StandardRole::Query),
    ("BackupServer", StandardRole::Admin),
    ("RestoreServer", StandardRole::Admin),
    ("EventInfo", StandardRole::Admin),
    ("Admin", StandardRole::Query),
    ("Help", StandardRole::Query),
];

/// The commands of `QueueInfo`, and whether they change something.
const COMMANDS: &[(&str, bool)] = &[
    ("getStatus", false),
    ("getActionParameters", false),
    ("queueStatus", false),
    ("progress", false),
    ("cancel", true),
    ("stop", true),
    ("pause", true),
    ("resume", true),
    ("changePriority", true),
    ("duplicate", true),
    ("retry", true),
    ("delete", true),
];

/// The actions of the service port.
const SERVICE: &[(&str, StandardRole)] = &[
    ("GetStatus", StandardRole::ServiceStatus),
    ("GetStatusInfo", StandardRole::ServiceStatus),
    ("GetStatistics", StandardRole::ServiceStatus),
    ("GetLogStreamNames", StandardRole::ServiceStatus),
    ("GetLogStream", StandardRole::ServiceControl),
    ("GetConfig", StandardRole::ServiceControl),
    ("ValidateConfig", StandardRole::ServiceControl),
    ("ReloadConfig", StandardRole::ServiceControl),
    ("Stop", StandardRole::ServiceControl),
];

/// Where callers are, with the patterns below that are meant for them; `*` is for all of them.
const PLACES: &[(&str, &[&str])] = &[
    ("127.0.0.1", &["localhost"]),
    ("::1", &["localhost"]),
    ("192.0.2.7", &["192.0.2.7"]),
    ("192.0.2.88", &[]),
    ("10.1.2.3", &["10.0.0.0/8"]),
    ("203.0.113.5", &["203.0.*.*"]),
    ("2001:db8::7", &["2001:db8::/32"]),
];

/// A section of a role, or an older key that does the same.
#[derive(Debug, Default, Clone)]
struct Role {
    standard: &'static [&'static str],
    actions: &'static [&'static str],
    service: &'static [&'static str],
    queues: &'static [&'static str],
    clients: &'static [&'static str],
    /// Numbers of keys that the test has made.
    keys: &'static [usize],
    /// The key of the configuration and its section, if it is no section of its own.
    older: Option<(&'static str, &'static str)>,
}

/// A request, and what the rules say of it.
#[derive(Debug, Clone)]
struct Request {
    target: String,
    is_of_service_port: bool,
    action: &'static str,
    command: Option<&'static str>,
    queue: Option<&'static str>,
    needs: StandardRole,
}

/// A caller by its place and its key; a key without a number is a wrong one.
#[derive(Debug, Clone, Copy)]
struct Caller {
    place: &'static str,
    key: Option<Option<usize>>,
}

impl Role {
    fn has(&self, caller: Caller) -> bool {
        if !self.keys.is_empty() {
            return matches!(caller.key, Some(Some(key)) if self.keys.contains(&key));
        }
        let patterns = PLACES.iter().find(|(place, _)| *place == caller.place).expect("a place").1;
        self.clients.iter().any(|pattern| *pattern == "*" || patterns.contains(pattern))
    }

    fn names(&self, standard: StandardRole) -> bool {
        self.standard.iter().any(|name| [standard.name(), "*"].contains(name))
    }

    fn allows(&self, request: &Request) -> bool {
        let single = if request.is_of_service_port { self.service } else { self.actions };
        let command = request.command.map(|command| format!("{}.{command}", request.action));
        // The name of the action covers its commands, but for those that need Admin.
        let covers = command.is_none() || request.needs != StandardRole::Admin;
        let is_named = single
            .iter()
            .any(|n| (*n == request.action && covers) || Some(*n) == command.as_deref());
        if self.queues.is_empty() {
            return is_named || self.names(request.needs);
        }
        match request.queue {
            Some(queue) => self.queues.contains(&queue) && (is_named || self.names(request.needs)),
            None => is_named || request.needs == StandardRole::Query && self.names(request.needs),
        }
    }
}

fn may(roles: &[Role], caller: Caller, request: &Request) -> bool {
    let by_role = roles.iter().any(|role| role.has(caller) && role.allows(request));
    let is_named = roles.iter().any(|role| role.names(request.needs));
    let by_default = match request.needs {
        StandardRole::Admin | StandardRole::ServiceControl => {
            ["127.0.0.1", "::1"].contains(&caller.place)
        }
        _ => true,
    };
    by_role || (!is_named && by_default)
}

/// The configuration that has these roles.
fn written(roles: &[Role], keys: &[Key]) -> String {
    let mut older: BTreeMap<&str, String> = BTreeMap::from([("Server", PROXY.to_owned())]);
    let (mut list, mut sections) = (String::new(), String::new());
    for (n, role) in roles.iter().enumerate() {
        if let Some((section, key)) = role.older {
            let line = format!("{key}={}\n", role.clients.join(","));
            older.entry(section).or_default().push_str(&line);
            continue;
        }
        let _ = writeln!(list, "{}=Role{n}", list.lines().count());
        let _ = writeln!(sections, "[Role{n}]");
        let hashes: Vec<_> = role.keys.iter().map(|key| keys[*key].hash.as_str()).collect();
        for (key, values) in [
            ("StandardRoles", role.standard),
            ("Actions", role.actions),
            ("ServiceActions", role.service),
            ("Queues", role.queues),
            ("Keys", &hashes),
            ("Clients", role.clients),
        ] {
            if !values.is_empty() {
                let _ = writeln!(sections, "{key}={}", values.join(","));
            }
        }
        if role.keys.is_empty() && role.clients.is_empty() {
            sections.push_str("Clients=\"\"\n");
        }
    }
    let server = older.remove("Server").unwrap_or_default();
    let service = older.remove("Service").unwrap_or_default();
    assert!(older.is_empty(), "{older:?}");
    let list = if list.is_empty() { list } else { format!("[AuthorizationRoles]\n{list}") };
    format!("[Server]\n{server}[Service]\nServicePort=0\n{service}{list}{sections}{QUEUES}")
}

/// Every request to the ACI port, with these waiting actions; and to the service port.
fn requests(waiting: &[(&'static str, String)]) -> Vec<Request> {
    let mut all = Vec::new();
    let mut aci = |target: String, action, command, queue, needs| {
        let target = format!("/action={target}");
        all.push(Request { target, is_of_service_port: false, action, command, queue, needs });
    };
    for spec in BUILTIN.iter().filter(|spec| !["QueueInfo", "QueueWork"].contains(&spec.name)) {
        let mut target = spec.name.to_owned();
        for parameter in spec.params.iter().filter(|parameter| parameter.required) {
            let value = match parameter.kind {
                ParamKind::OneOf(words) | ParamKind::ListOf(words) => words[0].to_owned(),
                ParamKind::Integer { min, .. } => min.to_string(),
                ParamKind::Boolean => "true".to_owned(),
                ParamKind::Queue => panic!("say of which queue {} is", spec.name),
                _ => "1".to_owned(),
            };
            let _ = write!(target, "&{}={value}", parameter.name);
        }
        aci(target, spec.name, None, None, needed(spec.name));
    }
    for (queue, token) in waiting {
        for command in QUEUE_ACTIONS {
            let about = format!("QueueInfo&QueueAction={command}&Priority=7");
            let needs = match *command {
                "delete" => StandardRole::Admin,
                _ => needed("QueueInfo"),
            };
            for rest in [
                format!("&QueueName={queue}&Token={token}"),
                // A token names its queue, and most commands are for a whole queue, too.
                format!("&Token={token}"),
                format!("&QueueName={queue}"),
            ] {
                aci(format!("{about}{rest}"), "QueueInfo", Some(*command), Some(*queue), needs);
            }
        }
        for (command, rest) in [
            ("take", format!("&QueueName={queue}")),
            ("take", format!("&QueueName={queue},{queue}&Token={token}")),
            ("heartbeat", format!("&Attempt=1&Token={token}")),
            ("release", format!("&Attempt=1&Token={token}&QueueName=Other")),
        ] {
            let about = format!("QueueWork&WorkAction={command}{rest}");
            let needs = needed("QueueWork");
            aci(about, "QueueWork", Some(command), Some(*queue), needs);
        }
        for rest in ["&Name=x", "&Sync=true"] {
            aci(format!("{queue}{rest}"), *queue, None, Some(*queue), StandardRole::Query);
        }
    }
    for (action, needs) in SERVICE {
        // There is no such stream, and who may ask for one is told so.
        let target = format!("/action={action}&Name=none");
        let (command, queue) = (None, None);
        let needs = *needs;
        all.push(Request { target, is_of_service_port: true, action, command, queue, needs });
    }
    all
}

fn needed(action: &str) -> StandardRole {
    NEEDED.iter().find(|(name, _)| *name == action).expect("an action of the table").1
}

/// Every caller: at each place without a key, and with each key at two of them.
fn callers(keys: usize) -> Vec<Caller> {
    let mut all: Vec<_> = PLACES.iter().map(|(place, _)| Caller { place, key: None }).collect();
    for key in (0..keys).map(Some) {
        all.extend(["127.0.0.1", "203.0.113.5"].map(|place| Caller { place, key: Some(key) }));
    }
    all.push(Caller { place: "192.0.2.7", key: Some(None) });
    all
}

/// Sends all of these, some at a time since wrong keys take theirs, and has each reply looked at. Returns what is wrong.
fn send_all(
    ports: (SocketAddr, SocketAddr),
    keys: &[Key],
    all: &[(Caller, &Request)],
    look: impl Fn(Caller, &Request, &Reply) -> Result<(), &'static str> + Sync,
) -> Vec<String> {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let one = |caller: Caller, request: &Request| {
        let mut who = Who::default();
        if caller.place != "127.0.0.1" {
            who = Who::at(caller.place);
        }
        match caller.key {
            Some(Some(key)) => who = who.with(&keys[key].text),
            Some(None) => who = who.with(WRONG),
            None => {}
        }
        let port = if request.is_of_service_port { ports.1 } else { ports.0 };
        let reply = try_send_to(port, &who.get(&request.target)).map_err(|e| e.to_string())?;
        look(caller, request, &reply).map_err(|why| format!("{why}: {}", reply.body_text()))
    };
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                while let Some((caller, request)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = one(*caller, request) {
                        let line = format!("{caller:?}, {request:?}: {why}");
                        wrong.lock().expect("a list").push(line);
                    }
                }
            });
        }
    });
    wrong.into_inner().expect("a list")
}

/// Fails if there is a difference, and shows the first ones.
fn none_of(wrong: &[String], config: &str) {
    let first: Vec<_> = wrong.iter().take(10).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} differences:\n{}\nwith {config}", wrong.len(), first.join("\n"));
}

/// The port of service as the log says, since not everybody may ask for it.
fn ports(server: &Server) -> (SocketAddr, SocketAddr) {
    let line = server.wait_for_line(&["service port", "answers on http://"]);
    let (_, address) = line.split_once("answers on http://").expect("an address");
    (server.address, address.trim_end_matches('/').parse().expect("an address"))
}

fn is_refusal(request: &Request, reply: &Reply) -> bool {
    if !request.is_of_service_port {
        return is_refused(reply);
    }
    assert!(reply.head.starts_with("HTTP/1.1 200 "), "{request:?}: {}", reply.head);
    let body = reply.body_text();
    !is_done(reply) && told(&body, "RESPONSEDATA").starts_with("Permission denied: ")
}

/// Walks the table with these roles.
fn walk(roles: &[Role]) {
    let keys: Vec<_> = [(); 4].map(|()| Key::make()).into();
    let roles_config = written(roles, &keys);
    // Everybody may do everything, so that what stands in the queues can be put there and looked at.
    let open_config = written(&[], &keys);
    let home = Home::new(&open_config);
    let server = home.start();
    let waiting = NAMES.map(|queue| {
        server.info(queue, "pause", "").success();
        (queue, server.submit_to(queue, "&FetchAction=Synchronize&Adds=%3Cadds%2F%3E&Priority=3"))
    });
    let before = standing(&server, &NAMES);
    end(server);

    let requests = requests(&waiting);
    let callers = callers(keys.len());
    let pairs = || callers.iter().flat_map(|caller| requests.iter().map(move |r| (*caller, r)));
    let (allowed, mut refused): (Vec<_>, Vec<_>) =
        pairs().partition(|(caller, request)| may(roles, *caller, request));
    // One that is done although it must not be would end the server; all others come before.
    refused.sort_by_key(|(_, request)| request.action == "Stop");

    configure(&home, &roles_config);
    let server = home.start();
    let path = home.path().to_str().expect("text").to_owned();
    let keeps_quiet = |body: &str| {
        let is_told = |key: &Key| {
            body.contains(&key.text) || body.contains(key.hash.trim_start_matches("sha256:"))
        };
        !keys.iter().any(is_told) && !body.contains(WRONG)
    };
    let wrong = send_all(ports(&server), &keys, &refused, |_, request, reply| {
        let body = reply.body_text();
        match () {
            () if !is_refusal(request, reply) => Err("is done, and must be refused"),
            () if body.contains(&path) => Err("tells a path of the disk"),
            () if !keeps_quiet(&body) => Err("tells a key"),
            () => Ok(()),
        }
    });
    none_of(&wrong, &roles_config);
    let log = end(server);
    for (place, _) in PLACES.iter().filter(|(place, _)| !["127.0.0.1", "::1"].contains(place)) {
        let expected = refused.iter().filter(|(caller, _)| caller.place == *place).count();
        let of_place = |line: &&String| line.contains(place) && line.contains("refused");
        let lines = log.iter().filter(of_place).count();
        assert_eq!(lines, expected, "one line for each that was refused at {place}: {log:#?}");
    }
    for key in &keys {
        assert!(!log.iter().any(|line| line.contains(&key.text)), "a key is in the log");
    }
    assert!(!log.iter().any(|line| line.contains(WRONG)), "a wrong key is in the log: {log:#?}");

    configure(&home, &open_config);
    let server = home.start();
    assert_eq!(standing(&server, &NAMES), before, "what was refused has changed something");
    end(server);

    configure(&home, &roles_config);
    let server = home.start();
    let mut allowed = allowed;
    allowed.retain(|(_, request)| request.action != "Stop");
    let find = |action: &str, needs: StandardRole| {
        let found = requests.iter().find(|r| r.action == action && r.needs == needs);
        found.expect("an action of the table")
    };
    let administers = find("GetRequestLog", StandardRole::Admin);
    let controls = find("Stop", StandardRole::ServiceControl);
    let wrong = send_all(ports(&server), &keys, &allowed, |caller, request, reply| {
        let body = reply.body_text();
        // That a role for GetStatus shows a path is meant, and so is GetStatusInfo to who may end the server.
        let may_see = request.action == "GetStatus"
            || may(roles, caller, administers)
            || request.is_of_service_port && may(roles, caller, controls);
        match () {
            () if is_refusal(request, reply) => Err("is refused, and must be done"),
            () if body.contains(&path) && !may_see => Err("tells a path of the disk"),
            () if !keeps_quiet(&body) => Err("tells a key"),
            () => Ok(()),
        }
    });
    none_of(&wrong, &roles_config);
    end(server);
}

/// What is added to the server is in the table.
#[test]
fn every_action_and_command_is_in_the_table() {
    let known: Vec<_> = NEEDED.iter().map(|(name, role)| (*name, *role)).collect();
    let there: Vec<_> = BUILTIN.iter().map(|spec| (spec.name, spec.role)).collect();
    assert_eq!(there, known, "say in the table which role an action needs");
    let commands: Vec<_> = COMMANDS.iter().map(|(name, _)| *name).collect();
    assert_eq!(QUEUE_ACTIONS, commands, "say in the table what a command does");

    let home = Home::new(&written(&[], &[]));
    let server = home.start();
    let help = server.ask("Help").success();
    let told: Vec<_> = help.values("name").into_iter().zip(help.values("role")).collect();
    let queues = NAMES.iter().map(|queue| (*queue, StandardRole::Query));
    let mut expected: Vec<_> = NEEDED.iter().copied().chain(queues).collect();
    expected.sort_by_key(|(name, _)| *name);
    let mut told: Vec<_> = told.iter().map(|(n, role)| (n.as_str(), role.as_str())).collect();
    told.sort_unstable();
    let expected: Vec<_> = expected.iter().map(|(name, role)| (*name, role.name())).collect();
    assert_eq!(told, expected, "the help says which role each action needs");
    let browser = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n";
    let page = send_to(server.address, browser).body_text();
    for (name, role) in expected {
        let section = between(&page, &format!("<h2 id=\"{name}\">"), "</h2>").expect("its heading");
        assert!(section.contains(role), "{name} needs {role}: {section}");
    }
}

/// So whoever is given those alone may look and not touch.
#[test]
fn commands_that_only_look_change_nothing() {
    let named: Vec<_> = COMMANDS
        .iter()
        .filter(|(_, changes)| !changes)
        .map(|(name, _)| format!("QueueInfo.{name}"))
        .collect();
    let home = Home::new(&format!(
        "[Server]\n{PROXY}[AuthorizationRoles]\n0=All\n1=Look\n[All]\nStandardRoles=*\nClients=localhost\n\
         [Look]\nActions={}\nClients=192.0.2.7\n{QUEUES}",
        named.join(",")
    ));
    let server = home.start();
    let waiting = NAMES.map(|queue| {
        server.info(queue, "pause", "").success();
        (queue, server.submit_to(queue, "&Priority=3"))
    });
    let before = standing(&server, &NAMES);
    let looks = Who::at("192.0.2.7");
    for (queue, token) in &waiting {
        for (command, changes) in COMMANDS {
            let about = format!(
                "QueueInfo&QueueName={queue}&QueueAction={command}&Token={token}&Priority=9"
            );
            if *changes {
                looks.may_not(&server, &about);
            } else {
                looks.may(&server, &about);
            }
        }
    }
    assert_eq!(standing(&server, &NAMES), before);
    end(server);
}

/// Without roles this machine may do everything, and everybody what is not administrative.
#[test]
fn without_roles() {
    walk(&[]);
}

/// The lock that the documentation of such servers recommends: nobody may do anything.
#[test]
fn locked_down() {
    walk(&[Role { standard: &["*"], ..Role::default() }]);
}

#[test]
fn submitters_viewers_and_administrators() {
    walk(&[
        Role {
            actions: &["Process", "Ingest", "QueueInfo.getStatus"],
            keys: &[0, 1],
            ..Role::default()
        },
        Role {
            standard: &["Query", "ServiceStatus"],
            clients: &["10.0.0.0/8", "2001:db8::/32"],
            ..Role::default()
        },
        // An address alone is not enough where there are keys, not even that of this machine.
        Role {
            standard: &["Admin", "Query", "ServiceStatus", "ServiceControl"],
            clients: &["localhost", "192.0.2.7"],
            keys: &[2],
            ..Role::default()
        },
    ]);
}

#[test]
fn roles_for_one_queue() {
    walk(&[
        Role { standard: &["Query"], queues: &["Process"], keys: &[0], ..Role::default() },
        Role { standard: &["Admin"], queues: &["Process"], keys: &[1], ..Role::default() },
        Role {
            actions: &["GetStatus", "Process", "Ingest", "QueueInfo.stop", "QueueInfo.cancel"],
            queues: &["Process", "Ingest"],
            keys: &[2],
            ..Role::default()
        },
        // Two that are limited add up and are still limited each.
        Role {
            actions: &["QueueInfo.pause"],
            queues: &["Other"],
            clients: &["192.0.2.7"],
            ..Role::default()
        },
        Role {
            actions: &["QueueInfo.getStatus"],
            queues: &["Fetch"],
            clients: &["192.0.2.7"],
            ..Role::default()
        },
        Role {
            standard: &["Query", "Index"],
            queues: &["Other"],
            clients: &["10.0.0.0/8"],
            ..Role::default()
        },
    ]);
}

/// Whoever may do everything with one queue has no power over all of them: not to end the server, for one.
#[test]
fn everything_for_one_queue() {
    walk(&[
        Role { standard: &["*"], queues: &["Other"], clients: &["10.0.0.0/8"], ..Role::default() },
        Role { standard: &["*"], keys: &[0], ..Role::default() },
    ]);
}

#[test]
fn single_actions_and_single_commands() {
    walk(&[
        Role {
            actions: &["GetStatus", "QueueInfo.getStatus", "QueueInfo.progress", "Process"],
            service: &["GetStatusInfo"],
            clients: &["192.0.2.7"],
            ..Role::default()
        },
        Role { actions: &["QueueInfo"], clients: &["203.0.*.*"], ..Role::default() },
        Role {
            standard: &["Query", "ServiceStatus"],
            clients: &["2001:db8::/32"],
            ..Role::default()
        },
        Role { actions: &["Fetch", "QueueInfo.pause"], keys: &[1], ..Role::default() },
        Role { service: &["Stop"], keys: &[3], ..Role::default() },
    ]);
}

/// They count as roles of their own: the standard role is no longer everybody's, and roles add to it.
#[test]
fn older_keys() {
    let older = |section, key, standard, clients| Role {
        standard,
        clients,
        older: Some((section, key)),
        ..Role::default()
    };
    walk(&[
        older("Server", "AdminClients", &["Admin"], &["192.0.2.7"]),
        older("Server", "QueryClients", &["Query"], &["10.0.0.0/8", "203.0.*.*"]),
        older("Service", "ServiceStatusClients", &["ServiceStatus"], &["2001:db8::/32"]),
        older("Service", "ServiceControlClients", &["ServiceControl"], &["192.0.2.7"]),
        Role { standard: &["Admin"], keys: &[0], ..Role::default() },
        Role { standard: &["Query"], clients: &["localhost"], ..Role::default() },
    ]);
}

#[test]
fn one_older_key_alone_leaves_the_others_as_they_were() {
    walk(&[Role {
        standard: &["Query"],
        clients: &["10.0.0.0/8"],
        older: Some(("Server", "QueryClients")),
        ..Role::default()
    }]);
}

/// Left empty, they name nobody.
#[test]
fn older_keys_for_nobody() {
    let nobody =
        |section, key, standard| Role { standard, older: Some((section, key)), ..Role::default() };
    walk(&[
        nobody("Server", "AdminClients", &["Admin"]),
        nobody("Server", "QueryClients", &["Query"]),
        nobody("Service", "ServiceControlClients", &["ServiceControl"]),
        Role { standard: &["Query"], keys: &[3], ..Role::default() },
    ]);
}

/// None implies another: not even Admin that one may look.
#[test]
fn each_standard_role_alone() {
    walk(&[
        Role { standard: &["Admin"], clients: &["192.0.2.7"], ..Role::default() },
        Role { standard: &["Query"], clients: &["10.0.0.0/8"], ..Role::default() },
        Role { standard: &["Index"], clients: &["203.0.*.*"], ..Role::default() },
        Role { standard: &["ServiceControl"], keys: &[0], ..Role::default() },
        Role { standard: &["ServiceStatus"], keys: &[1], ..Role::default() },
        Role { standard: &["*"], keys: &[2], ..Role::default() },
    ]);
}

/// A role for everybody beside one that names only the administrators.
#[test]
fn everybody_and_this_machine() {
    walk(&[
        Role {
            standard: &["Admin", "ServiceControl", "Query", "ServiceStatus"],
            clients: &["localhost"],
            ..Role::default()
        },
        Role { standard: &["Query", "ServiceStatus"], clients: &["*"], ..Role::default() },
    ]);
}
