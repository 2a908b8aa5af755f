//! The parameters of headers such as `form-data; name="image"; filename="a; b.png"`.
//!
//! More is understood than the standards permit: values without quotation marks that need some, and
//! blanks around everything.

/// What stands before the parameters.
pub fn essence(header: &[u8]) -> &[u8] {
    cut(header).0.trim_ascii()
}

/// The value of the parameter with the name, in whatever case; `None` where there is none, a quotation does not end before
/// it, or there are several, of which another reader could take another one.
pub fn parameter(header: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut found =
        parameters(header).filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
    let (_, value) = found.next()?;
    found.next().is_none().then_some(value)
}

/// Names and values, up to a quotation that does not end.
fn parameters(header: &[u8]) -> impl Iterator<Item = (&[u8], Vec<u8>)> {
    let mut rest = cut(header).1;
    std::iter::from_fn(move || {
        loop {
            let text = rest.take()?;
            let end = text.iter().position(|byte| b"=;".contains(byte))?;
            let (name, after) = (text[..end].trim_ascii(), &text[end + 1..]);
            if text[end] == b';' {
                rest = Some(after);
                continue;
            }
            let (value, next) = value(after)?;
            rest = next;
            return Some((name, value));
        }
    })
}

/// What stands before the first semicolon, and what after it.
fn cut(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b';') {
        Some(end) => (&text[..end], Some(&text[end + 1..])),
        None => (text, None),
    }
}

/// A value, and the parameters after it.
fn value(text: &[u8]) -> Option<(Vec<u8>, Option<&[u8]>)> {
    match text.trim_ascii_start().strip_prefix(b"\"") {
        Some(text) => {
            let (value, rest) = quoted(text)?;
            Some((value, cut(rest).1))
        }
        None => {
            let (value, rest) = cut(text);
            Some((value.trim_ascii().to_vec(), rest))
        }
    }
}

/// What is quoted, from behind the first quotation mark, and what stands behind the last.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        match rest {
            [b'"', after @ ..] => return Some((value, after)),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(header: &[u8]) -> Option<String> {
        parameter(header, "name").map(|name| String::from_utf8(name).unwrap())
    }

    #[test]
    fn parameters_are_found_wherever_they_stand() {
        for header in [
            &br#"form-data; name="image""#[..],
            b"form-data;name=image",
            b"form-data ; NAME = image ",
            br#"form-data; filename=name=x; name="image""#,
            br#"form-data; filename="a; name=details.png"; name="image""#,
            br#"form-data; filename="\"; name=\"details"; name="image""#,
            br#"form-data; filename="a\\"; name="image""#,
            br#"form-data; filename="a" b; name="image"; size=1"#,
            b"form-data; filename=\"\xfc.png\"; name=\"im\\age\"",
            b"form-data;; name; =; filename*=UTF-8''a.png; name=image; filename=\"",
        ] {
            let shown = String::from_utf8_lossy(header);
            assert_eq!(name(header).as_deref(), Some("image"), "{shown}");
        }
    }

    #[test]
    fn nothing_else_is_a_parameter() {
        for header in [
            &b""[..],
            b";",
            b"=",
            b"name=image",
            b"form-data; name",
            b"form-data; filename=image",
            b"form-data; name*=image",
            br#"form-data; filename="name=image"#,
            br#"form-data; filename="; name=image"#,
            br#"form-data; name="image"#,
            br#"form-data; name="image\""#,
            br#"form-data; name="image\"#,
            br#"form-data; name="image"; name="details""#,
            b"form-data; name=image; NAME=image",
        ] {
            let shown = String::from_utf8_lossy(header);
            assert_eq!(name(header), None, "{shown}");
        }
        assert_eq!(name(b"form-data; name=").as_deref(), Some(""));
        assert_eq!(name(br#"form-data; name="""#).as_deref(), Some(""));
    }

    #[test]
    fn the_essence_ends_before_the_parameters() {
        for header in [&b"a/b"[..], b" a/b ", b"a/b;c", b"a/b ; c=d"] {
            assert_eq!(essence(header), b"a/b");
        }
        assert_eq!(essence(b";"), b"");
    }
}
