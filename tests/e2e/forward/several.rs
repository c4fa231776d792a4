//! Several servers, many actions, and HTTPS.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::super::server::{Home, Server, wait_until};
use super::vendor::{Mood, Vendor};
use super::{there, to, url_of, wait_for_progress};

#[test]
fn failover_takes_the_next_server_where_one_takes_nothing() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (full, vendor) = (Vendor::start(), Vendor::start());
    full.set_mood(Mood::Refuse("ERRORQUEUEFULL"));
    let urls = format!("http://127.0.0.1:{gone},{},{}", full.url(), vendor.url());
    let home = Home::new(&to(&urls, ""));
    let server = home.start();
    let tokens: Vec<_> = (0..5).map(|_| server.submit("")).collect();
    vendor.wait_for_tasks(5);
    assert_eq!(full.tasks().len(), 0);
    for place in 0..5 {
        vendor.finish(place, "");
    }
    tokens.iter().for_each(|token| server.wait_for_status(token, "Finished"));
}

#[test]
fn failover_keeps_to_the_first_and_to_where_an_action_is() {
    let (first, second) = (Vendor::start(), Vendor::start());
    let urls = format!("{},{}", first.url(), second.url());
    let home = Home::new(
        &to(&urls, "").replace("ForwardTo=", "ForwardTo0=").replace(',', "\nForwardTo1="),
    );
    let server = home.start();
    let token = server.submit("");
    first.wait_for_tasks(1);
    let holder = || server.about("Process", "getStatus", &token).values("worker");
    wait_until("who has it", || holder() == [first.url()]);
    first.set_broken(true);
    wait_for_progress(&server, &token, "waiting for");
    let next = server.submit("");
    second.wait_for_tasks(1);
    first.set_broken(false);
    first.finish(0, "");
    second.finish(0, "");
    server.wait_for_status(&token, "Finished");
    server.wait_for_status(&next, "Finished");
    assert_eq!((first.tasks().len(), second.tasks().len()), (1, 1));
}

#[test]
fn balance_gives_each_server_the_same() {
    let vendors = [Vendor::start(), Vendor::start(), Vendor::start()];
    let urls = vendors.each_ref().map(Vendor::url).join(",");
    let home = Home::new(&to(&urls, "ForwardMethod=balance"));
    let server = home.start();
    let tokens: Vec<_> = (0..12).map(|_| server.submit("")).collect();
    vendors.iter().for_each(|vendor| assert_eq!(vendor.wait_for_tasks(4).len(), 4));
    for vendor in &vendors {
        (0..4).for_each(|place| vendor.finish(place, ""));
    }
    tokens.iter().for_each(|token| server.wait_for_status(token, "Finished"));
}

#[test]
fn many_at_once_do_not_flood_the_other_server() {
    let vendor = Vendor::start();
    let more = "ForwardMaxRequests=4";
    let home =
        Home::new(&to(&vendor.url(), more).replace("MaximumThreads=100", "MaximumThreads=400"));
    let server = home.start();
    let mut caller = super::super::calls::Caller::new(server.address).unwrap();
    let tokens: Vec<_> =
        (0..200).map(|_| caller.ask("Process").unwrap().success().must("token")).collect();
    vendor.wait_for_tasks(200);
    let before = vendor.load().0;
    std::thread::sleep(Duration::from_secs(2));
    let (after, most) = vendor.load();
    // 200 actions in turn, each once in two seconds at most; a bit more while their intervals grow.
    assert!(after - before < 600, "{} looks in two seconds", after - before);
    assert!(most <= 8, "{most} requests at once");
    (0..200).for_each(|place| vendor.finish(place, ""));
    wait_until("all ends", || server.info("Process", "queueStatus", "").number("finished") == 200);
    let mut sent: Vec<_> = vendor
        .tasks()
        .iter()
        .map(|task| task.parameters.get("Idempotency-Key").unwrap().to_owned())
        .collect();
    sent.sort_unstable();
    sent.dedup();
    assert_eq!(sent.len(), 200);
    assert_eq!(tokens.len(), 200);
}

#[test]
fn many_at_once_are_done_by_an_actiond() {
    let (_there, other) = there("MaximumThreads=300");
    let home =
        Home::new(&to(&url_of(&other), "").replace("MaximumThreads=100", "MaximumThreads=200"));
    let server = home.start();
    let mut caller = super::super::calls::Caller::new(server.address).unwrap();
    (0..200).for_each(|n| drop(caller.ask(&format!("Process&Sleep=0.5&N={n}")).unwrap().success()));
    wait_until("all ends", || server.info("Process", "queueStatus", "").number("finished") == 200);
    assert_eq!(other.info("Process", "queueStatus", "").number("finished"), 200);
    let ended = server.info("Process", "getStatus", "").success();
    assert!(ended.values("status").iter().all(|status| status == "Finished"), "{}", ended.0);
}

/// A second actiond that speaks TLS, with a certificate of an authority whose own is `ca.pem` in its home.
fn secure() -> (Home, Server) {
    let home = Home::new(
        "[Server]\nSSLConfig=SSLOption0\n[SSLOption0]\nSSLMethod=Negotiate\nSSLCertificate=server.pem\nSSLPrivateKey=server.key\n\
         [AsyncActions]\n0=Process\n[Process]\nType=Echo\n",
    );
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(home.path().join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(home.path().join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(home.path().join("server.key"), key.serialize_pem()).unwrap();
    let server = home.start();
    (home, server)
}

#[test]
fn https_is_spoken_to_servers_of_a_trusted_authority_alone() {
    let (home_there, other) = secure();
    let url = format!("https://localhost:{}", other.address.port());
    let ca = format!("ForwardCAFile={}", home_there.path().join("ca.pem").display());
    let home = Home::new(&to(&url, &ca));
    let server = home.start();
    let ended = server.outcome("Process", &server.submit("&Name=Ada"));
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);

    // Nobody else trusts it.
    let home = Home::new(&to(&url, "ForwardTimeoutSecs=1"));
    let server = home.start();
    let token = server.submit("&Name=Ada");
    wait_for_progress(&server, &token, "waiting for https://localhost");
    let ended = server.outcome("Process", &token);
    assert_eq!(ended.must("status"), "Error");
    assert!(ended.must("error").contains("certificate"), "{}", ended.0);
}
