//! The sender of a request: its address, the key and the certificate that it has sent.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tokio::sync::Semaphore;

use super::connection::Connection;
use crate::access::{Access, KeyHash};
use crate::front::{Caller, Credential};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Time that a request with a wrong key waits before anything of its body is read: nobody can try many, and one that waits
/// costs its connection only.
const WRONG_KEY_DELAY: Duration = Duration::from_millis(250);

/// Number of requests with wrong keys that wait this time at once, in all servers of the process; others wait for their turn
/// first. So there are 400 a second at most, which do not slow those with good keys, however many clients send them.
const MAX_WRONG_KEYS: usize = 100;

static WRONG_KEYS: Semaphore = Semaphore::const_new(MAX_WRONG_KEYS);

/// Waits as long as a request with a wrong key has to.
pub(super) async fn delay_wrong_key() {
    // It is never closed.
    let _turn = WRONG_KEYS.acquire().await;
    tokio::time::sleep(WRONG_KEY_DELAY).await;
}

/// Largest number of addresses of `X-Forwarded-For` that are looked at.
const MAX_HOPS: usize = 32;

/// Base64 as clients write it, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the address of the client that has sent a request; `None` over a socket of Unix.
pub(super) fn address(request: &HttpRequest, access: &Access) -> Option<IpAddr> {
    origin(request, access).0
}

/// Returns the sender of a request.
pub(super) fn caller(request: &HttpRequest, access: &Access) -> Caller {
    let (address, is_forwarded) = origin(request, access);
    let mut caller = Caller::at(address);
    caller.is_forwarded = is_forwarded;
    let connection = request.conn_data::<Rc<Connection>>();
    caller.certificate = connection.and_then(|connection| connection.certificate().cloned());
    // Without keys a header that a proxy wants for itself means nothing.
    caller.credential = access.has_keys().then(|| credential(request)).flatten();
    caller
}

/// Returns the address of the client, and true if it is only that of a proxy on this machine that nobody told to trust: such
/// a client is not on this machine, wherever it is.
fn origin(request: &HttpRequest, access: &Access) -> (Option<IpAddr>, bool) {
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let headers = request.headers();
    let Some(peer) = peer else { return (None, is_forwarded(headers)) };
    if !access.trusts(peer) {
        return (Some(peer), peer.is_loopback() && is_forwarded(headers));
    }
    if !headers.contains_key(&X_FORWARDED_FOR) {
        // Its own request, or one that it has forwarded without a word about the client.
        return (Some(peer), is_forwarded(headers));
    }
    // Each proxy adds the address of whom it got the request from, so the last ones are those to believe.
    let mut nearest = peer;
    let lists: Vec<&str> =
        headers.get_all(&X_FORWARDED_FOR).map(|value| value.to_str().unwrap_or("?")).collect();
    let hops = lists.iter().rev().flat_map(|list| list.rsplit(',')).map(str::trim);
    for (count, hop) in hops.enumerate() {
        let Some(address) = address_of(hop).filter(|_| count < MAX_HOPS) else {
            return (Some(nearest), true);
        };
        // The machine of a proxy elsewhere is not this one.
        if address.is_loopback() && !nearest.is_loopback() {
            return (Some(nearest), true);
        }
        nearest = address;
        if !access.trusts(address) {
            break;
        }
    }
    (Some(nearest), false)
}

/// Returns true if a header says that a proxy has passed the request on. All names are looked at once, which is cheaper than to
/// look for each.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        match name.len() {
            3 => name == "via",
            9 => name == "forwarded" || name == "x-real-ip",
            15 => name == "x-forwarded-for",
            16 => name == "x-forwarded-host",
            17 => name == "x-forwarded-proto",
            _ => false,
        }
    })
}

/// Reads an address as proxies write it: perhaps with a port, and an IPv6 one in brackets.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(bare, _)| bare);
    let parsed = bare.unwrap_or(hop).parse().ok();
    let address: IpAddr = parsed.or_else(|| hop.split_once(':')?.0.parse().ok())?;
    Some(address.to_canonical())
}

