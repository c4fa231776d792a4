//! Makes the settings of TLS. One that can't be honoured is a problem and never a warning.

use std::path::PathBuf;

use super::disk::Disk;
use super::ini::IniSection;
use super::key::Key;
use super::queues::Purposes;
use super::reader::Reader;
use super::secrets::secret;
use super::table::{self, SSL_OPTION, fixed_section};
use crate::tls::{ClientIdentity, ClientTls, Tls, TlsError, TlsOptions};

/// Makes the settings of the port of a section; `None` where it speaks plain HTTP. The section that it names is added to
/// `purposes`.
pub(super) fn tls<'r>(
    reader: &mut Reader<'r>,
    of_port: &str,
    purposes: &mut Purposes<'r>,
    disk: Disk,
) -> Option<TlsOptions> {
    let section = section_named(reader, of_port, table::SSL_CONFIG, purposes)?;
    let of = &[section.name];
    if reader.word(of, table::SSL_METHOD) == Some("None") {
        // Whoever asks for certificates of clients does not want plain HTTP.
        let given = |key: &Key| section.get(key.name).is_some();
        let requires =
            given(table::SSL_CHECK_CERTIFICATE) && reader.boolean(of, table::SSL_CHECK_CERTIFICATE);
        if requires || given(table::SSL_CA_CERTIFICATE) {
            let reason = "can't be together with SSLCheckCertificate=true or SSLCACertificate: plain HTTP has no certificates of clients. Must be Negotiate, or those lines must go";
            reader.problem_at(section.name, table::SSL_METHOD, reason);
        }
        return None;
    }
    let has_files = reader.require(section, table::SSL_CERTIFICATE, "the path of a file")
        & reader.require(section, table::SSL_PRIVATE_KEY, "the path of a file");
    let path = |text: Option<String>| text.map(PathBuf::from);
    let options = TlsOptions {
        certificate: path(reader.text(of, table::SSL_CERTIFICATE)).unwrap_or_default(),
        private_key: path(reader.text(of, table::SSL_PRIVATE_KEY)).unwrap_or_default(),
        private_key_password: password(reader, section.name, disk),
        ca_certificate: path(reader.text(of, table::SSL_CA_CERTIFICATE)),
        check_certificate: reader.boolean(of, table::SSL_CHECK_CERTIFICATE),
    };
    if options.check_certificate && options.ca_certificate.is_none() {
        let reason = "needs SSLCACertificate: nothing says which certificates of clients are good";
        reader.problem_at(section.name, table::SSL_CHECK_CERTIFICATE, reason);
    } else if has_files
        && disk == Disk::Real
        && let Err(error) = Tls::check(&options)
    {
        let key = match &error {
            TlsError::File { path, .. } if *path == options.private_key => table::SSL_PRIVATE_KEY,
            TlsError::File { path, .. } if Some(path) == options.ca_certificate.as_ref() => {
                table::SSL_CA_CERTIFICATE
            }
            _ => table::SSL_CERTIFICATE,
        };
        reader.problem_at(section.name, key, error.to_string());
    }
    has_files.then_some(options)
}

/// Finds the section of options that a key names, and adds it to `purposes`.
fn section_named<'r>(
    reader: &mut Reader<'r>,
    of: &str,
    key: &Key,
    purposes: &mut Purposes<'r>,
) -> Option<&'r IniSection<'r>> {
    let name = reader.text(&[of], key)?;
    let Some(section) = reader.ini.section(&name) else {
        let reason = format!("has no section [{name}]");
        reader.problem_at(of, key, reason);
        return None;
    };
    let is_taken = fixed_section(reader.kinds, &name).is_some()
        || purposes.names().any(|taken| taken.eq_ignore_ascii_case(&name));
    if is_taken && !purposes.is_ssl(&name) {
        let reason = "cannot be taken: the section of that name has another meaning";
        reader.problem_at(of, key, reason);
        return None;
    }
    if !purposes.is_ssl(&name) {
        reader.refuse_unknown(section, SSL_OPTION.keys, "an SSL option");
        purposes.listed.push((section.name, SSL_OPTION));
    }
    Some(section)
}

