//! What a program finds around it: its standard input, its environment, its working directory, its user.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::calls::form;
use super::super::server::{PATIENCE, Reply, Server, wait_until};
use super::super::shop::{Shop, ended};
use super::super::skip::skipped;

/// Keeps its standard input and its environment.
const KEEPS: &str = r#"cat > "$H/input"; env -0 > "$H/environment""#;

/// The value of a parameter in what a program got on its standard input. Taken are
/// members by name, or a list of names and values, at any depth.
fn given(json: &serde_json::Value, name: &str) -> Option<String> {
    use serde_json::Value;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(all) => all.last().and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    match json {
        Value::Array(all) => all.iter().find_map(|one| given(one, name)),
        Value::Object(members) => {
            let listed = ["name", "@name"].iter().find_map(|key| members.get(*key)?.as_str());
            if listed.is_some_and(|listed| listed.eq_ignore_ascii_case(name)) {
                return ["value", "@value", "$"]
                    .iter()
                    .find_map(|key| members.get(*key).and_then(text));
            }
            let own = members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            own.and_then(|(_, value)| text(value))
                .or_else(|| members.values().find_map(|value| given(value, name)))
        }
        _ => None,
    }
}

fn input(shop: &Shop) -> serde_json::Value {
    let text = shop.read("input");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON: {error}: {text}"))
}

fn environment(shop: &Shop) -> BTreeMap<String, String> {
    let bytes = fs::read(shop.path("environment")).expect("it kept its environment");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let pairs = text.split_terminator('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_parameters_come_as_json_and_in_the_environment() {
    let shop =
        Shop::with(&[("Work", "/bin/sh %HOME%/keeps.sh {Input?}", "")]).script("keeps.sh", KEEPS);
    let server = shop.start();
    let values = [
        ("Input", "ünïcödé 🎬 \"quoted\" \\ </x>\n\tline 2"),
        ("Input-File.x", "a  b"),
        ("empty", ""),
        ("Number", "007"),
        ("True", "true"),
        ("Token", "mine"),
        ("PATH", "/nowhere"),
        ("LD_PRELOAD", "/nowhere.so"),
    ];
    let pairs: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let ended = shop.run_to(&server, "Work", &pairs, "Finished");

    let json = input(&shop);
    assert!(json.is_object(), "{json}");
    let environment = environment(&shop);
    for (name, value) in values {
        assert_eq!(given(&json, name).as_deref(), Some(value), "{name} in {json}");
        let variable: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let variable = format!("ACTIOND_PARAM_{}", variable.to_uppercase());
        assert_eq!(environment.get(&variable).map(String::as_str), Some(value), "{variable}");
    }
    assert_eq!(environment["ACTIOND_TOKEN"], ended.must("token"));
    assert!(environment["ACTIOND_QUEUE"].eq_ignore_ascii_case("Work"), "{environment:?}");
    assert_eq!(environment["ACTIOND_ATTEMPT"], "1");
    assert_eq!(environment["ACTIOND_PROGRESS_FD"], "3");
    // A parameter can't change anything but a variable of its own.
    assert_ne!(environment.get("PATH").map(String::as_str), Some("/nowhere"));
    assert!(!environment.contains_key("LD_PRELOAD"));
}

#[test]
fn a_program_that_takes_no_parameters_gets_json_all_the_same() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/keeps.sh", "")]).script("keeps.sh", KEEPS);
    let server = shop.start();
    shop.run_to(&server, "Work", &[], "Finished");
    assert!(input(&shop).is_object());
    // What XML can't hold: JSON all the same.
    shop.run_to(&server, "Work", &[("Odd", b"\x01\x02"), ("Text", b"x")], "Finished");
    assert_eq!(given(&input(&shop), "Text").as_deref(), Some("x"));
}

