//! The servers that share a store as elements: for `GetStatus`.

use actiond_actors::store::{OwnerId, Server};
use actiond_actors::{System, Timestamp};

use crate::aci::element::Element;

/// Returns the elements about all servers, if the store can be shared: this server's name, and a list. While the store can't be
/// read, an error stands in the list's place.
pub(super) async fn servers(system: &System) -> Vec<Element> {
    if !system.is_shared() {
        return Vec::new();
    }
    let own = system.owner();
    match system.servers().await {
        Ok(all) => {
            let name = all.iter().find(|server| server.owner == own);
            let name = name.map(|server| Element::text("servername", server.site.name.as_str()));
            let each = all.iter().map(|server| element(server, own, system.clock().now()));
            name.into_iter().chain([Element::new("servers").children(each)]).collect()
        }
        Err(error) => {
            let error = error.without_paths();
            vec![Element::new("servers").child(Element::text("error", error.to_string()))]
        }
    }
}

/// All times are in whole seconds, by the database's clock. A server whose lease is over has none left.
fn element(server: &Server, own: OwnerId, now: Timestamp) -> Element {
    let seconds = |time: std::time::Duration| time.as_secs().to_string();
    let state = if server.lease.is_some() { "alive" } else { "expired" };
    let seen = i64::try_from(server.seen.as_millis()).unwrap_or_default();
    Element::new("server")
        .child(Element::text("name", server.site.name.as_str()))
        .child(Element::text("host", server.site.host.as_str()))
        .child(Element::text("port", server.site.port.to_string()))
        .child(Element::text("self", (server.owner == own).to_string()))
        .child(Element::text("state", state))
        .child(Element::text("slots", server.slots.to_string()))
        .child(Element::text("running", server.running.to_string()))
        .child(Element::text("lease", seconds(server.lease.unwrap_or_default())))
        .child(Element::text("last_seen", seconds(server.seen)))
        .child(super::render::time("last_seen_time", Timestamp(now.0.saturating_sub(seen))))
        .child(Element::text("uptime", seconds(server.up)))
}
