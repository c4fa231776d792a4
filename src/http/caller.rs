//! The sender of a request: its address, the key and the certificate that it has sent.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, FORWARDED, HeaderName};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::access::{Access, KeyHash};
use crate::front::{Caller, Credential};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Time that a request with a wrong key waits before anything of its body is read: nobody can try many, and one that waits
/// costs its connection only.
pub(super) const WRONG_KEY_DELAY: Duration = Duration::from_millis(250);

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
    // Without keys a header that a proxy wants for itself means nothing.
    caller.credential = access.has_keys().then(|| credential(request)).flatten();
    caller
}

/// Returns the address of the client, and true if it is only that of a proxy on this machine that nobody told to trust: such
/// a client is not on this machine, wherever it is.
fn origin(request: &HttpRequest, access: &Access) -> (Option<IpAddr>, bool) {
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let headers = request.headers();
    let Some(peer) = peer else { return (None, headers.contains_key(&X_FORWARDED_FOR)) };
    if !access.trusts(peer) {
        let is_forwarded = peer.is_loopback()
            && (headers.contains_key(&X_FORWARDED_FOR) || headers.contains_key(FORWARDED));
        return (Some(peer), is_forwarded);
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
        nearest = address;
        if !access.trusts(address) {
            break;
        }
    }
    (Some(nearest), false)
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
