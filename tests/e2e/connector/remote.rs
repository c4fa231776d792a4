//! Fetch on one server, Ingest on another.

use super::super::server::Home;
use super::{assert_counts, batches, config, files, grow, replay, start_fetch, until_ingested};

#[test]
fn what_a_peer_missed_it_gets_with_the_next_run() {
    // The peer reads the files itself, where its own configuration lets it.
    let files_here = tempfile::tempdir().unwrap();
    let there = Home::new(&format!(
        "[AsyncActions]\n0=Ingest\n[Ingest]\nType=Ingest\nAllowedSourceDirectories={}\n",
        files_here.path().display()
    ));
    let peer = there.start();
    let port = peer.address.port();
    let remote =
        format!("[Ingestion]\nIngestHost=127.0.0.1\nIngestPort={port}\nIngestBatchSize=50");
    let tree = files_here.path().join("tree");
    let task = format!("DirectoryPathCSVs={}", tree.display());
    let here = Home::new(&config(&[("DIR1", &task)], &remote));
    grow(&tree, 450);
    let server = here.start();
    let fetch = || {
        let ended = server.outcome("Fetch", &start_fetch(&server, ""));
        assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
        ended
    };

    peer.kill();
    let ended = fetch();
    assert_counts(&ended, "DIR1", &[("seen", 450), ("added", 450), ("ingestfailed", 450)]);
    assert!(super::datastore(&here, "DIR1").is_empty(), "it remembers what nobody has got");
    server.wait_for_line(&["WARN", "task DIR1: Ingest accepted none of the 450 documents"]);

    let peer = there.start_on(port);
    let ended = fetch();
    assert_counts(&ended, "DIR1", &[("seen", 450), ("added", 450), ("ingestadded", 450)]);
    until_ingested(&peer);
    let index = replay(&batches(&there));
    assert!(index.keys().eq(files(&tree).iter()), "the peer and the tree differ");
    assert!(batches(&here).is_empty(), "its own Ingest got something");

    // The same for what vanishes and changes while the peer is away.
    peer.kill();
    std::fs::remove_dir_all(tree.join("folder003")).unwrap();
    std::fs::write(tree.join("folder000/file00000.txt"), "changed").unwrap();
    let changes = [("seen", 400), ("unchanged", 399), ("updated", 1), ("deleted", 50)];
    let ended = fetch();
    assert_counts(&ended, "DIR1", &[&changes[..], &[("ingestfailed", 51)]].concat());
    let peer = there.start_on(port);
    let ended = fetch();
    let delivered = [("ingestupdated", 1), ("ingestdeleted", 50)];
    assert_counts(&ended, "DIR1", &[&changes[..], &delivered].concat());
    until_ingested(&peer);
    let index = replay(&batches(&there));
    assert!(index.keys().eq(files(&tree).iter()), "the peer and the tree differ");
    let name = tree.join("folder000/file00000.txt");
    assert_eq!(index[name.as_os_str().as_encoded_bytes()], "changed");
}
