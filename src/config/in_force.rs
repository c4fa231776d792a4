//! Notes the value of each key that is in force, and its origin, while the settings are made.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::findings::{Findings, Line};
use super::key::Key;
use super::secrets::{SECRET, masked};
use super::values::{Setting, Values};

/// The origin of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// A file.
    Line(Line),
    /// The default of the table.
    Default,
    /// A default that depends on other keys, as this says.
    Derived(&'static str),
    /// There is none.
    NotSet,
}

/// The keys that were looked up, by the sections to which they apply.
#[derive(Debug, Default)]
pub(super) struct InForce<'r>(Vec<(String, Vec<Noted<'r>>)>);

#[derive(Debug)]
struct Noted<'r> {
    key: &'r str,
    value: String,
    fingerprint: u64,
    is_read_again: bool,
    origin: Origin,
}

impl<'r> InForce<'r> {
    /// Notes a value; one that is noted again is the better known one. `of` is the key in the table for which `key` stands.
    pub(super) fn note(
        &mut self,
        section: &str,
        of: &Key,
        key: &'r str,
        value: &str,
        origin: Origin,
    ) {
        // Nobody has written it: the defaults hold.
        if section.is_empty() {
            return;
        }
        let at = self.0.iter().rposition(|(name, _)| name.eq_ignore_ascii_case(section));
        let at = at.unwrap_or_else(|| {
            self.0.push((section.to_owned(), Vec::new()));
            self.0.len() - 1
        });
        let Some((_, keys)) = self.0.get_mut(at) else { return };
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let fingerprint = hasher.finish();
        let value = masked(key, value).unwrap_or_else(|| value.to_owned());
        let is_read_again = of.is_read_again;
        let known = Noted { key, value, fingerprint, is_read_again, origin };
        match keys.iter_mut().find(|other| other.key.eq_ignore_ascii_case(key)) {
            Some(other) => *other = known,
            None => keys.push(known),
        }
    }