/// The input is the way for what is too long to be an argument or a variable.
#[test]
fn a_large_parameter_comes_on_the_input_and_need_not_be_read() {
    let large = "0123456789".repeat(300_000);
    let shop = Shop::with(&[
        ("Reads", "/bin/sh %HOME%/keeps.sh", ""),
        ("Ignores", "true", ""),
        ("Closes", "/bin/sh -c 'exec <&-; echo closed'", ""),
        ("Argument", "echo {Text}", ""),
    ])
    .script("keeps.sh", KEEPS);
    let server = shop.start();
    let post = |queue: &str| {
        let token = server.post(queue, &[("Text", &large)]).success().must("token");
        server.outcome(queue, &token)
    };
    for queue in ["Reads", "Ignores", "Closes"] {
        let answer = post(queue);
        assert_eq!(
            answer.must("status"),
            "Finished",
            "{queue}: {}",
            &answer.0[..answer.0.len().min(2_000)]
        );
    }
    assert_eq!(given(&input(&shop), "Text").map(|text| text.len()), Some(large.len()));
    // The system takes no argument like that. It is told, at submission or at the end, and the queue goes on.
    let answer = server.post("Argument", &[("Text", &large)]);
    if answer.is_success() {
        let answer = server.outcome("Argument", &answer.must("token"));
        assert_eq!(answer.must("status"), "Error", "{}", &answer.0[..answer.0.len().min(2_000)]);
        assert!(!answer.must("error").is_empty());
    }
    shop.run_to(&server, "Argument", &[("Text", b"short")], "Finished");
}

/// Starts the server with these variables, and no others but `PATH`.
fn start_with(shop: &Shop, variables: &[(&str, &str)]) -> Server {
    let mut command = shop.command();
    command.env_clear().env("PATH", std::env::var_os("PATH").expect("PATH"));
    command.envs(variables.iter().copied());
    Server::run(command)
}

#[test]
fn the_servers_own_environment_is_not_passed_on() {
    let shop = Shop::with(&[
        ("Plain", "/bin/sh %HOME%/keeps.sh", ""),
        ("All", "/bin/sh %HOME%/keeps.sh", "InheritEnvironment=true"),
        (
            "More",
            "/bin/sh %HOME%/keeps.sh",
            "Environment=LANG=C.UTF-8\n0=A=1\n1=B=two = 2, and \"more\"\n2=EMPTY=",
        ),
    ])
    .script("keeps.sh", KEEPS);
    let own = [
        ("SECRET", "s3cret"),
        ("HOME", "/home/of"),
        ("LANG", "xx"),
        ("TZ", "UTC"),
        ("RUST_BACKTRACE", "1"),
    ];
    let server = start_with(&shop, &own);
    let of = |queue: &str| {
        shop.run_to(&server, queue, &[], "Finished");
        environment(&shop)
    };

    let plain = of("Plain");
    for name in ["PATH", "HOME", "LANG", "TZ"] {
        assert!(plain.contains_key(name), "{name} in {plain:?}");
    }
    assert_eq!((plain["HOME"].as_str(), plain["LANG"].as_str()), ("/home/of", "xx"));
    // The shell itself sets these.
    let others: Vec<_> = plain
        .keys()
        .filter(|name| !name.starts_with("ACTIOND_"))
        .filter(|name| {
            !["PATH", "HOME", "LANG", "TZ", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str())
        })
        .collect();
    assert_eq!(others, Vec::<&String>::new());

    let all = of("All");
    assert_eq!((all["SECRET"].as_str(), all["RUST_BACKTRACE"].as_str()), ("s3cret", "1"));

    let more = of("More");
    assert_eq!(more["LANG"], "C.UTF-8");
    assert_eq!((more["A"].as_str(), more["B"].as_str()), ("1", "two = 2, and \"more\""));
    assert_eq!(more.get("EMPTY").map(String::as_str), Some(""));
    assert!(!more.contains_key("SECRET"), "{more:?}");
}

/// Says where it is, what is there already, and leaves things behind.
const LITTERS: &str = r#"
pwd -P > "$H/where"
ls -A > "$H/found"
mkdir -p "a/b c"
echo x > "a/b c/file"
ln -s "$H/precious" link
mkdir locked && echo y > locked/file && chmod 000 locked
wait_for go
exit "${1:-0}"
"#;

fn litter(
    shop: &Shop,
    server: &Server,
    queue: &str,
    exit: &str,
    status: &str,
) -> std::path::PathBuf {
    shop.run_to(server, queue, &[("Exit", exit.as_bytes())], status);
    assert_eq!(shop.read("found"), "", "it was not fresh");
    Path::new(shop.read("where").trim()).to_owned()
}

fn removed(directory: &Path) {
    wait_until(&format!("the end of {}", directory.display()), || !directory.exists());
}

