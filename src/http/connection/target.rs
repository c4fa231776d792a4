//! Percent-encoding of the bytes that the `http` crate refuses in a target. Pure.

/// Returns the target with the bytes encoded that the `http` crate refuses; `None` if it accepts all.
pub(super) fn encoded(target: &[u8]) -> Option<Vec<u8>> {
    let rooted = target.first() == Some(&b'/') || target == b"*" || has_scheme(target);
    let mut in_query = false;
    let clean = target.iter().all(|&byte| {
        in_query |= byte == b'?';
        is_accepted(byte, in_query)
    });
    if rooted && clean {
        return None;
    }
    let mut out = Vec::with_capacity(target.len() + 64);
    if !rooted {
        out.push(b'/');
    }
    let mut in_query = false;
    for &byte in target {
        in_query |= byte == b'?';
        if is_accepted(byte, in_query) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend([byte >> 4, byte & 0xF].map(upper_hex));
        }
    }
    Some(out)
}

fn upper_hex(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + value - 10 }
}

/// Returns true if the `http` crate (0.2) accepts this byte in a path or in a query. A `#` would end the target there.
fn is_accepted(byte: u8, in_query: bool) -> bool {
    match byte {
        b'#' | b'<' | b'>' => false,
        b'"' | b'`' => (byte == b'`') == in_query,
        _ => byte.is_ascii_graphic(),
    }
}

/// Returns true if the target is in the absolute form, such as `http://host/path`.
fn has_scheme(target: &[u8]) -> bool {
    let length = target.iter().position(|&byte| byte == b':').unwrap_or(0);
    let scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    target.first().is_some_and(u8::is_ascii_alphabetic)
        && target.iter().take(length).all(scheme)
        && target.get(length..).is_some_and(|rest| rest.starts_with(b"://"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_http::Uri;

    /// Every byte in path and query: what the `http` crate takes stays, what it refuses or cuts is encoded and then taken.
    #[test]
    fn agrees_with_the_http_crate_on_every_byte() {
        for byte in 0..=255_u8 {
            for start in ["/a", "/a?b"] {
                let target = [start.as_bytes(), &[byte], b"z"].concat();
                let taken = Uri::try_from(target.as_slice())
                    .is_ok_and(|uri| uri.to_string().as_bytes() == target);
                let mended = encoded(&target);
                assert_eq!(taken, mended.is_none(), "byte {byte:#x} after {start}");
                if let Some(mended) = mended {
                    let wanted = format!("{start}%{byte:02X}z");
                    assert_eq!(mended, wanted.as_bytes());
                    assert_eq!(Uri::try_from(mended.as_slice()).unwrap().to_string(), wanted);
                }
            }
        }
    }

    #[test]
    fn targets() {
        for (target, wanted) in [
            ("", "/"),
            ("*", "*"),
            ("*a", "/*a"),
            ("action=x", "/action=x"),
            ("?a=1", "/?a=1"),
            ("a:b", "/a:b"),
            ("http://h/a b", "http://h/a%20b"),
            ("://x", "/://x"),
            ("action=fetch&u=http://x", "/action=fetch&u=http://x"),
            ("/a%zz%20%", "/a%zz%20%"),
            ("/a#b?c#d", "/a%23b?c%23d"),
            ("/{\"a\"}|^\\[]", "/{\"a\"}|^\\[]"),
            ("/?{\"a\"}`", "/?{%22a%22}`"),
        ] {
            let mended = encoded(target.as_bytes()).unwrap_or_else(|| target.into());
            assert_eq!(String::from_utf8(mended).unwrap(), wanted, "{target}");
        }
    }
}
