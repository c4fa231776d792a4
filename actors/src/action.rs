//! The plain types of an action: its id, its state, its parameters, and times.
//!
//! They have no behaviour. The effect of commands on states is in [`crate::lifecycle`]; the work of an action is in
//! [`crate::perform`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secrets::{MASK, SecretNames};

/// The number of an action. It is never used twice in one store (Q1).
///
/// It is at least 1 and at most [`ActionId::MAX`], so that it fits into the eleven digits of an ACI token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(u64);

impl ActionId {
    /// The largest id: eleven decimal digits.
    pub const MAX: u64 = 99_999_999_999;

    /// Returns the id with this number, or `None` outside 1 to [`ActionId::MAX`].
    ///
    /// ```
    /// use actiond_actors::ActionId;
    /// assert_eq!(ActionId::new(7).map(ActionId::get), Some(7));
    /// assert_eq!(ActionId::new(0), None);
    /// ```
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number >= 1 && number <= Self::MAX { Some(Self(number)) } else { None }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A wall-clock time in milliseconds since 1970-01-01 00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }
}

/// State of an action. The moves between states are in [`crate::lifecycle`] (Q3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// The action waits for a slot.
    Queued,
    /// The action has a slot and runs.
    Processing,
    /// The action has a slot, and its work is held.
    Paused,
    /// The action was asked to stop and has not ended yet. If its work comes to its own end first, it ends in Finished or
    /// Error all the same.
    Stopping,
    /// Final: the action ended by itself, with a result.
    Finished,
    /// Final: the action ended with an error.
    Error,
    /// Final: the action was cancelled before it ever ran.
    Cancelled,
    /// Final: the action ended because it was asked to stop. Its partial result is kept.
    Stopped,
}

impl State {
    /// Every state, in the order of an action's life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Processing,
        Self::Paused,
        Self::Stopping,
        Self::Finished,
        Self::Error,
        Self::Cancelled,
        Self::Stopped,
    ];

    /// Tells whether the action has ended: a final state never changes (Q7).
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Error | Self::Cancelled | Self::Stopped)
    }

    /// Tells whether the action holds a slot: it runs, or is paused or stopping.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Processing | Self::Paused | Self::Stopping)
    }

    /// Returns the state's name, which is also its word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Processing => "Processing",
            Self::Paused => "Paused",
            Self::Stopping => "Stopping",
            Self::Finished => "Finished",
            Self::Error => "Error",
            Self::Cancelled => "Cancelled",
            Self::Stopped => "Stopped",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Value of a parameter: text, or bytes such as an uploaded file.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, kept to the letter.
    Text(String),
    /// Any bytes.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Bytes(bytes) => write!(f, "({} bytes)", bytes.len()),
        }
    }
}

impl Value {
    /// Returns the text, or `None` for bytes.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(_) => None,
        }
    }

    /// Returns the value's bytes, whichever kind it is.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Bytes are stored as an object with base64, text as a JSON string: a database tool shows both.
#[derive(Serialize, Deserialize)]
struct StoredBytes<'a> {
    base64: Cow<'a, str>,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => {
                StoredBytes { base64: BASE64.encode(bytes).into() }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrBytes;

        impl<'de> Visitor<'de> for TextOrBytes {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or an object with base64")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Value, E> {
                Ok(Value::Text(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
                let stored = StoredBytes::deserialize(MapAccessDeserializer::new(map))?;
                let bytes = BASE64.decode(stored.base64.as_bytes());
                bytes.map(Value::Bytes).map_err(serde::de::Error::custom)
            }
        }

        deserializer.deserialize_any(TextOrBytes)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Parameters of an action: names and values in the order in which they came. Cheap to clone.
///
/// Names are compared without regard to ASCII case. A name may occur more than once;
/// [`Parameters::get`] takes the last, as the wire does.
///
/// ```
/// use actiond_actors::Parameters;
/// let given = Parameters::from_iter([("TaskSections", "DIR1"), ("FetchAction", "Synchronize")]);
/// assert_eq!(given.get("fetchaction"), Some("Synchronize"));
/// assert_eq!(given.get("Config"), None);
/// ```
///
/// Debug output has no value of a parameter that is [well known as secret](crate::secrets), such as `Password`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parameters(Arc<Vec<(String, Value)>>);

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.iter() {
            match SecretNames::WELL_KNOWN.has(name) {
                true => map.entry(&format_args!("{name}"), &format_args!("{MASK}")),
                false => map.entry(&format_args!("{name}"), value),
            };
        }
        map.finish()
    }
}

impl Parameters {
    /// Returns the last text value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_value(name).and_then(Value::as_text)
    }

    /// Returns the last value of this name, text or bytes.
    #[must_use]
    pub fn get_value(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// Iterates over all pairs in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v))
    }

    /// Returns the number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the size of all names and values in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.0.iter().map(|(n, v)| n.len() + v.as_bytes().len()).sum()
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(Arc::new(pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_shown_without_secrets_and_bytes() {
        let text = |text: &str| Value::from(text);
        let given = Parameters::from_iter([
            ("Name", text("Ada \"x\"")),
            ("db_password", text("hunter2")),
            ("File", Value::Bytes(vec![0; 3])),
        ]);
        let shown = r#"{Name: "Ada \"x\"", db_password: ***, File: (3 bytes)}"#;
        assert_eq!(format!("{given:?}"), shown);
        assert_eq!(format!("{:?}", Parameters::default()), "{}");
    }
}