    /// Hides the value of a key that was noted.
    pub(super) fn hide(&mut self, section: &str, key: &str) {
        let sections = self.0.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case(section));
        let noted = sections.flat_map(|(_, keys)| keys);
        for noted in noted.filter(|noted| noted.key.eq_ignore_ascii_case(key)) {
            SECRET.clone_into(&mut noted.value);
        }
    }

    /// Returns all of it, without what the text of the files is needed for.
    pub(super) fn into_values(self, findings: &Findings) -> Values {
        let setting = |Noted { key, value, fingerprint, is_read_again, origin }: Noted<'_>| {
            let origin = match origin {
                Origin::Line(line) => Some(findings.place(line)),
                Origin::Default => Some("default".to_owned()),
                Origin::Derived(how) => Some(format!("default: {how}")),
                Origin::NotSet => None,
            };
            Setting { key: key.to_owned(), value, fingerprint, is_read_again, origin }
        };
        let sections = self.0.into_iter();
        let sections =
            sections.map(|(name, keys)| (name, keys.into_iter().map(setting).collect())).collect();
        Values { sections }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::build::BuildInputs;
    use super::super::disk::Disk;
    use super::super::files::Included;
    use super::super::{Overrides, Settings, check, load};
    use crate::kinds::Kinds;

    fn printed(files: &[(&str, &str)]) -> (String, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let (text, warnings) =
            check(&Kinds::shipped(), &directory.path().join(files[0].0)).unwrap();
        let prefix = format!("{}/", directory.path().display());
        let warnings = warnings.iter().map(|w| w.to_string().replace(&prefix, "")).collect();
        (text.replace(&prefix, ""), warnings)
    }

    const FULL: &str = "\
< \"base.cfg\" [AsyncActions]
< \"base.cfg\" [DIR1]
[Server] // a comment
Port=7001
Treads=2
[Actions]
MaximumThreads=3
[FetchTasks]
0=DIR1
[Process]
Type=echo
OnRestart=Fail
[Ingest]
Type=Ingest
MaximumThreads=1
[Fetch]
Type=FileSystemConnector
";
    const BASE: &str = "[AsyncActions]\nNumber=3\n0=Process\n1=Ingest\n2=Fetch\n\
                        [DIR1]\nDirectoryPathCSVs=\"a, b\",c\n";

    #[test]
    fn each_value_is_printed_with_where_it_comes_from() {
        let (text, warnings) = printed(&[("a.cfg", FULL), ("base.cfg", BASE)]);
        for (section, lines) in [
            ("[Server]", "// a.cfg:4\nPort=7001\n"),
            ("[Server]", "// default\nBindAddress=127.0.0.1,::1\n"),
            (
                "[Server]",
                "// default: what can be called of the first BindAddress\nTokenHost=127.0.0.1\n",
            ),
            ("[Actions]", "// a.cfg:7\nMaximumThreads=3\n"),
            ("[Actions]", "// not set\n# OnRestart=\n"),
            ("[AsyncActions]", "// base.cfg:3\n0=Process\n"),
            ("[Process]", "// a.cfg:11\nType=echo\n"),
            ("[Process]", "// a.cfg:7\nMaximumThreads=3\n"),
            ("[Process]", "// a.cfg:12\nOnRestart=Fail\n"),
            ("[Ingest]", "// a.cfg:15\nMaximumThreads=1\n"),
            ("[Ingest]", "// default: that of its Type\nOnRestart=Requeue\n"),
            ("[Ingest]", "// default: below DataDirectory\nOutputDirectory=./actions/ingest\n"),
            ("[Ingestion]", "// default: the first queue with Type=Ingest\nIngestQueue=Ingest\n"),
            ("[DIR1]", "// base.cfg:7\nDirectoryPathCSVs=\"a, b\",c\n"),
            ("[DIR1]", "// not set\n# PathNoCrawlRegex=\n"),
        ] {
            let (_, rest) = text.split_once(&format!("{section}\n")).unwrap();
            let own = rest.split("\n\n").next().unwrap();
            assert!(format!("{own}\n").contains(lines), "{lines} in {section}: {text}");
        }
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[0].starts_with("a.cfg:5: [Server] Treads has no effect"), "{warnings:?}");
        for (warning, path) in warnings[1..].iter().zip(["a, b", "c"]) {
            let want =
                format!("[DIR1] DirectoryPathCSVs names {path}: there is no such directory now");
            assert_eq!(*warning, format!("base.cfg:7: {want}"));
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let text = "[Server]\nSSLConfig=A\n\
                    [A]\nSSLCertificate=a\nSSLPrivateKey=b\nSSLPrivateKeyPassword=secret\n";
        let included = |name: &str| Included { name: name.to_owned(), text: Err(String::new()) };
        let (overrides, kinds) = (&Overrides::default(), &Kinds::shipped());
        // There are no such certificates.
        let among = BuildInputs {
            overrides,
            disk: Disk::Unknown,
            kinds,
            included: &included,
            variable: &|_| None,
        };
        let printed = Settings::parse_among(text, "t", &among).unwrap().in_force.print();
        assert!(printed.contains("// t:6\nSSLPrivateKeyPassword=***\n"), "{printed}");
        assert!(!printed.contains("secret"), "{printed}");
    }

    #[test]
    fn of_variables_for_programs_only_the_names_are_printed() {
        let text = "[AsyncActions]\n0=Run\n[Run]\nType=Command\nCommand=true\n\
                    Environment=PGPASSWORD=secret\nEnvironment0=A=secret\n0=B = secret\n1=C=secret=1\n";
        let (printed, _) = printed(&[("a.cfg", text)]);
        for line in ["Environment=PGPASSWORD=***", "Environment0=A=***", "0=B =***", "1=C=***"] {
            assert!(printed.contains(&format!("{line}\n")), "{line}: {printed}");
        }
        assert!(printed.contains("\n0=Run\n") && !printed.contains("secret"), "{printed}");
        // Nor in what is wrong with them.
        for line in ["Environment=secret", "Environment==secret", "0=ACTIOND_X=secret"] {
            let config =
                format!("[AsyncActions]\n0=Run\n[Run]\nType=Command\nCommand=true\n{line}\n");
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("a.cfg");
            fs::write(&path, config).unwrap();
            let error = check(&Kinds::shipped(), &path).unwrap_err().to_string();
            assert!(error.contains("a.cfg:6") && !error.contains("secret"), "{line}: {error}");
        }
    }

    #[test]
    fn keys_of_a_kind_are_printed_in_the_order_of_the_reference() {
        let (text, _) = printed(&[("a.cfg", FULL), ("base.cfg", BASE)]);
        let reference = super::super::describe(&Kinds::shipped());
        for (section, title) in [("[Ingest]", "# [Ingest]"), ("[DIR1]", "# [DIR1]")] {
            let keys = |text: &str, title: &str| -> Vec<String> {
                let (_, rest) = text.split_once(&format!("\n{title}\n")).unwrap();
                let own = rest.split("\n\n[").next().unwrap().split("\n# [").next().unwrap();
                let lines = own.lines().filter(|line| !line.starts_with("//"));
                let key = |line: &str| {
                    line.trim_start_matches("# ").split_once('=').map(|k| k.0.to_owned())
                };
                lines.filter_map(key).collect()
            };
            let known = keys(&reference, title);
            assert!(known.len() > 4, "{known:?}");
            let shown: Vec<_> =
                keys(&text, section).into_iter().filter(|key| known.contains(key)).collect();
            assert_eq!(shown, known, "{section}");
        }
    }

    #[test]
    fn what_is_printed_means_the_same() {
        for text in ["", FULL] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("a.cfg"), text).unwrap();
            fs::write(directory.path().join("base.cfg"), BASE).unwrap();
            let path = directory.path().join("a.cfg");
            let (want, _) = load(&Kinds::shipped(), Some(&path), &Overrides::default()).unwrap();
            let (printed, _) = check(&Kinds::shipped(), &path).unwrap();
            let (mut got, warnings) = Settings::parse(&printed, "printed").unwrap();
            assert_eq!(warnings, [], "{printed}");
            // It is another file.
            got.files.clone_from(&want.files);
            // Said or not, it is the same.
            for (got, want) in got.queues.iter_mut().zip(&want.queues) {
                assert!(got.limits.on_restart.is_some(), "{printed}");
                if want.limits.on_restart.is_none() {
                    got.limits.on_restart = None;
                }
            }
            assert_eq!(format!("{got:#?}"), format!("{want:#?}"));
        }
    }
}
