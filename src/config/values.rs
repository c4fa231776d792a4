//! The value of each key that is in force, with its origin; and what is new in another reading of the configuration.

use std::borrow::Cow;
use std::fmt;

use super::table::KEYS;
use super::variables::escape;
use crate::access::KeyHash;

/// Every key that was looked up, with its value. Values that are not for other eyes are masked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    pub(super) sections: Vec<(String, Vec<Setting>)>,
}

/// The value of one key.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) key: String,
    /// As it may be shown.
    pub(super) value: String,
    /// By which two values that may not be shown are told apart.
    pub(super) fingerprint: u64,
    pub(super) is_read_again: bool,
    /// Where it comes from; `None` if the key has no value.
    pub(super) origin: Option<String>,
}

/// A key that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) section: String,
    pub(crate) key: String,
    /// As they may be shown; `None` where the key had, or has, no value.
    pub(crate) before: Option<String>,
    pub(crate) now: Option<String>,
    /// True if it can be put in force while the server runs.
    pub(crate) is_read_again: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, key, before, now, .. } = self;
        match now {
            Some(now) => write!(f, "[{section}] {key}={now}")?,
            None => write!(f, "[{section}] {key} without a value")?,
        }
        match before {
            Some(before) => write!(f, " (before: {before})"),
            None => f.write_str(" (before: none)"),
        }
    }
}

impl Values {
    /// Prints all of it as a configuration that means the same, but for secrets.
    pub(crate) fn print(&self) -> String {
        self.write(|_, value| Cow::Borrowed(value))
    }

    /// Prints all of it as [`print`](Self::print) does, for other eyes: of the hash of a key they see as much as the log has.
    pub(crate) fn show(&self) -> String {
        self.write(|key, value| match key.eq_ignore_ascii_case(KEYS.name()) {
            true => Cow::Owned(short_hashes(value)),
            false => Cow::Borrowed(value),
        })
    }

    fn write<'v>(&'v self, shown: impl Fn(&str, &'v str) -> Cow<'v, str>) -> String {
        let mut text = String::new();
        for (section, keys) in &self.sections {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("[{section}]\n"));
            for Setting { key, value, origin, .. } in keys {
                let value = escape(&shown(key, value));
                text.push_str(&match origin {
                    Some(origin) => format!("// {origin}\n{key}={value}\n"),
                    None => format!("// not set\n# {key}=\n"),
                });
            }
        }
        text
    }

    /// Returns the keys that have another value in `new`, in the order in which they are there; those that are only here last.
    pub(crate) fn changes(&self, new: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (section, setting) in new.settings() {
            let before = self.find(section, &setting.key);
            if before.map(Setting::identity).unwrap_or_default() != setting.identity() {
                changes.push(Change::of(section, before, Some(setting)));
            }
        }
        let gone = self.settings().filter(|(section, setting)| {
            setting.origin.is_some() && new.find(section, &setting.key).is_none()
        });
        changes.extend(gone.map(|(section, setting)| Change::of(section, Some(setting), None)));
        changes
    }

    /// Takes over from `new` what was put in force: all but these keys, which keep the values that they have here.
    pub(crate) fn follow(&mut self, new: Self, kept: &[Change]) {
        let old = std::mem::replace(self, new);
        for Change { section, key, .. } in kept {
            let setting = old.find(section, key).cloned();
            let at = self.sections.iter().position(|(name, _)| name.eq_ignore_ascii_case(section));
            match at.and_then(|at| self.sections.get_mut(at)) {
                Some((_, keys)) => {
                    let place = keys.iter().position(|other| other.key.eq_ignore_ascii_case(key));
                    match (place, setting) {
                        (Some(place), Some(setting)) => {
                            if let Some(there) = keys.get_mut(place) {
                                *there = setting;
                            }
                        }
                        (Some(place), None) => drop(keys.remove(place)),
                        (None, setting) => keys.extend(setting),
                    }
                }
                None => self.sections.extend(setting.map(|it| (section.clone(), vec![it]))),
            }
        }
    }

    fn settings(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.sections
            .iter()
            .flat_map(|(section, keys)| keys.iter().map(|setting| (section.as_str(), setting)))
    }

    fn find(&self, section: &str, key: &str) -> Option<&Setting> {
        let mut sections = self.sections.iter();
        let (_, keys) = sections.find(|(name, _)| name.eq_ignore_ascii_case(section))?;
        keys.iter().find(|setting| setting.key.eq_ignore_ascii_case(key))
    }
}

/// Returns a list of hashes and files with the first digits of each hash.
fn short_hashes(list: &str) -> String {
    let short = |item: &str| match KeyHash::parse(item.trim().trim_matches('"')) {
        Some(hash) => format!("{hash:?}"),
        None => item.to_owned(),
    };
    list.split(',').map(short).collect::<Vec<_>>().join(",")
}

impl Setting {
    /// Returns what two equal values have in common; `None` for no value.
    fn identity(&self) -> Option<u64> {
        self.origin.as_ref().map(|_| self.fingerprint)
    }
}

