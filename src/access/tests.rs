use std::net::IpAddr;

use super::*;
use crate::front::{Certificate, Credential};

const HERE: &str = "127.0.0.1";
const AWAY: &str = "192.0.2.7";

fn at(address: &str) -> Caller {
    Caller::at(Some(address.parse::<IpAddr>().unwrap()))
}

fn with_key(address: &str, key: &str) -> Caller {
    Caller { credential: Some(Credential::Key(KeyHash::of(key))), ..at(address) }
}

fn with_certificate(names: &[&str]) -> Caller {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Caller { certificate: Some(Certificate::new(names)), ..at(AWAY) }
}

fn wanted(action: &'static str, role: StandardRole) -> Wanted<'static> {
    Wanted { action, subaction: None, role, queue: Concerned::Server }
}

fn command(subaction: &'static str, queue: &'static str) -> Wanted<'static> {
    Wanted {
        action: "QueueInfo",
        subaction: Some(subaction),
        role: StandardRole::Query,
        queue: Concerned::Queue(queue),
    }
}

fn patterns(texts: &[&str]) -> Vec<AddressPattern> {
    texts.iter().map(|text| AddressPattern::parse(text).unwrap()).collect()
}

fn role(standard: &[StandardRole], clients: &[&str]) -> Role {
    Role::of_clients("r", standard.iter().copied().collect(), patterns(clients))
}

/// A role that names all standard roles for nobody, so that there are no defaults.
fn locked() -> Role {
    role(&StandardRole::ALL, &[])
}

#[test]
fn without_roles_this_machine_administers_and_everybody_asks() {
    let access = Access::default();
    for standard in StandardRole::ALL {
        let is_local = matches!(standard, StandardRole::Admin | StandardRole::ServiceControl);
        assert!(access.allows(&at(HERE), &wanted("X", standard)), "{standard:?}");
        assert_eq!(access.allows(&at(AWAY), &wanted("X", standard)), !is_local, "{standard:?}");
        assert_eq!(access.allows_service(&at(AWAY), "X", standard), !is_local, "{standard:?}");
        assert_eq!(access.is_open(standard), !is_local);
    }
    assert!(
        access.allows(&Caller::at(None), &wanted("X", StandardRole::Admin)),
        "at a socket of Unix"
    );
    assert!(!access.has_keys() && !access.has_roles());
    assert!(Access::new(vec![locked()]).has_roles());
}

#[test]
fn open_rules_allow_everything_to_everybody() {
    let access = Access::open();
    for standard in StandardRole::ALL {
        assert!(access.is_open(standard) && access.allows(&at(AWAY), &wanted("X", standard)));
        assert!(access.allows_service(&at(AWAY), "X", standard), "{standard:?}");
    }
}

#[test]
fn a_default_goes_once_a_role_names_the_standard_role() {
    use StandardRole::{Admin, Query, ServiceStatus};
    let access = Access::new(vec![role(&[Query], &["10.*.*.*"])]);
    assert!(access.allows(&at("10.1.1.1"), &wanted("X", Query)));
    assert!(!access.allows(&at(HERE), &wanted("X", Query)), "not even this machine");
    assert!(access.allows(&at(HERE), &wanted("X", Admin)), "nothing is implied by another");
    assert!(access.allows(&at(AWAY), &wanted("X", ServiceStatus)));

    let nobody = Access::new(vec![locked()]);
    for standard in StandardRole::ALL {
        assert!(!nobody.allows(&at(HERE), &wanted("X", standard)), "{standard:?}");
        assert!(!nobody.allows_service(&at(HERE), "X", standard), "{standard:?}");
    }
    assert!(!nobody.knows(&at(HERE)));
}

#[test]
fn roles_add_up_and_none_implies_another() {
    use StandardRole::{Admin, Index, Query};
    let access =
        Access::new(vec![role(&[Admin], &[AWAY]), role(&[Query], &["192.0.2.0/24"]), locked()]);
    for (standard, of_both, of_one) in
        [(Admin, true, false), (Query, true, true), (Index, false, false)]
    {
        assert_eq!(access.allows(&at(AWAY), &wanted("X", standard)), of_both, "{standard:?}");
        assert_eq!(access.allows(&at("192.0.2.8"), &wanted("X", standard)), of_one, "{standard:?}");
    }
}

