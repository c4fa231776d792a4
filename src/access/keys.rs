//! Keys: random texts by which a client is somebody. The server only knows their hashes.
//!
//! A key has 256 random bits, so its plain SHA-256 is as good as a slow hash, which is meant for passwords that people
//! choose, and costs a request nothing worth naming.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The word before the hash of a key, in `Keys` and in what `actiond key` prints.
pub const PREFIX: &str = "sha256:";

/// Number of random bytes of a new key.
const KEY_BYTES: usize = 32;

/// The SHA-256 hash of a key. Two are compared in a time that does not depend on where they differ.
///
/// ```
/// use actiond::access::KeyHash;
/// let hash = KeyHash::of("a key");
/// assert_eq!(KeyHash::parse(&hash.to_string()), Some(hash));
/// ```
#[derive(Clone, Copy, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes a key.
    #[must_use]
    pub fn of(key: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Reads `sha256:` and 64 hexadecimal digits, in any case; `None` if the text is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, digits) = text.split_at_checked(PREFIX.len())?;
        let digits = prefix.eq_ignore_ascii_case(PREFIX).then_some(digits)?.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let mut halves = pair.iter().map(|digit| char::from(*digit).to_digit(16));
            let (high, low) = (halves.next()??, halves.next()??);
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(Self(hash))
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Shows the first digits only: enough to tell keys apart in a log.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("...")
    }
}

/// Makes a key of 256 bits from the system's source of randomness.
///
/// # Errors
///
/// The system gives none.
pub fn generate() -> Result<String, getrandom::Error> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Reads the text of a file of keys: a hash on each line, and comments.
///
/// # Errors
///
/// The number of the first line that is neither a hash, empty, nor a comment (`#`, `//` or `;`).
pub fn parse_file(text: &str) -> Result<Vec<KeyHash>, usize> {
    let mut hashes = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        // A name for the key may follow it.
        let line = line.trim();
        if line.is_empty() || ["#", "//", ";"].iter().any(|comment| line.starts_with(comment)) {
            continue;
        }
        let mut words = line.split_whitespace();
        let hash = words.next().and_then(KeyHash::parse).ok_or(at + 1)?;
        // A second one would be lost.
        if words.any(|word| KeyHash::parse(word.trim_matches(',')).is_some()) {
            return Err(at + 1);
        }
        hashes.push(hash);
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_other_programs() {
        // printf abc | sha256sum
        let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(KeyHash::of("abc").to_string(), known);
        assert_eq!(KeyHash::parse(&known.to_uppercase()), Some(KeyHash::of("abc")));
        assert_ne!(KeyHash::of("abc"), KeyHash::of("abd"));
        let shown = format!("{:?}", KeyHash::of("abc"));
        assert_eq!(shown, "sha256:ba7816bf...");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let good = KeyHash::of("abc").to_string();
        for text in [
            "",
            "sha256:",
            "abc",
            &good[1..],
            &good[..70],
            &format!("{good}0"),
            &good.replace("ba", "bg"),
            &good.replace("sha256", "sha512"),
        ] {
            assert_eq!(KeyHash::parse(text), None, "{text}");
        }
        assert_eq!(KeyHash::parse(&"ä".repeat(40)), None);
    }

    #[test]
    fn keys_are_long_and_never_the_same() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert!(
            one.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
            "{one}"
        );
    }

    #[test]
    fn a_file_has_a_hash_on_each_line() {
        let (a, b) = (KeyHash::of("a"), KeyHash::of("b"));
        let text = format!("\u{feff}# Keys\r\n\n  {a}  Ada's laptop\r\n// old\n;{b}\n{b}");
        assert_eq!(parse_file(&text), Ok(vec![a, b]));
        assert_eq!(parse_file(""), Ok(vec![]));
        assert_eq!(parse_file(&format!("{a}\nsecret\n{b}")), Err(2));
        assert_eq!(parse_file(&format!("{a} {b}")), Err(1));
    }
}
