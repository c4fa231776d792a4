//! The signature of a message, by which a receiver knows that it comes from here (source: the Standard Webhooks specification,
//! version 1.0.0, "Signature scheme").

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;

/// The prefix of secrets, which may be left out.
const PREFIX: &str = "whsec_";

/// The lengths of secrets in bytes that the specification wants.
const GOOD_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that this server shares with a receiver. It is never shown.
#[derive(Clone)]
pub struct SigningKey {
    key: hmac::Key,
    bytes: usize,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(actiond_actors::secrets::MASK)
    }
}

impl SigningKey {
    /// Reads a secret: base64, with or without `whsec_` in front. `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.strip_prefix(PREFIX).unwrap_or(text)).ok()?;
        if bytes.is_empty() {
            return None;
        }
        Some(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), bytes: bytes.len() })
    }

    /// Returns true if it is as long as the specification wants it: 24 to 64 bytes.
    pub(crate) fn is_of_good_length(&self) -> bool {
        GOOD_LENGTHS.contains(&self.bytes)
    }

    /// Signs a message. The time is in seconds since 1970.
    fn sign(&self, id: &str, time: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(format!("{id}.{time}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64.encode(context.sign()))
    }
}

/// Returns the value of `webhook-signature`: a signature by each key, with spaces between; `None` without a key.
pub(super) fn signatures(keys: &[SigningKey], id: &str, time: i64, body: &[u8]) -> Option<String> {
    let all: Vec<_> = keys.iter().map(|key| key.sign(id, time, body)).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_signature_is_that_of_the_reference_libraries() {
        for secret in [SECRET, SECRET.strip_prefix(PREFIX).unwrap()] {
            let key = SigningKey::parse(secret).unwrap();
            assert_eq!(key.sign(ID, TIME, BODY), SIGNATURE);
            assert!(key.is_of_good_length());
        }
        let key = SigningKey::parse(SECRET).unwrap();
        let others = [
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJel", TIME, BODY),
            key.sign(ID, TIME + 1, BODY),
            key.sign(ID, TIME, br#"{"test": 2432232315}"#),
            SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx")
                .unwrap()
                .sign(ID, TIME, BODY),
        ];
        assert!(others.iter().all(|other| other != SIGNATURE), "{others:?}");
    }

    #[test]
    fn each_key_signs_so_that_they_can_be_changed() {
        let old = SigningKey::parse(SECRET).unwrap();
        let new = SigningKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let both = signatures(&[new.clone(), old], ID, TIME, BODY).unwrap();
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!((first, second), (&*new.sign(ID, TIME, BODY), SIGNATURE));
        assert_eq!(signatures(&[], ID, TIME, BODY), None);
    }

    #[test]
    fn what_is_no_base64_is_no_secret() {
        for text in
            ["", "whsec_", "topsecret", "whsec_***", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
        {
            assert!(SigningKey::parse(text).is_none(), "{text}");
        }
        assert!(!SigningKey::parse("c2hvcnQ=").unwrap().is_of_good_length());
        assert_eq!(format!("{:?}", SigningKey::parse(SECRET)), "Some(***)");
    }
}