/// Reads the key: `Bearer KEY`, or `Basic` with the key as the password. Anything else counts as a wrong one.
fn credential(request: &HttpRequest) -> Option<Credential> {
    let value = request.headers().get(AUTHORIZATION)?.as_bytes().trim_ascii();
    let at = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(at)?;
    let rest = rest.trim_ascii();
    let key = if scheme.eq_ignore_ascii_case(b"Bearer") {
        rest.to_vec()
    } else if scheme.eq_ignore_ascii_case(b"Basic") {
        let pair = BASE64.decode(rest).unwrap_or_default();
        let colon = pair.iter().position(|byte| *byte == b':');
        colon.and_then(|at| pair.get(at + 1..)).unwrap_or_default().to_vec()
    } else {
        Vec::new()
    };
    Some(Credential::Key(KeyHash::of(&key)))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use actix_web::test::TestRequest;

    use super::*;
    use crate::access::{AddressPattern, Members, Role};

    fn patterns(texts: &[&str]) -> Vec<AddressPattern> {
        texts.iter().map(|text| AddressPattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn the_address_is_the_nearest_that_is_not_trusted() {
        let trusting = Access::default().trusting(patterns(&["10.0.0.0/8", "127.0.0.1"]));
        for (peer, forwarded, address, is_forwarded) in [
            ("192.0.2.7", &[][..], "192.0.2.7", false),
            // Nobody else's word counts.
            ("192.0.2.7", &["10.1.1.1"], "192.0.2.7", false),
            ("10.1.1.1", &[], "10.1.1.1", false),
            ("10.1.1.1", &["192.0.2.7"], "192.0.2.7", false),
            ("127.0.0.1", &["192.0.2.7"], "192.0.2.7", false),
            ("::ffff:10.1.1.1", &["::ffff:192.0.2.7"], "192.0.2.7", false),
            ("10.1.1.1", &["127.0.0.1, 192.0.2.7"], "192.0.2.7", false),
            ("10.1.1.1", &["192.0.2.7, 10.2.2.2"], "192.0.2.7", false),
            ("10.1.1.1", &["198.51.100.1", "192.0.2.7 ,10.2.2.2", "10.3.3.3"], "192.0.2.7", false),
            ("10.1.1.1", &["192.0.2.7:4711"], "192.0.2.7", false),
            ("10.1.1.1", &["[2001:db8::1]:4711"], "2001:db8::1", false),
            ("10.1.1.1", &["2001:db8::1"], "2001:db8::1", false),
            // All of them are trusted.
            ("10.1.1.1", &["10.2.2.2"], "10.2.2.2", false),
            // A proxy elsewhere means itself by this.
            ("10.1.1.1", &["127.0.0.1"], "10.1.1.1", true),
            ("10.1.1.1", &["::1, 10.2.2.2"], "10.2.2.2", true),
            ("127.0.0.1", &["127.0.0.1"], "127.0.0.1", false),
            ("127.0.0.1", &["127.0.0.1, 10.2.2.2"], "10.2.2.2", true),
            // What can't be read may be anybody.
            ("10.1.1.1", &["unknown"], "10.1.1.1", true),
            ("10.1.1.1", &[""], "10.1.1.1", true),
            ("10.1.1.1", &["192.0.2.7, x, 10.2.2.2"], "10.2.2.2", true),
        ] {
            let peer = SocketAddr::new(peer.parse().unwrap(), 1);
            let request =
                forwarded.iter().fold(TestRequest::get().peer_addr(peer), |request, list| {
                    request.append_header(("x-forwarded-for", *list))
                });
            let caller = caller(&request.to_http_request(), &trusting);
            let got = (caller.address.unwrap().to_string(), caller.is_forwarded);
            assert_eq!(got, (address.to_owned(), is_forwarded), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_trusted_proxy_that_names_no_client_speaks_for_itself_only() {
        let trusting = Access::default().trusting(patterns(&["127.0.0.1"]));
        let from = |header: Option<&str>| {
            let request = TestRequest::get().peer_addr(SocketAddr::from(([127, 0, 0, 1], 1)));
            let request = match header {
                Some(name) => request.insert_header((name, "192.0.2.7")),
                None => request,
            };
            caller(&request.to_http_request(), &trusting).is_forwarded
        };
        assert!(!from(None));
        assert!(from(Some("forwarded")) && from(Some("x-real-ip")));
    }

    #[test]
    fn many_hops_are_too_many() {
        let trusting = Access::default().trusting(patterns(&["10.0.0.0/8"]));
        let hops = "10.1.1.1,".repeat(MAX_HOPS);
        let peer = SocketAddr::from(([10, 1, 1, 1], 1));
        let list = |list: &str| {
            let request = TestRequest::get().peer_addr(peer);
            caller(&request.append_header(("x-forwarded-for", list)).to_http_request(), &trusting)
        };
        assert!(list(&format!("192.0.2.7,{}", hops.trim_end_matches(','))).is_forwarded);
        assert!(!list(hops[9..].trim_end_matches(',')).is_forwarded);
    }

    #[test]
    fn a_proxy_on_this_machine_that_is_not_trusted_makes_nobody_local() {
        let access = Access::default();
        for header in [
            "x-forwarded-for",
            "Forwarded",
            "Via",
            "x-real-ip",
            "x-forwarded-host",
            "x-forwarded-proto",
        ] {
            for (peer, is_forwarded) in [("127.0.0.1", true), ("::1", true), ("10.1.1.1", false)] {
                let request =
                    TestRequest::get().peer_addr(SocketAddr::new(peer.parse().unwrap(), 1));
                let request = request.insert_header((header, "for=192.0.2.7")).to_http_request();
                let caller = caller(&request, &access);
                assert_eq!(caller.is_forwarded, is_forwarded, "{header} {peer}");
                let is_local =
                    access.has_standard(&caller, crate::aci::catalog::StandardRole::Admin);
                assert!(!is_local, "{header} {peer}");
            }
        }
    }

    #[test]
    fn a_key_is_read_from_either_scheme() {
        let members = Members { keys: Some(Vec::new()), ..Members::default() };
        let role = Role { members, ..Role::default() };
        let access = Access::new(vec![role]);
        let sent = |value: &str| {
            let request = TestRequest::get().insert_header(("authorization", value));
            caller(&request.to_http_request(), &access).credential
        };
        for (value, key) in [
            ("Bearer secret", "secret"),
            ("bearer   secret ", "secret"),
            ("BASIC YTpzZWNyZXQ=", "secret"),
            ("Basic YTpzZWNyZXQ", "secret"),
            // Without a user, and with a colon in the key.
            ("Basic OnNlY3JldDp4", "secret:x"),
            // All of these are wrong ones.
            ("Bearer", ""),
            ("Basic !", ""),
            ("Basic YQ==", ""),
            ("Digest secret", ""),
            ("secret", ""),
        ] {
            let Some(Credential::Key(hash)) = sent(value) else { panic!("{value}") };
            assert_eq!(hash, KeyHash::of(key), "{value}");
        }
        let without = TestRequest::get().to_http_request();
        assert!(caller(&without, &access).credential.is_none());
        // Where there are no keys, it is not for us.
        let request = TestRequest::get().insert_header(("authorization", "Bearer secret"));
        assert!(caller(&request.to_http_request(), &Access::default()).credential.is_none());
    }
}