impl Change {
    fn of(section: &str, before: Option<&Setting>, now: Option<&Setting>) -> Self {
        let shown = |setting: Option<&Setting>| {
            setting.filter(|setting| setting.origin.is_some()).map(|setting| setting.value.clone())
        };
        let any = now.or(before);
        Self {
            section: section.to_owned(),
            key: any.map(|setting| setting.key.clone()).unwrap_or_default(),
            before: shown(before),
            now: shown(now),
            is_read_again: any.is_some_and(|setting| setting.is_read_again),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::BuildInputs;
    use super::super::disk::Disk;
    use super::super::files::Included;
    use super::super::{Overrides, Settings};
    use super::*;
    use crate::kinds::Kinds;

    fn values(text: &str) -> Values {
        let included = |name: &str| Included { name: name.to_owned(), text: Err(String::new()) };
        let (overrides, kinds) = (&Overrides::default(), &Kinds::shipped());
        let among = BuildInputs {
            overrides,
            disk: Disk::Unknown,
            kinds,
            included: &included,
            variable: &|_| None,
        };
        Settings::parse_among(text, "t", &among).unwrap().in_force
    }

    fn told(changes: &[Change]) -> Vec<String> {
        let again = |change: &Change| if change.is_read_again { "now" } else { "later" };
        changes.iter().map(|change| format!("{}: {change}", again(change))).collect()
    }

    #[test]
    fn each_key_with_another_value_is_told_once() {
        let base = "[AsyncActions]\n0=Work\n[Work]\nType=Echo\n";
        let old = values(base);
        assert_eq!(told(&old.changes(&old)), [""; 0]);
        // The same value in another way is none, nor is a line that has moved.
        let same = values(&format!("// a line\n{base}[Server]\nPort=7000\n"));
        assert_eq!(told(&old.changes(&same)), [""; 0]);
        let text = format!(
            "{base}[Server]\nPort=7001\n[Actions]\nMaximumThreads=3\n[work]\nOnRestart=fail\n"
        );
        let new = values(&text);
        assert_eq!(
            told(&old.changes(&new)),
            [
                "later: [Server] Port=7001 (before: 7000)",
                "now: [Actions] MaximumThreads=3 (before: 1)",
                "now: [Work] MaximumThreads=3 (before: 1)",
                "now: [Work] OnRestart=fail (before: Requeue)",
            ]
        );
        let roles = format!("{base}[AuthorizationRoles]\n0=R\n[R]\nClients=*\n");
        let roles = values(&roles);
        let gone = told(&roles.changes(&old));
        assert!(
            gone.contains(&"now: [R] Clients without a value (before: *)".to_owned()),
            "{gone:?}"
        );
    }

    #[test]
    fn of_hashes_the_first_digits_are_shown() {
        let hash = format!("sha256:{}", "ab12".repeat(16));
        let table = [
            (hash.clone(), "sha256:ab12ab12..."),
            (format!("./keys.txt, {hash} ,b.txt"), "./keys.txt,sha256:ab12ab12...,b.txt"),
            ("***".to_owned(), "***"),
            (String::new(), ""),
        ];
        for (list, shown) in table {
            assert_eq!(short_hashes(&list), shown, "{list}");
        }
        let roles =
            values(&format!("[AuthorizationRoles]\n0=R\n[R]\nActions=GetPid\nKeys={hash}\n"));
        assert!(roles.print().contains(&hash), "{}", roles.print());
        assert!(!roles.show().contains(&hash), "{}", roles.show());
    }

    #[test]
    fn a_secret_that_has_changed_is_told_and_not_shown() {
        let ssl = |password: &str| {
            values(&format!(
                "[Server]\nSSLConfig=A\n[A]\nSSLCertificate=a\nSSLPrivateKey=b\nSSLPrivateKeyPassword={password}\n"
            ))
        };
        let changes = ssl("s3cret").changes(&ssl("s3kret"));
        assert_eq!(told(&changes), ["now: [A] SSLPrivateKeyPassword=*** (before: ***)"]);
    }

    #[test]
    fn what_was_not_put_in_force_is_told_again_until_it_is_taken_back() {
        let mut in_force = values("");
        let new =
            values("[Server]\nPort=7001\nStrictActionValidation=true\n[Actions]\nOnRestart=Fail\n");
        let later = |changes: Vec<Change>| -> Vec<Change> {
            changes.into_iter().filter(|change| !change.is_read_again).collect()
        };
        let kept = later(in_force.changes(&new));
        assert_eq!(told(&kept), ["later: [Server] Port=7001 (before: 7000)"]);
        in_force.follow(new.clone(), &kept);
        assert_eq!(in_force.changes(&new), kept);
        let undone = values("[Server]\nPort=7000\n");
        assert_eq!(
            told(&in_force.changes(&undone)),
            [
                "now: [Server] StrictActionValidation=false (before: true)",
                "now: [Actions] OnRestart without a value (before: Fail)",
                "now: [Process] OnRestart=Requeue (before: Fail)",
            ]
        );
    }
}