#[test]
fn the_working_directory_is_fresh_and_removed() {
    let keep = |what: &str| format!("KeepWorkingDirectory={what}");
    let (failed, always, never) = (keep("failed"), keep("always"), keep("never"));
    let line = "/bin/sh %HOME%/litters.sh {Exit}";
    let shop = Shop::with(&[
        ("Default", line, ""),
        ("Failed", line, &failed),
        ("Always", line, &always),
        ("Never", line, &never),
    ])
    .script("litters.sh", LITTERS);
    fs::create_dir(shop.path("precious")).unwrap();
    fs::write(shop.path("precious/file"), "kept").unwrap();
    let server = shop.start();
    shop.say("go");
    let data = fs::canonicalize(shop.data()).unwrap();
    let mut seen = Vec::new();
    for (queue, kept) in [
        ("Default", [false, false]),
        ("Failed", [false, true]),
        ("Always", [true, true]),
        ("Never", [false, false]),
    ] {
        for ((exit, status), kept) in [("0", "Finished"), ("3", "Error")].into_iter().zip(kept) {
            let directory = litter(&shop, &server, queue, exit, status);
            assert!(directory.starts_with(&data), "{} is not below the data", directory.display());
            assert!(!seen.contains(&directory), "{} twice", directory.display());
            if kept {
                assert_eq!(fs::read_to_string(directory.join("a/b c/file")).unwrap(), "x\n");
            } else {
                removed(&directory);
            }
            seen.push(directory);
        }
    }
    assert_eq!(shop.read("precious/file"), "kept", "a link was followed");
    // Those that are kept are there after a restart too.
    let kept: Vec<_> = seen.iter().filter(|directory| directory.exists()).collect();
    assert_eq!(kept.len(), 3);
    drop(server);
    let server = shop.start();
    litter(&shop, &server, "Default", "0", "Finished");
    assert!(kept.iter().all(|directory| directory.exists()));
}

#[test]
fn the_working_directory_goes_with_what_was_stopped_or_killed() {
    let shop =
        Shop::with(&[("Work", "/bin/sh %HOME%/litters.sh", "StopGraceSecs=1\nOnRestart=Requeue")])
            .script("litters.sh", LITTERS);
    let server = shop.start();
    let begin = |server: &Server| {
        let token = server.submit_to("Work", "");
        wait_until("its directory", || shop.lines("where").len() == 1 && shop.was_said("found"));
        (token, Path::new(shop.read("where").trim()).to_owned())
    };
    let (token, directory) = begin(&server);
    server.about("Work", "stop", &token).success();
    server.wait_in("Work", &token, "Stopped");
    removed(&directory);

    shop.unsay("where");
    let (token, first) = begin(&server);
    shop.unsay("where");
    server.kill();
    let server = shop.start();
    wait_until("the next attempt", || shop.lines("where").len() == 1);
    shop.say("go");
    server.wait_in("Work", &token, "Finished");
    // The next attempt has nothing of the first.
    assert_eq!(shop.read("found"), "");
    removed(Path::new(shop.read("where").trim()));
    removed(&first);
}

