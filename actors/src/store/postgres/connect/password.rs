//! The password: in the connection string, in the environment, or in a password file of libpq's form.

use std::path::{Path, PathBuf};

use super::files;

/// The source of the password.
#[derive(Clone)]
pub(super) enum Password {
    Known(Vec<u8>),
    /// Perhaps in this file, which is read whenever a connection is made.
    File(PathBuf),
    Nowhere,
}

/// The connection for which a password is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct For<'c> {
    /// A name, an address, or the directory of a Unix socket.
    pub(super) host: &'c str,
    pub(super) port: u16,
    pub(super) database: &'c str,
    pub(super) user: &'c str,
}

impl Password {
    /// Finds where it is, in libpq's order.
    pub(super) fn find(
        given: Option<&str>,
        passfile: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let of = |name| environment(name).filter(|value| !value.is_empty());
        if let Some(password) = given.map(str::to_owned).or_else(|| of("PGPASSWORD")) {
            return Self::Known(password.into_bytes());
        }
        let file = passfile.map(Path::to_owned).or_else(|| of("PGPASSFILE").map(PathBuf::from));
        let home = || of("HOME").map(|home| Path::new(&home).join(".pgpass"));
        file.or_else(home).map_or(Self::Nowhere, Self::File)
    }
}

/// Reads a password file. One that is not there has nothing in it.
///
/// # Errors
///
/// The text says why the file is not used.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let read = files::read(path, |about| {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            if about.permissions().mode() & 0o077 != 0 {
                let reason = "others than its owner may use it; it must have the mode 0600 or less";
                return Err(reason.to_owned());
            }
        }
        #[cfg(not(unix))]
        let _ = about;
        Ok(())
    });
    Ok(read?.unwrap_or_default())
}

/// Finds a password in the text of a password file: `HOST:PORT:DATABASE:USER:PASSWORD`, the first line that fits.
pub(super) fn look_up(text: &[u8], wanted: For<'_>) -> Option<Vec<u8>> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"#") {
            return None;
        }
        let port = wanted.port.to_string();
        // A socket's directory may be written out, too.
        let local = wanted.host.starts_with('/').then(|| after(line, b"localhost")).flatten();
        let rest = local.or_else(|| after(line, wanted.host.as_bytes()))?;
        let rest = after(rest, port.as_bytes())?;
        let rest = after(rest, wanted.database.as_bytes())?;
        let rest = after(rest, wanted.user.as_bytes())?;
        let password = unescaped(rest);
        (!password.is_empty()).then_some(password)
    })
}

/// Returns what follows a field of a line, if that is `*` or this value.
fn after<'l>(line: &'l [u8], value: &[u8]) -> Option<&'l [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let (mut rest, mut value) = (line, value);
    loop {
        let (first, behind) = rest.split_first()?;
        if (*first, value) == (b':', b"") {
            return Some(behind);
        }
        let (got, behind) = if *first == b'\\' { behind.split_first()? } else { (first, behind) };
        let (want, more) = value.split_first()?;
        if got != want {
            return None;
        }
        (rest, value) = (behind, more);
    }
}

/// Takes away the backslashes that keep the meaning from the next character. A colon needs none here.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.iter().copied();
    let mut password = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => password.extend(bytes.next()),
            byte => password.push(byte),
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: For<'_> = For { host: "db", port: 5432, database: "d", user: "u" };

    fn found(text: &str, wanted: For<'_>) -> Option<String> {
        look_up(text.as_bytes(), wanted).map(|password| String::from_utf8(password).unwrap())
    }

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let socket = For { host: "/run/pg", ..DB };
        for (text, wanted, want) in [
            ("db:5432:d:u:p", DB, Some("p")),
            ("db:5432:d:u:p\r\n", DB, Some("p")),
            ("# db:5432:d:u:p\nx:*:*:*:q\n*:*:*:*:r\ndb:5432:d:u:s", DB, Some("r")),
            ("db:5433:d:u:p", DB, None),
            ("db:5432:e:u:p", DB, None),
            ("db:5432:d:v:p", DB, None),
            ("dbx:5432:d:u:p", DB, None),
            ("d:5432:d:u:p", DB, None),
            ("db:5432:d:u:", DB, None),
            ("db:5432:d:u", DB, None),
            ("", DB, None),
            ("db:*:*:*:a:b\\\\c\\:d", DB, Some("a:b\\c:d")),
            ("*x:*:*:*:p", DB, None),
            ("localhost:*:*:*:p", socket, Some("p")),
            ("/run/pg:*:*:*:p", socket, Some("p")),
            ("localhost:*:*:*:p", DB, None),
            ("\\:\\:1:*:*:*:p", For { host: "::1", ..DB }, Some("p")),
            // A colon needs its backslash only where it could end the field.
            ("::1:*:*:*:p", For { host: "::1", ..DB }, Some("p")),
            ("*:*:*:a\\\\b:p", For { user: "a\\b", ..DB }, Some("p")),
        ] {
            assert_eq!(found(text, wanted).as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn it_is_looked_for_in_libpqs_order() {
        let find = |given, passfile: Option<&str>, names: &[(&str, &str)]| {
            let variable = |name: &str| {
                names.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned())
            };
            match Password::find(given, passfile.map(Path::new), variable) {
                Password::Known(password) => String::from_utf8(password).unwrap(),
                Password::File(path) => format!("in {}", path.display()),
                Password::Nowhere => "nowhere".to_owned(),
            }
        };
        let all = [("PGPASSWORD", "env"), ("PGPASSFILE", "/e"), ("HOME", "/h")];
        assert_eq!(find(Some("string"), Some("/f"), &all), "string");
        assert_eq!(find(None, Some("/f"), &all), "env");
        assert_eq!(find(None, Some("/f"), &all[1..]), "in /f");
        assert_eq!(find(None, None, &all[1..]), "in /e");
        assert_eq!(find(None, None, &all[2..]), "in /h/.pgpass");
        assert_eq!(find(None, None, &[("PGPASSWORD", "")]), "nowhere");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pass");
        assert_eq!(read(&path), Ok(Vec::new()));
        std::fs::write(&path, "x").unwrap();
        for (mode, is_used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_ok(), is_used, "{mode:o}");
        }
        assert!(read(directory.path()).unwrap_err().contains("no regular file"));
    }
}
