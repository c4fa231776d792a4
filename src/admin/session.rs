//! Sessions of browsers: what a cookie says, and that this server wrote it.
//!
//! A cookie is `1.UNTIL.NONCE.KEY.MAC`: the second at which it ends, a random text by which forms of one browser are told from those of
//! another, the hash of the key that its user has given (`-` for none), and an HMAC of all that. So nothing is kept here for it, and a
//! key that is taken back is worth nothing at once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::access::KeyHash;

/// Seconds after which a session ends.
pub(crate) const LASTS_SECS: i64 = 12 * 3_600;

/// The form of cookies.
const FORM: &str = "1";

/// Number of random bytes of a nonce.
const NONCE_BYTES: usize = 16;

/// The key that signs cookies and forms. Each server has its own, unless they share a secret.
#[derive(Clone)]
pub(crate) struct Signing(hmac::Key);

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    nonce: String,
    /// The key of whoever has signed in.
    pub(crate) key: Option<KeyHash>,
    /// The second, since 1970, at which it ends.
    until: i64,
}

impl Session {
    /// Begins a session now; `None` if the system has no random numbers.
    pub(crate) fn begin(key: Option<KeyHash>, now: i64) -> Option<Self> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).ok()?;
        let nonce = URL_SAFE_NO_PAD.encode(nonce);
        Some(Self { nonce, key, until: now.saturating_add(LASTS_SECS) })
    }

    /// Returns the session to go on with, and true if the browser has to be told of it: one that is half over lasts anew, and forms of
    /// it stay good. `None` if there was none and the system has no random numbers.
    pub(crate) fn go_on(known: Option<Self>, now: i64) -> Option<(Self, bool)> {
        match known {
            Some(known) if known.until.saturating_sub(now) >= LASTS_SECS / 2 => {
                Some((known, false))
            }
            Some(known) => Some((Self { until: now.saturating_add(LASTS_SECS), ..known }, true)),
            None => Some((Self::begin(None, now)?, true)),
        }
    }

    fn text(&self) -> String {
        let key = self.key.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        format!("{FORM}.{}.{}.{key}", self.until, self.nonce)
    }
}

impl Signing {
    /// Makes one of a secret that servers share, or of a random one; `None` if the system has no random numbers.
    pub(crate) fn new(secret: Option<&[u8]>) -> Option<Self> {
        let mut random = [0; 32];
        let secret = match secret {
            Some(secret) => secret,
            None => {
                getrandom::fill(&mut random).ok()?;
                &random
            }
        };
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// Writes the value of the cookie of a session.
    pub(crate) fn cookie(&self, session: &Session) -> String {
        let text = session.text();
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, text.as_bytes()));
        format!("{text}.{mac}")
    }

    /// Reads the value of a cookie; `None` if this server did not write it, or it has ended.
    pub(crate) fn session(&self, cookie: &str, now: i64) -> Option<Session> {
        let (text, mac) = cookie.rsplit_once('.')?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        hmac::verify(&self.0, text.as_bytes(), &mac).ok()?;
        let mut parts = text.split('.');
        let (form, until) = (parts.next()?, parts.next()?.parse().ok()?);
        let (nonce, key) = (parts.next()?.to_owned(), parts.next()?);
        let key = if key == "-" { None } else { Some(KeyHash::parse(key)?) };
        (form == FORM && now < until).then_some(Session { nonce, key, until })
    }

    /// Returns the token that each form of a session carries, so that no other page can send one.
    pub(crate) fn form_token(&self, session: &Session) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, form_text(session).as_bytes()))
    }

    /// Returns true if a form carries the token of this session.
    pub(crate) fn is_form_token(&self, session: &Session, token: &str) -> bool {
        let token = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        hmac::verify(&self.0, form_text(session).as_bytes(), &token).is_ok()
    }
}

/// The text of which a form's token is the HMAC. No cookie has it: those begin with a number.
fn form_text(session: &Session) -> String {
    let key = session.key.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("form.{}.{key}", session.nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signing() -> Signing {
        Signing::new(Some(b"secret")).unwrap()
    }

    #[test]
    fn a_cookie_is_good_until_it_ends_and_only_where_it_was_made() {
        let session = Session::begin(Some(KeyHash::of("key")), 1_000).unwrap();
        let cookie = signing().cookie(&session);
        let end = 1_000 + LASTS_SECS;
        assert_eq!(signing().session(&cookie, end - 1), Some(session.clone()));
        assert_eq!(signing().session(&cookie, end), None);
        assert_eq!(Signing::new(Some(b"other")).unwrap().session(&cookie, 1_000), None);
        assert_eq!(Signing::new(None).unwrap().session(&cookie, 1_000), None);
    }

    #[test]
    fn a_session_that_is_used_lasts_and_its_forms_stay_good() {
        let session = Session::begin(Some(KeyHash::of("key")), 1_000).unwrap();
        let go_on = |now| Session::go_on(Some(session.clone()), now).unwrap();
        let half = 1_000 + LASTS_SECS / 2;
        assert_eq!(go_on(half), (session.clone(), false));
        let (longer, is_new) = go_on(half + 1);
        assert!(is_new && longer.until == half + 1 + LASTS_SECS && longer.key == session.key);
        assert!(signing().is_form_token(&longer, &signing().form_token(&session)));
        let (first, is_new) = Session::go_on(None, 1_000).unwrap();
        assert!(is_new && first.key.is_none() && first.until == 1_000 + LASTS_SECS);
    }

    #[test]
    fn what_was_changed_is_no_cookie() {
        let session = Session::begin(None, 1_000).unwrap();
        let cookie = signing().cookie(&session);
        assert!(cookie.starts_with("1.44200."), "{cookie}");
        for changed in [
            cookie.replacen("44200", "94200", 1),
            cookie.replacen(".-.", &format!(".{}.", KeyHash::of("key")), 1),
            format!("{cookie}A"),
            format!("x{cookie}"),
            cookie[..cookie.len() - 1].to_owned(),
            String::new(),
            ".".to_owned(),
            // Signed for a form.
            format!("{}.{}", form_text(&session), signing().form_token(&session)),
        ] {
            assert_eq!(signing().session(&changed, 1_000), None, "{changed}");
        }
    }

    #[test]
    fn a_form_belongs_to_one_session() {
        let [one, other] = [(); 2].map(|()| Session::begin(None, 1_000).unwrap());
        let token = signing().form_token(&one);
        assert!(signing().is_form_token(&one, &token));
        assert!(!signing().is_form_token(&other, &token));
        let signed_in = Session { key: Some(KeyHash::of("key")), ..one.clone() };
        assert!(!signing().is_form_token(&signed_in, &token));
        for bad in ["", "x", "!", &signing().cookie(&one)] {
            assert!(!signing().is_form_token(&one, bad), "{bad}");
        }
    }
}
