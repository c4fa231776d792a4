//! Files that can be used, those that can't, and those that change.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::symlink;

use chrono::TimeDelta;
use rcgen::{DnType, SanType, date_time_ymd};

use super::testing::{Authority, Place, ada, early, expired};
use super::watch::{Notice, Watcher};
use super::*;

/// Why these options can't be used: the name of the file, and the reason.
fn refusal(options: &TlsOptions) -> (String, Problem) {
    match Tls::load(options.clone()).unwrap_err() {
        TlsError::File { path, problem } => {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), problem)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn keys_of_each_kind_are_taken() {
    let place = Place::new();
    place.openssl("genrsa -traditional -out rsa.key 2048");
    place.openssl("req -x509 -key rsa.key -subj /CN=localhost -days 3 -out rsa.pem");
    place.openssl("pkey -in rsa.key -out rsa8.key");
    place.openssl("pkey -in rsa.key -outform DER -out rsa.der");
    place.openssl("rsa -in rsa.key -traditional -outform DER -out rsa1.der");
    place.openssl("x509 -in rsa.pem -outform DER -out rsa.crt");
    place.openssl("ecparam -name prime256v1 -genkey -out ec.key");
    place.openssl("req -x509 -key ec.key -subj /CN=localhost -days 3 -out ec.pem");
    place.openssl("genpkey -algorithm ed25519 -out ed.key");
    place.openssl("req -x509 -key ed.key -subj /CN=localhost -days 3 -out ed.pem");
    for method in ["aes-256-cbc", "aes-128-cbc", "des3"] {
        place.openssl(&format!(
            "pkcs8 -topk8 -v2 {method} -passout pass:secret -in ec.key -out {method}.key"
        ));
    }
    place.openssl("pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1 -passout pass:secret -in ec.key -out sha1.key");
    place.openssl("pkcs8 -topk8 -scrypt -passout pass:secret -in ec.key -out scrypt.key");
    place.openssl("pkcs8 -topk8 -passout pass:secret -in ec.key -outform DER -out encrypted.der");
    let both = [fs::read(place.path("ec.pem")).unwrap(), fs::read(place.path("ec.key")).unwrap()];
    place.write("both.pem", both.concat());
    let returned = String::from_utf8(both.concat()).unwrap().replace('\n', "\r\n");
    place.write("returned.pem", format!("\u{feff}Some words before: the sections\r\n{returned}"));
    assert!(fs::read_to_string(place.path("rsa.key")).unwrap().contains("BEGIN RSA PRIVATE KEY"));
    assert!(fs::read_to_string(place.path("ec.key")).unwrap().contains("BEGIN EC PRIVATE KEY"));
    for (certificate, key, password) in [
        ("rsa.pem", "rsa.key", None),
        ("rsa.pem", "rsa8.key", None),
        ("rsa.pem", "rsa8.key", Some("not needed")),
        ("rsa.crt", "rsa.der", None),
        ("rsa.crt", "rsa1.der", None),
        ("ec.pem", "ec.key", None),
        ("ed.pem", "ed.key", None),
        ("both.pem", "both.pem", None),
        ("returned.pem", "returned.pem", None),
        ("ec.pem", "aes-256-cbc.key", Some("secret")),
        ("ec.pem", "aes-128-cbc.key", Some("secret")),
        ("ec.pem", "des3.key", Some("secret")),
        ("ec.pem", "sha1.key", Some("secret")),
        ("ec.pem", "scrypt.key", Some("secret")),
        ("ec.pem", "encrypted.der", Some("secret")),
    ] {
        let options = TlsOptions {
            certificate: place.path(certificate),
            private_key: place.path(key),
            private_key_password: password.map(str::to_owned),
            ..place.options()
        };
        Tls::load(options).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

#[test]
fn each_reason_for_which_a_file_can_not_be_used_is_told_with_the_file() {
    let place = Place::new();
    let text = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    place.write("empty", "");
    place.write("text", "no certificate, and no key");
    place.write("large", vec![b'x'; 5 << 20]);
    place.write("cut.pem", &text("server.pem")[..200]);
    place.write("cut.key", &text("server.key")[..100]);
    place.write("junk.pem", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    place.write("no64.pem", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n");
    place.write("junk.key", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n");
    place.write("other.key", place.authority.for_server().key.serialize_pem());
    for (name, describe) in [("expired", expired as fn(&mut _)), ("early", early)] {
        let pair = place.authority.sign(describe);
        place.write(&format!("{name}.pem"), pair.pem());
        place.write(&format!("{name}.key"), pair.key.serialize_pem());
    }
    place.openssl("ecparam -name prime256v1 -genkey -noout -out ec.key");
    place.openssl("ec -aes256 -passout pass:secret -in ec.key -out old.key");
    place.openssl("pkcs8 -topk8 -passout pass:secret -in ec.key -out encrypted.key");
    place.openssl("pkcs8 -topk8 -v1 PBE-SHA1-3DES -passout pass:secret -in ec.key -out v1.key");
    place.openssl("genpkey -algorithm x25519 -out exchange.key");

    let (no_key, missing) = (Problem::NoKey, Problem::PasswordMissing);
    let other_key = Problem::OtherKey(place.path("server.pem"));
    let date = |text: &str| format!("{text} 00:00:00 UTC").parse().unwrap();
    for (certificate, key, password, expected) in [
        ("empty", "server.key", None, ("empty", Problem::NoCertificate)),
        ("text", "server.key", None, ("text", Problem::NoCertificate)),
        ("server.key", "server.key", None, ("server.key", Problem::NoCertificate)),
        ("large", "server.key", None, ("large", Problem::TooLarge(5 << 20))),
        (".", "server.key", None, ("", Problem::NoFile)),
        ("server.pem", "empty", None, ("empty", no_key.clone())),
        ("server.pem", "text", None, ("text", no_key.clone())),
        ("server.pem", "server.pem", None, ("server.pem", no_key)),
        ("server.pem", "other.key", None, ("other.key", other_key)),
        ("expired.pem", "expired.key", None, ("expired.pem", Problem::Expired(date("2020-01-02")))),
        ("early.pem", "early.key", None, ("early.pem", Problem::NotYetValid(date("3000-01-02")))),
        ("server.pem", "old.key", Some("secret"), ("old.key", Problem::OldEncryption)),
        ("server.pem", "encrypted.key", None, ("encrypted.key", missing)),
        ("server.pem", "encrypted.key", Some("x"), ("encrypted.key", Problem::WrongPassword)),
    ] {
        let options = TlsOptions {
            certificate: place.path(certificate),
            private_key: place.path(key),
            private_key_password: password.map(str::to_owned),
            ..place.options()
        };
        let (name, problem) = refusal(&options);
        assert_eq!(problem, expected.1, "{certificate} {key}");
        assert!(expected.0.is_empty() || name == expected.0, "{name}");
    }
    // Where the system or another crate says why.
    for (certificate, key, start) in [
        ("none.pem", "server.key", "none.pem: can't be read: No such file"),
        ("server.pem", "none.key", "none.key: can't be read: No such file"),
        ("cut.pem", "server.key", "cut.pem: can't be used: the section CERTIFICATE has no end"),
        ("server.pem", "cut.key", "cut.key: can't be used: the section PRIVATE KEY has no end"),
        ("junk.pem", "server.key", "junk.pem: can't be used: not a certificate: "),
        ("no64.pem", "server.key", "no64.pem: can't be used: the section CERTIFICATE is no base64"),
        ("server.pem", "junk.key", "junk.key: can't be used: "),
        ("server.pem", "exchange.key", "exchange.key: can't be used: "),
        ("server.pem", "v1.key", "v1.key: the private key is encrypted by a method that is not"),
    ] {
        let options = TlsOptions {
            certificate: place.path(certificate),
            private_key: place.path(key),
            private_key_password: Some("secret".to_owned()),
            ..place.options()
        };
        let error = Tls::load(options).unwrap_err().to_string();
        assert!(error.contains(&format!("/{start}")), "{error}");
    }
}

#[test]
fn a_certificate_that_nothing_can_check_is_not_required() {
    let place = Place::new();
    let options = TlsOptions { check_certificate: true, ..place.options() };
    assert_eq!(Tls::load(options).unwrap_err(), TlsError::NoAuthority);
    for (name, bytes, problem) in [
        ("empty", "", "there is no certificate in it"),
        ("cut", "-----BEGIN CERTIFICATE-----\n", "can't be used: "),
        (
            "junk",
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "can't be used: ",
        ),
    ] {
        let ca_certificate = Some(place.write(name, bytes));
        let error = Tls::load(TlsOptions { ca_certificate, ..place.asking(true) }).unwrap_err();
        assert!(error.to_string().contains(&format!("/{name}: {problem}")), "{error}");
    }
    for check in [true, false] {
        Tls::load(place.asking(check)).unwrap();
    }
}

#[test]
fn authorities_that_are_not_valid_now_are_left_out() {
    let place = Place::new();
    let until = |name, year| Authority::with(name, |ca| ca.not_after = date_time_ymd(year, 1, 2));
    let (old, later) = (until("Old", 2020), until("Later", 3000));
    let early = Authority::with("Early", |ca| ca.not_before = date_time_ymd(2900, 1, 2));
    let date = |text: &str| format!("{text} 00:00:00 UTC").parse::<DateTime<Utc>>().unwrap();
    let write = |all: &[&Authority]| {
        let all: String = all.iter().map(|authority| authority.pem.as_str()).collect();
        place.write("ca.pem", all);
    };
    let read = |at| Loaded::read(place.asking(true), at);
    let left_out = |at| read(at).map(|loaded| loaded.authorities.left_out);
    let (is_old, is_early) = (
        ("CN=Old".to_owned(), Problem::Expired(date("2020-01-02"))),
        ("CN=Early".to_owned(), Problem::NotYetValid(date("2900-01-02"))),
    );
    write(&[&old, &later, &early]);
    assert_eq!(left_out(now()), Ok(vec![is_old.clone(), is_early]));
    assert_eq!(left_out(date("2950-01-02")), Ok(vec![is_old.clone()]));
    // What was read now is read again when that changes, and is another thing for clients then.
    let first = read(now()).unwrap();
    assert_eq!(first.authorities.outdated_at, Some(date("2900-01-02")));
    assert_eq!(first.authorities.end, Some(date("3000-01-02")));
    assert_ne!(first.digest, read(date("2950-01-02")).unwrap().digest);
    let tls = Tls::load(place.asking(true)).unwrap();
    let is_outdated = |at| tls.has_outdated_authorities(date(at));
    assert_eq!(["2900-01-02", "2900-01-03"].map(is_outdated), [false, true]);

    write(&[&old]);
    let (subject, problem) = is_old;
    let problem = Problem::NoValidAuthority(subject, Box::new(problem));
    assert_eq!(refusal(&place.asking(false)), ("ca.pem".to_owned(), problem));
    // Any other certificate among them is a mistake.
    place.write("ca.pem", place.authority.pem.clone() + &place.authority.for_ada().pem());
    let problem = Problem::NotAnAuthority("CN=Ada,O=Ours".to_owned());
    assert_eq!(refusal(&place.asking(true)), ("ca.pem".to_owned(), problem));
}

#[test]
fn the_password_is_not_shown() {
    let place = Place::new();
    let private_key_password = Some("secret".to_owned());
    let options = TlsOptions { private_key_password, ..place.options() };
    let tls = Tls::load(options.clone()).unwrap();
    let shown = format!("{options:?} {tls:?} {:?}", Tls::load(place.asking(true)));
    assert!(!shown.contains("secret"), "{shown}");
}

#[cfg(unix)]
#[test]
fn a_key_that_everybody_may_read_is_noticed() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let key = place.path("server.key");
    for (mode, expected) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(files::is_readable_by_all(&key), expected, "{mode:o}");
    }
}

#[test]
fn a_client_is_known_by_its_subject_and_by_its_other_names() {
    let authority = Authority::new("Authority");
    let names = |pair: testing::Pair| certificate::read(pair.certificate.der()).unwrap().names;
    assert_eq!(
        names(authority.for_ada()),
        [
            "CN=Ada,O=Ours",
            "CN=Ada, O=Ours",
            "O=Ours, CN=Ada",
            "O = Ours, CN = Ada",
            "Ada",
            "ada@ours.example",
            "urn:ours:ada",
            "192.0.2.7",
        ]
    );
    // No name passes for the subject of somebody else.
    let odd = authority.sign(|params| {
        params.distinguished_name.push(DnType::CommonName, "CN=Ada,O=Ours");
        params.subject_alt_names = ["cn = Ada", "O=Ours", "1.2=3", "Ada\0", "", "https://x/?a=b"]
            .map(|name| SanType::URI(name.try_into().unwrap()))
            .to_vec();
    });
    let expected = ["CN=CN=Ada\\,O=Ours", "CN = CN=Ada\\,O=Ours", "https://x/?a=b"];
    assert_eq!(names(odd), expected);
    let escaped = authority.sign(|params| {
        let organization = " #\"a\"+<b>;\\ \n";
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.distinguished_name.push(DnType::CustomDnType(vec![1, 2, 3]), "x");
        params.distinguished_name.push(DnType::CommonName, "Zoë");
        params.subject_alt_names = Vec::new();
    });
    let first = &names(escaped)[0];
    assert_eq!(first, "CN=Zoë,1.2.3=#0C0178,O=\\ #\\\"a\\\"\\+\\<b\\>\\;\\\\ \\0A");
}

/// `openssl` prints a subject so that it can be copied into the configuration.
#[test]
fn a_subject_is_spelled_as_openssl_prints_it() {
    let place = Place::new();
    let pair = place.authority.sign(|params| {
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::StateOrProvinceName, "Somewhere");
        params.distinguished_name.push(DnType::OrganizationalUnitName, "A, B");
        ada(params);
    });
    let names = certificate::read(pair.certificate.der()).unwrap().names;
    place.write("a.pem", pair.pem());
    let printed = place.openssl("x509 -in a.pem -noout -subject -nameopt RFC2253");
    let subject = printed.trim().strip_prefix("subject=").unwrap().to_owned();
    assert!(names.contains(&subject), "{subject}: {names:?}");
    place.write("ada.pem", place.authority.for_ada().pem());
    let printed = place.openssl("x509 -in ada.pem -noout -subject");
    let subject = printed.trim().strip_prefix("subject=").unwrap();
    assert!(["O = Ours, CN = Ada", "O=Ours, CN=Ada"].contains(&subject), "{subject}");
}

#[test]
fn changed_files_are_read_again_and_bad_ones_change_nothing() {
    let place = Place::new();
    let tls = Tls::load(place.options()).unwrap();
    let first = tls.config();
    assert_eq!(tls.reload(), Ok(false));
    // The same bytes in another file.
    place.write("server.key", fs::read(place.path("server.key")).unwrap());
    assert_eq!(tls.reload(), Ok(false));
    assert!(Arc::ptr_eq(&first, &tls.config()), "clients resume their sessions");
    place.write("server.pem", place.authority.for_server().pem());
    assert!(matches!(tls.reload(), Err(TlsError::File { problem: Problem::OtherKey(_), .. })));
    assert!(Arc::ptr_eq(&first, &tls.config()));
    place.renew(&place.authority.for_server());
    assert_eq!(tls.clone().reload(), Ok(true));
    assert!(!Arc::ptr_eq(&first, &tls.config()));
    place.renew(&place.authority.sign(expired));
    assert!(tls.reload().is_err());
}

#[test]
fn a_change_of_the_files_is_noticed() {
    let place = Place::new();
    let tls = Tls::load(place.asking(false)).unwrap();
    let mut watcher = Watcher::new(tls);
    let mut look = || watcher.look(now());
    let is_taken = |notices: &[Notice]| matches!(notices, [Notice::Taken(what)] if what.contains("CN=localhost"));
    assert_eq!(look(), []);

    place.renew(&place.authority.for_server());
    let notices = look();
    assert!(is_taken(&notices), "{notices:?}");
    assert_eq!(look(), []);

    // The authority alone.
    place.write("ca.pem", Authority::new("Other").pem);
    assert!(is_taken(&look()));

    // One after the other: no error is told unless it stays.
    let pair = place.authority.for_server();
    place.write("server.pem", pair.pem());
    assert_eq!(look(), []);
    place.write("server.key", pair.key.serialize_pem());
    assert!(is_taken(&look()));

    // Once for a change.
    place.write("server.key", "");
    assert_eq!(look(), []);
    let error = TlsError::File { path: place.path("server.key"), problem: Problem::NoKey };
    assert_eq!(look(), [Notice::Refused(error.clone())]);
    assert_eq!((look(), look()), (vec![], vec![]));
    place.write("server.key", " ");
    assert_eq!((look(), look(), look()), (vec![], vec![Notice::Refused(error)], vec![]));

    // Put back.
    place.write("server.key", pair.key.serialize_pem());
    assert!(matches!(look().as_slice(), [Notice::Same(_)]));
    assert_eq!(look(), []);
    fs::remove_file(place.path("server.pem")).unwrap();
    assert_eq!(look(), []);
    place.write("server.pem", pair.pem());
    assert_eq!((look(), look()), (vec![], vec![]));
}

#[test]
fn other_options_are_taken_and_followed_and_bad_ones_change_nothing() {
    let place = Place::new();
    let tls = Tls::load(place.options()).unwrap();
    let mut watcher = Watcher::new(tls.clone());
    let (first, options) = (tls.config(), tls.options());
    let other = place.authority.for_server();
    place.write("other.pem", other.pem());
    place.write("other.key", other.key.serialize_pem());
    let moved = |options: TlsOptions| TlsOptions {
        certificate: place.path("other.pem"),
        private_key: place.path("other.key"),
        ..options
    };
    for bad in [
        TlsOptions { certificate: place.path("other.pem"), ..place.options() },
        TlsOptions { private_key: place.path("none.key"), ..place.options() },
        TlsOptions { ca_certificate: Some(place.path("none.pem")), ..place.options() },
        TlsOptions { check_certificate: true, ..place.options() },
    ] {
        assert_eq!(tls.reload_with(bad.clone()).unwrap_err(), Tls::check(&bad).unwrap_err());
        assert!(Arc::ptr_eq(&first, &tls.config()), "{bad:?}");
        assert_eq!((tls.options(), watcher.look(now())), (Arc::clone(&options), vec![]));
    }
    // Each of these is a change for clients.
    for (good, is_change) in [
        (place.options(), false),
        (moved(place.options()), true),
        (moved(place.asking(false)), true),
        (moved(place.asking(true)), true),
        (moved(place.asking(true)), false),
        (moved(place.asking(false)), true),
    ] {
        Tls::check(&good).unwrap();
        assert_eq!(tls.reload_with(good.clone()), Ok(is_change), "{good:?}");
        assert_eq!((tls.options(), watcher.look(now())), (Arc::new(good), vec![]));
    }
    // The files of before are nobody's now.
    place.renew(&place.authority.for_server());
    assert_eq!(watcher.look(now()), []);
    let renewed = place.authority.for_server();
    place.write("other.key", renewed.key.serialize_pem());
    place.write("other.pem", renewed.pem());
    assert!(matches!(watcher.look(now()).as_slice(), [Notice::Taken(_)]));
    // The same bytes elsewhere change nothing but the paths.
    for end in ["pem", "key"] {
        fs::copy(place.path(&format!("other.{end}")), place.path(&format!("same.{end}"))).unwrap();
    }
    let (certificate, private_key) = (place.path("same.pem"), place.path("same.key"));
    let same = TlsOptions { certificate, private_key, ..place.asking(false) };
    let config = tls.config();
    assert_eq!(tls.reload_with(same.clone()), Ok(false));
    assert!(Arc::ptr_eq(&config, &tls.config()), "sessions can't be resumed");
    assert_eq!(*tls.options(), same);
}

/// Kubernetes replaces the files of a secret by a link to a directory, and certbot links single files.
#[cfg(unix)]
#[test]
fn a_link_that_points_elsewhere_is_a_change() {
    let place = Place::new();
    for name in ["one", "two"] {
        let pair = place.authority.for_server();
        fs::create_dir(place.path(name)).unwrap();
        fs::write(place.path(name).join("tls.crt"), pair.pem()).unwrap();
        fs::write(place.path(name).join("tls.key"), pair.key.serialize_pem()).unwrap();
    }
    let point = |at: &str| {
        symlink(at, place.path("fresh")).unwrap();
        fs::rename(place.path("fresh"), place.path("data")).unwrap();
    };
    point("one");
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("data/{name}"), place.path(name)).unwrap();
    }
    let (certificate, private_key) = (place.path("tls.crt"), place.path("tls.key"));
    let tls = Tls::load(TlsOptions { certificate, private_key, ..place.options() }).unwrap();
    let mut watcher = Watcher::new(tls);
    assert_eq!(watcher.look(now()), []);
    for at in ["two", "one"] {
        point(at);
        assert!(matches!(watcher.look(now()).as_slice(), [Notice::Taken(_)]), "{at}");
    }
}

#[test]
fn the_end_of_a_certificate_is_told_once_a_day() {
    let place = Place::new();
    let tls = Tls::load(place.options()).unwrap();
    let mut watcher = Watcher::new(tls.clone());
    let end = tls.expires_at();
    let mut look = |left: TimeDelta| watcher.look(end - left);
    let day = TimeDelta::days(1);
    assert_eq!(look(day * 15), []);
    assert!(matches!(look(day * 14).as_slice(), [Notice::Expires(_)]));
    assert_eq!(look(day * 14 - day / 2), []);
    assert!(matches!(look(day * 13).as_slice(), [Notice::Expires(_)]));
    assert_eq!(look(day * 12 + day / 2), []);
    assert!(matches!(look(-day).as_slice(), [Notice::Expired(_)]));
}

#[test]
fn a_watch_takes_new_files_by_itself() {
    let place = Place::new();
    let tls = Tls::load(place.options()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let watching = tokio::spawn(tls.clone().watch(std::time::Duration::from_millis(5)));
        let first = tls.config();
        place.renew(&place.authority.for_server());
        let taken = async {
            while Arc::ptr_eq(&first, &tls.config()) {
                tokio::task::yield_now().await;
            }
        };
        let bound = std::time::Duration::from_secs(20);
        tokio::time::timeout(bound, taken).await.expect("new files are taken");
        watching.abort();
        place.write("server.key", "");
        tls.reload_and_log(place.options()).await;
    });
}