#[test]
fn single_actions_and_commands_can_be_allowed() {
    let viewer = Role {
        actions: ["GetVersion", "queueinfo.GETSTATUS"].map(ActionName::new).to_vec(),
        service_actions: vec!["GetStatusInfo".to_owned()],
        ..role(&[], &["*"])
    };
    let access = Access::new(vec![viewer, locked()]);
    for (what, is_allowed) in [
        (wanted("getversion", StandardRole::Query), true),
        (wanted("GetPid", StandardRole::Query), false),
        (wanted("GetStatus", StandardRole::Admin), false),
        (command("getStatus", "Work"), true),
        (command("stop", "Work"), false),
        (wanted("QueueInfo", StandardRole::Query), false),
    ] {
        assert_eq!(access.allows(&at(AWAY), &what), is_allowed, "{what:?}");
    }
    assert!(access.allows_service(&at(AWAY), "getstatusinfo", StandardRole::ServiceStatus));
    assert!(!access.allows_service(&at(AWAY), "GetStatus", StandardRole::ServiceStatus));
    assert!(
        !access.allows_service(&at(AWAY), "GetVersion", StandardRole::ServiceStatus),
        "another port"
    );
    assert!(!access.allows(&at(AWAY), &wanted("GetStatusInfo", StandardRole::Query)));

    // The whole action is all its commands.
    let whole = Role { actions: vec![ActionName::new("QueueInfo")], ..role(&[], &["*"]) };
    let access = Access::new(vec![whole, locked()]);
    assert!(access.allows(&at(AWAY), &command("stop", "Work")));
}

#[test]
fn a_role_can_be_limited_to_queues() {
    let limited = Role {
        queues: Some(vec!["Ingest".to_owned()]),
        actions: vec![ActionName::new("QueueInfo.stop")],
        ..role(&[StandardRole::Query, StandardRole::Admin], &["*"])
    };
    let access = Access::new(vec![limited, locked()]);
    assert!(!access.is_open(StandardRole::Query), "not for all queues");
    let of_service = |action, role| access.allows_service(&at(AWAY), action, role);
    assert!(!of_service("GetStatus", StandardRole::Query), "that is about the whole server");
    let other = |queue| Wanted { queue, ..command("stop", "") };
    for (what, is_allowed) in [
        (command("getStatus", "INGEST"), true),
        (command("stop", "ingest"), true),
        (command("stop", "Fetch"), false),
        (other(Concerned::Unknown), false),
        (wanted("GetVersion", StandardRole::Query), true),
        // It would show the requests for all queues.
        (wanted("GetRequestLog", StandardRole::Admin), false),
    ] {
        assert_eq!(access.allows(&at(AWAY), &what), is_allowed, "{what:?}");
    }
}

#[test]
fn a_standard_role_for_some_queues_is_none_for_the_server() {
    let limited = Role {
        queues: Some(vec!["Ingest".to_owned()]),
        ..role(&[StandardRole::Query, StandardRole::Admin], &["*"])
    };
    let access = Access::new(vec![limited, role(&[StandardRole::Query], &[AWAY])]);
    assert!(access.has_standard(&at(AWAY), StandardRole::Query));
    assert!(!access.has_standard(&at(HERE), StandardRole::Query), "for one queue only");
    assert!(!access.has_standard(&at(AWAY), StandardRole::Admin), "for one queue only");
    assert!(access.has_standard(&at(AWAY), StandardRole::ServiceStatus), "as everybody");
    assert!(access.has_standard(&at(HERE), StandardRole::ServiceControl), "as this machine");
    assert_eq!(access.origins(StandardRole::Query), ["* for Ingest", AWAY]);
}

#[test]
fn a_key_makes_its_owner_a_member_and_an_address_alone_nobody() {
    let mut submitter = role(&[StandardRole::Query], &["*"]);
    submitter.members.keys = Some(vec![KeyHash::of("one"), KeyHash::of("two")]);
    assert!(!submitter.members.are_all());
    let access = Access::new(vec![submitter, role(&[StandardRole::Admin], &[AWAY])]);
    let query = wanted("X", StandardRole::Query);
    assert!(access.has_keys());
    for (caller, is_member, is_wrong) in [
        (with_key(HERE, "one"), true, false),
        (with_key(AWAY, "two"), true, false),
        (with_key(AWAY, "three"), false, true),
        (at(AWAY), false, false),
        (at(HERE), false, false),
    ] {
        assert_eq!(access.allows(&caller, &query), is_member, "{caller:?}");
        assert_eq!(access.is_wrong_key(&caller), is_wrong, "{caller:?}");
    }
    // What an address may do it may do with any key.
    assert!(access.allows(&with_key(AWAY, "three"), &wanted("X", StandardRole::Admin)));

    let mut empty = role(&StandardRole::ALL, &["*"]);
    empty.members.keys = Some(Vec::new());
    let access = Access::new(vec![empty]);
    assert!(!access.allows(&at(HERE), &query), "there are keys, though none is good");
}

#[test]
fn a_certificate_makes_its_owner_a_member() {
    let mut ours = role(&[StandardRole::Query], &[]);
    ours.members.identities = vec!["CN=Ada,O=Ours".to_owned(), "client.example.org".to_owned()];
    let access = Access::new(vec![ours]);
    let query = wanted("X", StandardRole::Query);
    for (caller, is_member) in [
        (with_certificate(&["CN=Ada,O=Ours", "Ada"]), true),
        (with_certificate(&["CN=Bob", "CLIENT.example.org"]), true),
        (with_certificate(&["CN=Bob", "example.org"]), false),
        (with_certificate(&[]), false),
        (at(HERE), false),
    ] {
        assert_eq!(access.allows(&caller, &query), is_member, "{caller:?}");
    }
}
