//! The rules of the house: who may know whom. Each is a test, so that it stays true.

use std::path::{Path, PathBuf};

use actiond::aci::catalog::{BUILTIN, StandardRole};
use actiond::service::SERVICE_ACTIONS;

/// Every Rust file below a folder of the repository, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files: Vec<_> = walkdir::WalkDir::new(&root)
        .into_iter()
        .map(|entry| entry.expect("a readable folder").into_path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            (path, text)
        })
        .collect();
    assert!(!files.is_empty(), "{folder} holds no source; has it moved?");
    files
}

/// Lines of code, comments left out, that hold one of the words.
fn lines_with(text: &str, words: &[&str]) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.filter(|line| words.iter().any(|word| line.contains(word))).map(str::to_owned).collect()
}

fn assert_none(folder: &str, words: &[&str], rule: &str) {
    assert_none_in(sources(folder), words, rule);
}

fn assert_none_in(sources: Vec<(PathBuf, String)>, words: &[&str], rule: &str) {
    for (path, text) in sources {
        let found = lines_with(&text, words);
        assert!(found.is_empty(), "{rule}\n{}:\n{}", path.display(), found.join("\n"));
    }
}

#[test]
fn the_wire_knows_nothing_of_actors_and_http() {
    let rule = "aci/ is the wire: plain data, no actor, no HTTP library, no other part of ours";
    assert_none("aci/src", &["actiond_actors", "actiond::", "actix"], rule);
    let rule = "but for its client, aci/ does no I/O and asks for no time";
    let mut pure = sources("aci/src");
    pure.retain(|(path, _)| !path.components().any(|part| part.as_os_str() == "client"));
    assert_none_in(pure, &["tokio", "reqwest", "std::net", "std::fs", "::now("], rule);
}

#[test]
fn the_runtime_knows_nothing_of_the_wire() {
    let rule = "actors/ has no HTTP and no XML";
    assert_none("actors/src", &["actix_web", "actix_http", "quick_xml", "autnresponse"], rule);
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("actors/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("its manifest");
    for crate_name in ["actix-web", "actix-http", "quick-xml"] {
        assert!(!manifest.contains(crate_name), "{rule}: {crate_name} is in its manifest");
    }
}

#[test]
fn only_the_front_joins_wire_and_runtime() {
    for (path, text) in sources("src") {
        let in_front = path.components().any(|c| c.as_os_str() == "front");
        if in_front || lines_with(&text, &["actiond_actors::"]).is_empty() {
            continue;
        }
        // The kinds of action describe and show parameters in the words of the wire, and know nothing else of it. What forwards
        // them stands between two servers, so it speaks to other ones.
        let forwards = path.components().any(|c| c.as_os_str() == "forward");
        let for_forward =
            if forwards { ["client", "element", "request", "token"].as_slice() } else { &[] };
        let known = [["catalog", "shown", "words"].as_slice(), for_forward].concat();
        let known: Vec<_> = known.iter().map(|module| format!("crate::aci::{module}")).collect();
        let mut wire = lines_with(&text, &["crate::aci"]);
        wire.retain(|line| !known.iter().any(|known| line.contains(known)));
        assert!(wire.is_empty(), "only src/front knows both sides: {}: {wire:?}", path.display());
    }
}

/// The folders of the kinds of action.
fn kinds() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kinds");
    let entries =
        std::fs::read_dir(root).expect("the folder of kinds").map(|entry| entry.expect("an entry"));
    // What tests have apart from their module is in folders of their own, in the folder of a kind.
    let folders = entries.filter(|entry| entry.path().join("mod.rs").exists());
    let kinds: Vec<_> =
        folders.map(|entry| entry.file_name().into_string().expect("a name")).collect();
    assert!(kinds.len() >= 4, "{kinds:?}");
    kinds
}

