//! Attempts: an action that fails is tried again, one that kills its server is not tried for ever, and one may have to
//! wait until it may start.
//!
//! | module | what it tests |
//! |---|---|
//! | `retry` | `MaxAttempts`, `RetryDelaySecs`, `RetryBackoff`, `RetryMaxDelaySecs` |
//! | `waiting` | an action that waits for its next attempt: how it is shown, steered and kept |
//! | `again` | `QueueAction=retry` in every state |
//! | `history` | `History=true` |
//! | `poison` | `MaxRestarts` |
//! | `not_before` | `NotBefore` on submission |
//! | `due` | who starts when many may, and that those who may not hold up nobody |

mod again;
mod due;
mod history;
mod not_before;
mod poison;
mod retry;
mod waiting;

use super::calls::{Answer, id_of};
use super::server::{Server, wait_until};
use super::shop::{Shop, whole};

/// Fails as many times as its second argument says, counted by its first, which is a name. A third one is waited for.
const FLAKY: &str = r#"
n=0; [ -e "$H/tries-$1" ] && n=$(cat "$H/tries-$1"); n=$((n+1))
echo "$ACTIOND_ATTEMPT" >> "$H/numbers-$1"
echo "$n" > "$H/new-$1"; mv "$H/new-$1" "$H/tries-$1"
echo "try $n of $1" >&2
[ -z "$3" ] || wait_for "$3"
[ "$n" -gt "$2" ] || exit 3
echo "<tries>$n</tries>"
"#;

/// A shop whose queue `Work` runs [`FLAKY`], beside one of Echo.
fn flaky(settings: &str) -> Shop {
    let line = "/bin/sh %HOME%/flaky.sh {Name} {Fails} {Until?}";
    Shop::with(&[("Work", line, settings), ("Other", "", "MaximumThreads=4")])
        .script("flaky.sh", FLAKY)
}

/// Submits an action of [`flaky`] that fails this many times.
fn submit(server: &Server, name: &str, fails: u32) -> String {
    server.submit_to("Work", &format!("&Name={name}&Fails={fails}"))
}

/// How often the action of this name was begun.
fn tries(shop: &Shop, name: &str) -> usize {
    shop.lines(&format!("numbers-{name}")).len()
}

/// The numbers of its attempts, as its program was told them.
fn numbers(shop: &Shop, name: &str) -> Vec<u64> {
    let lines = shop.lines(&format!("numbers-{name}"));
    lines.iter().map(|line| line.parse().expect("a number")).collect()
}

/// Waits until it has been begun this many times, and waits for the next; returns its status reply.
fn until_it_waits(shop: &Shop, server: &Server, token: &str, name: &str, begun: usize) -> Answer {
    let mut answer = Answer(String::new());
    wait_until(&format!("{name} to wait after attempt {begun}"), || {
        answer = server.about("Work", "getStatus", token).success();
        let status = answer.must("status");
        assert!(["Queued", "Processing"].contains(&status.as_str()), "{}", answer.0);
        status == "Queued" && tries(shop, name) == begun
    });
    answer
}

/// What the history of an action shows of each attempt: all text and attributes of it, and each lasting element's name.
///
/// Times, outcome, worker and error of every attempt are shown with `History=true`; in which elements is not asked here.
/// Taken: an element `history` or `attempts` with one element for each, or else each `attempt` that holds more
/// than a number.
fn history(answer: &Answer) -> Vec<String> {
    answer.with(|document| {
        let named = |node: &roxmltree::Node<'_, '_>| {
            ["history", "attempts"].contains(&node.tag_name().name().to_lowercase().as_str())
        };
        let told = |node: roxmltree::Node<'_, '_>| {
            let names: Vec<_> = node.descendants().map(|inner| inner.tag_name().name()).collect();
            format!("{}\n{}", whole(node), names.join("\n"))
        };
        if let Some(all) = document.descendants().find(named) {
            return all.children().filter(|node| node.is_element()).map(told).collect();
        }
        let attempts = document.descendants().filter(|node| node.has_tag_name("attempt"));
        let full = |node: &roxmltree::Node<'_, '_>| {
            node.attributes().len() > 0 || node.children().any(|child| child.is_element())
        };
        attempts.filter(full).map(told).collect()
    })
}

/// Asks for the history of an action.
fn history_of(server: &Server, queue: &str, token: &str) -> Vec<String> {
    history(&server.about(queue, "getStatus", &format!("{token}&History=true")).success())
}

/// The ids of what this list shows.
fn listed(server: &Server, queue: &str, filter: &str) -> Vec<u64> {
    let list = server.info(queue, "getStatus", filter).success();
    list.values("token").iter().map(|token| id_of(token)).collect()
}

/// `pending`, `running` and `finished` of a queue.
fn counts(server: &Server, queue: &str) -> [u64; 3] {
    let counts = server.info(queue, "queueStatus", "").success();
    ["pending", "running", "finished"].map(|name| counts.number(name))
}
