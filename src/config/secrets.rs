//! Values that are not for other eyes: passwords, keys, and variables for programs. The log and `actiond config` mask them. Each
//! single one may be given by a file, which a key of the same name with `File` behind it names.

use std::path::{Path, PathBuf};

use actiond_actors::secrets::MASK;
pub(super) use actiond_actors::secrets::SecretNames;
use actiond_actors::store::postgres::ConnectionString;

use super::disk::Disk;
use super::key::Key;
use super::reader::Reader;
use super::table::{
    CONNECTION_STRING, CONNECTION_STRING_FILE, KEYS, SSL_PRIVATE_KEY_PASSWORD,
    SSL_PRIVATE_KEY_PASSWORD_FILE,
};
use crate::access::KEY_PREFIX;
use crate::aci::words::{nearest, quoted_list, shorten};

/// The text that is shown in place of a secret.
pub(super) const SECRET: &str = MASK;

/// Names of keys whose values are keys for other servers, and names that are like those and no secret.
const FOREIGN_KEYS: [&str; 4] = ["ForwardKey", "BearerToken", "Secret", "AdminSecret"];
const NO_FOREIGN_KEYS: [&str; 7] = [
    "AdminSecretFile",
    "ForwardKeyFile",
    "ForwardTo",
    "ForwardMarker",
    "BearerTokenFile",
    "SecretFile",
    "SecretParameters",
];

/// The key of headers, whose values may be secret.
const HEADERS: &str = "Headers";

/// The key of variables for programs, and one that is like it and no secret.
const VARIABLE: &str = "Environment";
const NO_VARIABLE: &str = "InheritEnvironment";

/// A secret that the configuration gives.
#[derive(Debug)]
pub(super) struct GivenSecret {
    pub(super) text: String,
    /// The key that gives it, for messages: that of the text, or that of the file.
    pub(super) by: &'static Key,
    pub(super) is_of_file: bool,
}

/// Reads a secret: the value of `key`, or the first line of the file that `file_key` names. `None` if neither is given or the file
/// can't be used, which is a problem, or where the disk is not looked at. The contents of the file are for the server alone.
pub(super) fn secret(
    reader: &mut Reader<'_>,
    section: &str,
    (key, file_key): (&'static Key, &'static Key),
    disk: Disk,
) -> Option<GivenSecret> {
    let given = reader.text(&[section], key);
    let file = reader.text(&[section], file_key).map(PathBuf::from);
    let Some(file) = file else {
        return given.map(|text| GivenSecret { text, by: key, is_of_file: false });
    };
    reader.files.push(file.clone());
    if given.is_some() {
        reader.problem_at(section, key, format!("can't stand beside {}", file_key.name));
        return None;
    }
    if disk == Disk::Unknown {
        return None;
    }
    if is_for_everybody(&file) {
        reader.warn_at(section, file_key, "names a file that every user of this machine may read");
    }
    match disk.read_small(&file) {
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let text = text.lines().next().unwrap_or_default().trim().to_owned();
            Some(GivenSecret { text, by: file_key, is_of_file: true })
        }
        Err(why) => {
            reader.problem_at(section, file_key, format!("can't be used: {why}"));
            None
        }
    }
}