/// Makes the settings of connections to others, by the section of options that a key of `of` names. Who is connected to is always
/// checked, so `SSLCheckCertificate` counts for nothing here.
pub(super) fn client_tls<'r>(
    reader: &mut Reader<'r>,
    of: &str,
    key: &Key,
    purposes: &mut Purposes<'r>,
    disk: Disk,
) -> Option<ClientTls> {
    let section = section_named(reader, of, key, purposes)?;
    let own = &[section.name];
    if reader.word(own, table::SSL_METHOD) == Some("None") {
        return None;
    }
    let mut path = |key| reader.text(own, key).map(PathBuf::from);
    let ca_certificate = path(table::SSL_CA_CERTIFICATE);
    let (certificate, private_key) = (path(table::SSL_CERTIFICATE), path(table::SSL_PRIVATE_KEY));
    let private_key_password = password(reader, section.name, disk);
    let identity = match (certificate, private_key) {
        (Some(certificate), Some(private_key)) => {
            reader.files.push(private_key.clone());
            Some(ClientIdentity { certificate, private_key, private_key_password })
        }
        (Some(_), None) => {
            reader.problem_at(section.name, table::SSL_CERTIFICATE, "needs SSLPrivateKey");
            None
        }
        (None, Some(_)) => {
            reader.problem_at(section.name, table::SSL_PRIVATE_KEY, "needs SSLCertificate");
            None
        }
        (None, None) => None,
    };
    let tls = ClientTls { ca_certificate, identity };
    if disk == Disk::Real
        && let Err(error) = tls.config()
    {
        let own_key = tls.identity.as_ref().map(|identity| &identity.private_key);
        let key = match &error {
            TlsError::File { path, .. } if Some(path) == tls.ca_certificate.as_ref() => {
                table::SSL_CA_CERTIFICATE
            }
            TlsError::File { path, .. } if Some(path) == own_key => table::SSL_PRIVATE_KEY,
            _ => table::SSL_CERTIFICATE,
        };
        reader.problem_at(section.name, key, error.to_string());
    }
    Some(tls)
}