#[test]
fn a_working_directory_that_is_named_is_used_and_kept() {
    let shop = Shop::with(&[(
        "Work",
        "/bin/sh -c 'pwd -P; echo x >> file'",
        "WorkingDirectory=%HOME%/room\nKeepWorkingDirectory=never",
    )]);
    fs::create_dir(shop.path("room")).unwrap();
    let server = shop.start();
    for _ in 0..2 {
        let answer = shop.run_to(&server, "Work", &[], "Finished");
        let room = fs::canonicalize(shop.path("room")).unwrap();
        assert_eq!(answer.must("output").trim(), room.to_str().unwrap());
    }
    assert_eq!(shop.read("room/file"), "x\nx\n");
    // Once it is gone, the action says so, and the server goes on.
    fs::remove_dir_all(shop.path("room")).unwrap();
    let answer = shop.run(&server, "Work", &[]);
    assert_eq!(answer.must("status"), "Error", "{}", answer.0);
    assert!(!answer.must("error").is_empty());
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[test]
fn a_program_runs_as_its_user() {
    if !is_root() {
        skipped("programs as another user", "only root may start them");
        return;
    }
    let shop = Shop::with(&[
        ("Work", "/bin/sh %HOME%/who.sh", "User=nobody"),
        ("Steals", "/bin/sh %HOME%/steals.sh {Name}", "User=nobody"),
    ])
    .script(
        "who.sh",
        "id -un; id -G; echo '{\"made\":\"by a file\"}' > result.json; ls -A >&2; cat > copy",
    )
    .script("steals.sh", "ln -s \"$H/secret\" \"$1\"; echo tried")
    .file("secret", "{\"secret\":\"<s3cret/>\"}");
    fs::set_permissions(shop.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    // A home that others may enter, as data directories of servers are.
    fs::set_permissions(shop.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let server = shop.start();
    let answer = shop.run_to(&server, "Work", &[("Input", b"x")], "Finished");
    assert_eq!(answer.must("made"), "by a file", "{}", answer.0);

    // What it may not read, the server must not read for it.
    for name in ["result.json", "result.xml"] {
        let answer = shop.run(&server, "Steals", &[("Name", name.as_bytes())]);
        assert!(!answer.0.contains("s3cret"), "{}", answer.0);
    }

    let shop =
        Shop::with(&[("Work", "/bin/sh -c 'id -un; id -gn; id -G; touch mine'", "User=nobody")]);
    fs::set_permissions(shop.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let server = shop.start();
    let answer = shop.run_to(&server, "Work", &[], "Finished");
    let output = answer.must("output");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[0], "nobody", "{output}");
    assert_ne!(lines[1], "root", "{output}");
    assert!(
        !lines[2].split(' ').any(|group| group == "0"),
        "it kept the server's groups: {output}"
    );
}

/// A program of another user reaches its own directory, and nothing else of what the server keeps.
#[test]
fn a_user_sees_nothing_of_the_servers_data() {
    const SPIES: &str = "\
        pwd; cd / || exit; for each in \"$1\" \"$1/commands\" \"$1/commands/Work\" \"$1/processes\"; do
            ls \"$each\" && echo \"lists $each\"; done
        for each in actions.db actions.db-wal processes/running processes/id; do
            head -c 1 \"$1/$each\" && echo \"reads $each\"; done; exit 0";
    let shop = Shop::with(&[
        ("Work", "/bin/sh %HOME%/spies.sh {Data}", "User=nobody"),
        ("Own", "/bin/sh %HOME%/spies.sh {Data}", ""),
    ])
    .script("spies.sh", SPIES);
    fs::set_permissions(shop.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let data = shop.data();
    let data = data.to_str().unwrap();
    let mode = |name: &str| fs::metadata(shop.data().join(name)).unwrap().permissions().mode();
    let server = if is_root() {
        shop.start()
    } else {
        skipped("programs as another user", "only root may start them");
        fs::write(shop.path("test.cfg"), shop.read("test.cfg").replace("User=nobody", "")).unwrap();
        shop.start()
    };
    let own = shop.run_to(&server, "Own", &[("Data", data.as_bytes())], "Finished");
    assert_eq!(own.must("output").matches("reads ").count(), 4, "{}", own.0);
    for (name, wanted) in [
        ("", 0o711),
        ("actions.db", 0o600),
        ("actions.db-wal", 0o600),
        ("processes", 0o700),
        ("commands", 0o711),
        ("commands/Own", 0o711),
    ] {
        assert_eq!(mode(name) & 0o777, wanted, "{name}");
    }
    if is_root() {
        let answer = shop.run_to(&server, "Work", &[("Data", data.as_bytes())], "Finished");
        let output = answer.must("output");
        assert!(output.starts_with(&format!("{data}/commands/Work/")), "{output}");
        assert!(!output.contains("lists ") && !output.contains("reads "), "{output}");
    }
}

#[test]
fn a_user_that_is_not_known_stops_the_start() {
    let shop = Shop::with(&[("Work", "true", "User=nobody-has-this-name")]);
    let (code, said) = shop.refused();
    assert!(matches!(code, Some(1 | 2)), "{code:?}: {said}");
    assert!(said.contains("nobody-has-this-name"), "{said}");
}

/// Nothing of the server's may be inherited: not its sockets, not its database.
#[test]
fn a_program_inherits_no_file_of_the_server() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/files.sh", "")]).script(
        "files.sh",
        "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> /\\1 /p' > \"$H/files\"",
    );
    let server = shop.start();
    // Connections that are open meanwhile.
    let mut open: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for stream in &mut open {
        std::io::Write::write_all(stream, &form("GetPid", &[])).unwrap();
        Reply::read(stream);
    }
    let _idle: Vec<_> = (0..5).map(|_| server.connect()).collect();
    let token = server.submit_to("Work", "");
    assert_eq!(ended(&server, "Work", &token, PATIENCE).must("status"), "Finished");
    for line in shop.lines("files") {
        let (number, target) = line.split_once(' ').unwrap();
        let number: u32 = number.parse().unwrap();
        // Whoever started the server may have left it pipes; its sockets and its data are its own.
        let foreign = number > 3 && (target.starts_with("socket:") || target.contains("/data/"));
        assert!(!foreign, "it inherited {line}");
        assert!(!target.contains("actions.db"), "{line}");
    }
}