#[cfg(unix)]
fn is_for_everybody(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_for_everybody(_: &Path) -> bool {
    false
}

/// Returns what is shown of a value that is not for other eyes, and `None` for any other value. Of a variable its name is shown.
pub(super) fn masked(key: &str, value: &str) -> Option<String> {
    if nearest(key, [CONNECTION_STRING.name, CONNECTION_STRING_FILE.name])
        == Some(CONNECTION_STRING.name)
    {
        return match value.parse::<ConnectionString>() {
            Ok(string) => string.has_password().then(|| string.to_string()),
            // Nobody knows where the password begins and ends.
            Err(_) => (!value.is_empty()).then(|| SECRET.to_owned()),
        };
    }
    if nearest(key, [HEADERS]).is_some() && !value.is_empty() {
        return Some(match quoted_list(value) {
            Ok(items) => items.iter().map(|item| without_value(item)).collect::<Vec<_>>().join(","),
            Err(_) => SECRET.to_owned(),
        });
    }
    match value.split_once('=') {
        Some((name, text)) if is_of_variables(key) || is_number(key) => {
            (!text.is_empty()).then(|| format!("{}={SECRET}", shorten(name)))
        }
        // It may be one whose name was forgotten.
        None if is_of_variables(key) && !value.is_empty() => Some(SECRET.to_owned()),
        _ => is_secret(key, value).then(|| SECRET.to_owned()),
    }
}

/// Returns the name of a header, with `***` for its value.
fn without_value(header: &str) -> String {
    match header.split_once(':') {
        Some((name, _)) => format!("{}: {SECRET}", shorten(name.trim())),
        // It may be a value whose name was forgotten.
        None => SECRET.to_owned(),
    }
}

/// Returns true for a key of variables, which may have a number behind it.
fn is_of_variables(key: &str) -> bool {
    let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
    nearest(name, [VARIABLE, NO_VARIABLE]) == Some(VARIABLE)
}

/// Returns true for a key of a numbered list. Names in such lists have no `=`.
fn is_number(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns true if the value of a key, also of a misspelt one, is not for other eyes: that of a password or of a key for another
/// server, an address with a password in it, and a list of keys with an item that is neither a hash nor looks like a path, so
/// that it is probably the key itself.
fn is_secret(key: &str, value: &str) -> bool {
    let foreign = nearest(key, FOREIGN_KEYS.into_iter().chain(NO_FOREIGN_KEYS));
    let passwords = [SSL_PRIVATE_KEY_PASSWORD.name, SSL_PRIVATE_KEY_PASSWORD_FILE.name];
    let lower = key.to_ascii_lowercase();
    let is_password = lower.contains("password") && !lower.ends_with("file")
        || nearest(key, passwords) == Some(SSL_PRIVATE_KEY_PASSWORD.name)
        || foreign.is_some_and(|name| FOREIGN_KEYS.contains(&name));
    let is_keys = || nearest(key, [KEYS.name]).is_some();
    !value.is_empty()
        && (is_password
            || has_password(value)
            || is_keys() && value.split(',').any(is_probably_key))
}

/// Returns true if a value names addresses of which one has a password, as `http://NAME:PASSWORD@HOST` has.
fn has_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let host = rest.split(['/', '?', '#', ',']).next().unwrap_or_default();
        host.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

/// Returns true if an item of `Keys` is neither a hash, though perhaps an incomplete one, nor looks like a path.
pub(super) fn is_probably_key(item: &str) -> bool {
    let item = item.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    let start = item.get(..KEY_PREFIX.len());
    let rest = start.filter(|start| start.eq_ignore_ascii_case(KEY_PREFIX));
    let is_hash = rest
        .and_then(|_| item.get(KEY_PREFIX.len()..))
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    !item.is_empty() && !is_hash && !item.contains(['/', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known() {
        for (key, value, want) in [
            ("SSLPrivateKeyPassword", "x", true),
            ("sslprivatekeypasword", "x", true),
            ("Password", "x", true),
            ("SSLPrivateKeyPasswordFile", "x", false),
            ("sslprivatekeypasswrdfile", "x", false),
            ("SSLPrivateKey", "x", false),
            ("ForwardKey", "x", true),
            ("forwardkay", "x", true),
            ("ForwardKeyFile", "x", false),
            ("ForwardMarker", "Idempotency-Key", false),
            ("ForwardTo", "http://u:p@h:1", true),
            ("ForwardTo", "http://h:1,http://u:p@h:1", true),
            ("ForwardTo", "http://[::1]:1", false),
            ("ForwardTo", "x", false),
            ("Keys", "Z0l4-_", true),
            ("Key", "\"Z0l4\"", true),
            ("Keys", "sha256:12,Z0l4", true),
            ("Keys", "sha256:Z0l4", true),
            ("Keys", "SHA256:12, ./a,b.txt,/c/d,", false),
            ("Keys", "", false),
            ("SSLPrivateKeyPassword", "", false),
            ("Clients", "Z0l4", false),
            ("BearerToken", "x", true),
            ("BearerTokenFile", "x", false),
            ("Secret", "whsec_x", true),
            ("SecretFile", "x", false),
            ("SecretParameters", "Pin", false),
            ("BasicPassword", "x", true),
            ("BasicPasswordFile", "x", false),
            ("ProxyPassword", "x", true),
            ("BasicUser", "x", false),
        ] {
            assert_eq!(is_secret(key, value), want, "{key}={value}");
        }
    }

    #[test]
    fn of_a_connection_string_the_password_is_not_shown() {
        for (key, value, shown) in [
            ("ConnectionString", "postgres://u:s3/cret@h/d", Some("***")),
            (
                "ConnectionString",
                "postgres://u:s3%2Fcret@h/d",
                Some("user=u password=*** host=h dbname=d"),
            ),
            ("connectionstring", "host=h password='s3cret'", Some("host=h password=***")),
            ("ConectionString", "host=h password=s3cret", Some("host=h password=***")),
            ("ConnectionString", "host=h pasword=s3cret", Some("***")),
            ("ConnectionString", "postgres://u@h/d", None),
            ("ConnectionString", "", None),
            ("ConnectionStringFile", "./host=h", None),
        ] {
            assert_eq!(masked(key, value).as_deref(), shown, "{key}={value}");
        }
    }

    #[test]
    fn of_a_header_only_the_name_is_shown() {
        for (key, value, shown) in [
            ("Headers", "X-Key: s3cret", Some("X-Key: ***")),
            ("headers", "X-Key: a,\"X-More: b,c\"", Some("X-Key: ***,X-More: ***")),
            ("Header", "X-Key: s3cret", Some("X-Key: ***")),
            ("Headers", "s3cret", Some("***")),
            ("Headers", "\"s3cret", Some("***")),
            ("Headers", "", None),
        ] {
            assert_eq!(masked(key, value).as_deref(), shown, "{key}={value}");
        }
    }

    #[test]
    fn of_a_variable_only_the_name_is_shown() {
        for (key, value, shown) in [
            ("Environment", "PGPASSWORD=x=y", Some("PGPASSWORD=***")),
            ("environment12", "A=x", Some("A=***")),
            ("Enviroment", "A=x", Some("A=***")),
            ("Enviroment0", "A= x", Some("A=***")),
            ("7", "A=x", Some("A=***")),
            ("Environment", "A=", None),
            ("Environment", "s3cret", Some("***")),
            ("Environment", "", None),
            ("InheritEnvironment", "true", None),
            ("7", "Convert", None),
            ("Command", "a --b=c", None),
            ("SSLPrivateKeyPassword", "a=b", Some("***")),
        ] {
            assert_eq!(masked(key, value).as_deref(), shown, "{key}={value}");
        }
    }
}