/// Reads the password of the private key.
fn password(reader: &mut Reader<'_>, section: &str, disk: Disk) -> Option<String> {
    let keys = (table::SSL_PRIVATE_KEY_PASSWORD, table::SSL_PRIVATE_KEY_PASSWORD_FILE);
    let given = secret(reader, section, keys, disk)?;
    if given.text.is_empty() {
        reader.problem_at(section, given.by, "has no password on its first line");
        return None;
    }
    Some(given.text)
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, Settings, check, load};
    use crate::kinds::Kinds;

    #[test]
    fn a_port_speaks_tls_by_the_section_that_it_names() {
        let text = "[Server]\nSSLConfig=Web\n[Service]\nServicePort=0\nSSLConfig=web\n\
                    [Web]\nSSLMethod=negotiate\nSSLCertificate=a.crt\nSSLPrivateKey=a.key\nSSLPrivateKeyPassword=x\n\
                    SSLCACertificate=ca.crt\nSSLCheckCertificate=true\n";
        let (settings, warnings) = Settings::parse(text, "t").unwrap();
        assert_eq!(warnings, []);
        let tls = settings.server.tls.unwrap();
        assert_eq!(tls.certificate.to_str(), Some("a.crt"));
        assert_eq!(tls.private_key.to_str(), Some("a.key"));
        assert_eq!(tls.private_key_password.as_deref(), Some("x"));
        assert_eq!(tls.ca_certificate.as_deref().and_then(|path| path.to_str()), Some("ca.crt"));
        assert!(tls.check_certificate);
        assert_eq!(settings.service.tls, Some(tls));

        let (settings, _) = Settings::parse(
            "[Server]\nSSLConfig=A\n[A]\nSSLMethod=None\nSSLCheckCertificate=false\n",
            "t",
        )
        .unwrap();
        assert_eq!(settings.server.tls, None);
        let files = "SSLCertificate=a\nSSLPrivateKey=b\n";
        let (settings, _) =
            Settings::parse(&format!("[Server]\nSSLConfig=A\n[A]\n{files}"), "t").unwrap();
        assert!(!settings.server.tls.unwrap().check_certificate);
        assert_eq!(settings.service.tls, None);
    }

    #[cfg(unix)]
    #[test]
    fn the_password_may_be_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let place = crate::tls::testing::Place::new();
        let files = place.options();
        let (path, password) = (at("a.cfg"), at("password"));
        let write = |more: &str| {
            let text = format!(
                "[Server]\nSSLConfig=A\n[A]\nSSLCertificate={}\nSSLPrivateKey={}\n\
                 SSLPrivateKeyPasswordFile={}\n{more}",
                files.certificate.display(),
                files.private_key.display(),
                password.display()
            );
            std::fs::write(&path, text).unwrap();
        };
        write("");
        let load = || {
            load(&Kinds::shipped(), Some(&path), &Overrides::default())
                .map_err(|error| error.to_string())
        };
        assert!(load().unwrap_err().contains("SSLPrivateKeyPasswordFile="));
        std::fs::write(&password, "s3cret \r\nmore\n").unwrap();
        let mode = |mode| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&password, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for (bits, is_told) in [(0o600, false), (0o640, false), (0o644, true)] {
            mode(bits);
            let (settings, warnings) = load().unwrap();
            let tls = settings.server.tls.unwrap();
            assert_eq!(tls.private_key_password.as_deref(), Some("s3cret"));
            assert!(settings.files.contains(&password));
            let told = warnings.iter().any(|warning| {
                let told = warning.to_string();
                told.contains("[A] SSLPrivateKeyPasswordFile names a file that every user")
            });
            assert_eq!(told, is_told, "{bits:o}: {warnings:?}");
        }
        write("SSLPrivateKeyPassword=x\n");
        let error = load().unwrap_err();
        assert!(error.contains("=***: can't stand beside SSLPrivateKeyPasswordFile"), "{error}");
        write("");
        std::fs::write(&password, "\n").unwrap();
        assert!(load().unwrap_err().contains("has no password on its first line"));
    }

    #[test]
    fn what_can_not_be_honoured_is_a_problem() {
        let files = "SSLCertificate=a\nSSLPrivateKey=b\n";
        let option = |lines: &str| format!("[Server]\nSSLConfig=A\n[A]\n{lines}");
        for (text, want) in [
            ("[Server]\nSSLConfig=A\n".to_owned(), "t:2: [Server] SSLConfig=A: has no section [A]"),
            (
                "[Server]\nSSLConfig=Process\n[Process]\nType=Echo\n".to_owned(),
                "has another meaning",
            ),
            ("[Server]\nSSLConfig=Actions\n[Actions]\n".to_owned(), "has another meaning"),
            (option("SSLCertificate=a\n"), "[A] SSLPrivateKey: is missing"),
            (option("SSLPrivateKey=a\n"), "[A] SSLCertificate: is missing"),
            (option(&format!("{files}SSLMethod=SSLV3\n")), "must be one of Negotiate, None"),
            (option(&format!("{files}SSLCheckCertificate=true\n")), "needs SSLCACertificate"),
            (
                option(&format!("{files}SSLCheckCommonName=true\n")),
                "is no key of an SSL option, so it can't be honoured",
            ),
            (
                option("SSLMethod=None\nSSLCheckCertificate=true\n"),
                "t:4: [A] SSLMethod=None: can't be together with SSLCheckCertificate=true or SSLCACertificate",
            ),
            (
                option("SSLMethod=none\nSSLCACertificate=a\n"),
                "t:4: [A] SSLMethod=none: can't be together with",
            ),
            (
                option("SSLMethod=None\nSSLCheckCertificate=maybe\n"),
                "t:5: [A] SSLCheckCertificate=maybe: must be true or false",
            ),
            ("[Server]\nSSLConfg=A\n".to_owned(), "Is SSLConfig meant?"),
        ] {
            let error = Settings::parse(&text, "t").unwrap_err().to_string();
            assert!(error.contains(want), "{text:?}: {error}");
        }
    }

    #[test]
    fn certificates_that_can_not_be_used_are_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.cfg");
        let write =
            |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        let file = |name: &str| directory.path().join(name).display().to_string();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let text = format!(
            "[Server]\nSSLConfig=A\n[Service]\nSSLConfig=A\n[A]\nSSLCertificate={}\nSSLPrivateKey={}\nSSLCACertificate={}\n",
            file("crt"),
            file("key"),
            file("ca")
        );
        write("a.cfg", &text);
        for (crt, private, ca, line, want) in [
            (
                "",
                &*key,
                "",
                6,
                format!("SSLCertificate={0}: {0}: there is no certificate", file("crt")),
            ),
            (
                &*certificate,
                "",
                "",
                7,
                format!("SSLPrivateKey={0}: {0}: there is no private", file("key")),
            ),
            (
                &certificate,
                &key,
                "",
                8,
                format!("SSLCACertificate={0}: {0}: there is no", file("ca")),
            ),
        ] {
            for (name, text) in [("crt", crt), ("key", private), ("ca", ca)] {
                write(name, text);
            }
            let error = load(&Kinds::shipped(), Some(&path), &Overrides::default()).unwrap_err();
            assert_eq!(check(&Kinds::shipped(), &path).unwrap_err(), error);
            // Both ports have them, and it is told once.
            assert_eq!(error.problems().len(), 1, "{error}");
            assert!(error.to_string().contains(&format!("a.cfg:{line}: [A] {want}")), "{error}");
        }
        write("a.cfg", text.split("SSLCA").next().unwrap());
        load(&Kinds::shipped(), Some(&path), &Overrides::default()).unwrap();
    }
}