#[test]
fn kinds_of_action_meet_in_documents_only() {
    let rule = "a kind of action knows no other kind; what two of them need is in src/documents";
    assert_none("src/documents", &["crate::kinds"], rule);
    // The store alone knows which files are its own: none of them may be opened here.
    let mut documents = sources("src/documents");
    documents.retain(|(path, _)| {
        !path.parent().is_some_and(|folder| folder.ends_with("documents/beneath"))
    });
    assert_none_in(documents, &["actiond_actors"], rule);
    let kinds = kinds();
    for kind in &kinds {
        // A module of its own may be named like another kind.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kinds").join(kind);
        let is_own = |other: &String| folder.join(other).with_extension("rs").exists();
        let others = kinds.iter().filter(|other| *other != kind && !is_own(other));
        let words = others.map(|other| [format!("kinds::{other}"), format!("super::{other}::")]);
        let words: Vec<_> = words.flatten().collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        assert_none(&format!("src/kinds/{kind}"), &words, rule);
    }
}

#[test]
fn kinds_of_action_are_known_by_the_registry_only() {
    let words: Vec<_> = kinds().iter().map(|kind| format!("kinds::{kind}")).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    for (path, text) in ["src/config", "src/cli", "src/front", "src/http"].map(sources).concat() {
        if path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let found = lines_with(code, &words);
        assert!(
            found.is_empty(),
            "only src/kinds knows single kinds: {}: {found:?}",
            path.display()
        );
    }
}

#[test]
fn public_signatures_of_the_runtime_hide_actix() {
    for file in [
        "handle.rs",
        "listing.rs",
        "run_now.rs",
        "../events.rs",
        "../system.rs",
        "../system/builder.rs",
        "../system/shutdown.rs",
        "../perform.rs",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("actors/src/queue").join(file);
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let shown = text.lines().map(str::trim_start).filter(|line| line.starts_with("pub fn"));
        for line in shown {
            assert!(!line.contains("Addr<") && !line.contains("actix"), "{file}: {line}");
        }
    }
}

#[test]
fn every_action_has_a_role_of_its_port() {
    for spec in BUILTIN {
        let is_of_the_port = matches!(spec.role, StandardRole::Admin | StandardRole::Query);
        assert!(is_of_the_port, "{} is sent to the ACI port: {:?}", spec.name, spec.role);
    }
    let admin = BUILTIN.iter().filter(|spec| spec.role == StandardRole::Admin);
    let admin: Vec<_> = admin.map(|spec| spec.name).collect();
    let expected = [
        "ScheduleInfo",
        "GetStatus",
        "GetRequestLog",
        "BackupServer",
        "RestoreServer",
        "EventInfo",
    ];
    assert_eq!(admin, expected, "whoever adds one decides who may send it");
    let of_service = SERVICE_ACTIONS.iter().map(|spec| (spec.name, spec.role));
    let expected = [
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
    assert!(of_service.eq(expected), "and so on the service port");
}

/// What performs an action, and what asks whether it may be.
#[test]
fn only_dispatch_performs_actions_and_asks_first() {
    let calls = [
        "queue_info(",
        "queue_work(",
        "server_info::answer(",
        "service::answer(",
        "submit::submit(",
        "perform(",
        "authorize(",
    ];
    for (path, text) in sources("src/front") {
        let found = lines_with(&text, &calls);
        let found: Vec<_> = found.iter().filter(|line| !line.contains("fn ")).collect();
        if !path.ends_with("dispatch.rs") {
            assert!(found.is_empty(), "only dispatch performs: {}: {found:?}", path.display());
            continue;
        }
        let each = [
            "authorize(",
            "perform(",
            "queue_info(",
            "queue_work(",
            "server_info::answer(",
            "submit::submit(",
            "service::answer(",
        ];
        assert_eq!(found.len(), each.len(), "each is called once: {found:?}");
        for (line, call) in found.iter().zip(each) {
            assert!(line.contains(call), "callers are let in before anything is done: {found:?}");
        }
    }
}
