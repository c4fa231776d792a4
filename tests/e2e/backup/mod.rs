//! `BackupServer` and `RestoreServer` on the real program: a backup is made while work goes on, is whole, and takes the place of
//! the data on the same server or another; and `actiond restore`, which does that while no server runs.

mod damaged;
mod datastores;
mod offline;
mod places;
mod restored;
mod swept;
mod told;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::calls::Answer;
use super::server::Server;

const CONFIG: &str = "
[AsyncActions]
0=Held
1=Work
[Held]
Type=Echo
[Work]
Type=Echo
MaximumThreads=2
";

/// Makes a backup, and returns where it is.
fn backed_up(server: &Server, folder: &Path) -> PathBuf {
    let answer = server.post("BackupServer", &[("Path", folder.to_str().unwrap())]).success();
    PathBuf::from(answer.must("filename"))
}

fn restore(server: &Server, file: &Path) -> Answer {
    server.post("RestoreServer", &[("FileName", file.to_str().unwrap())])
}

/// All that is told of each action of a queue, by its token without host and port.
fn actions(server: &Server, queue: &str) -> BTreeMap<String, String> {
    let answer = server.info(queue, "getStatus", "").success();
    answer.with(|document| {
        let has_token =
            |node: &roxmltree::Node<'_, '_>| node.children().any(|node| node.has_tag_name("token"));
        let actions = document.descendants().filter(has_token);
        let text = |node: roxmltree::Node<'_, '_>| {
            // That of an action that waits grows with each look.
            let waits = node.descendants().any(|node| node.text() == Some("Queued"));
            let told = |of: &roxmltree::Node<'_, '_>| {
                of.is_element()
                    && !of.has_tag_name("token")
                    && !(waits && of.has_tag_name("time_in_queue"))
            };
            node.descendants()
                .filter(told)
                .map(|node| {
                    format!("{}={}\\n", node.tag_name().name(), node.text().unwrap_or_default())
                })
                .collect::<String>()
        };
        let token = |node: roxmltree::Node<'_, '_>| {
            let token = node.children().find(|node| node.has_tag_name("token")).unwrap();
            let plain = super::calls::plain(token.text().unwrap());
            plain.splitn(3, ':').nth(2).unwrap().to_owned()
        };
        actions.map(|node| (token(node), text(node))).collect()
    })
}
