//! Base64 as clients send it.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Limits;
use crate::error::Error;
use crate::memory;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The `=` that fill up the last four digits.
const MAX_PADDING: usize = 2;

/// Longest `data:image/...;base64,` that is looked for.
const MAX_PREFIX: usize = 256;

/// Decodes the standard or the URL-safe alphabet, with or without padding, white space and a
/// `data:` prefix.
pub(super) fn decode(text: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let text = without_prefix(text)?;
    let padding = text.iter().filter(|byte| **byte == b'=').count();
    let digits = characters(text).count() - padding;
    // Counted as decoded, and before anything is allocated for it.
    limits.check_file((digits / 4 * 3 + digits % 4 * 3 / 4) as u64)?;
    // It does not count as decoded, so without this it would be copied in any length.
    if padding > MAX_PADDING {
        let fault = format!("it has {padding} '=', which only end it, {MAX_PADDING} at most");
        return Err(invalid(text, &fault));
    }
    memory::expect((digits as u64).saturating_mul(2))?;
    LENIENT
        .decode(standard(text, digits + padding))
        .map_err(|error| invalid(text, &error.to_string()))
}

/// What is wrong, and what its sender has most likely done.
fn invalid(text: &[u8], fault: &str) -> Error {
    let cure = if !text.is_ascii() {
        "it is no text, but a file perhaps: send that as it is, or its base64"
    } else if text.contains(&b'%') {
        "it has a '%': undo the percent encoding first"
    } else if text.contains(&b' ') {
        "it has spaces: in a form '+' is one, unless it is sent as %2B"
    } else {
        "send the base64 of one image"
    };
    Error::unreadable(format!("the base64 text is invalid, {fault}: {cure}"))
}

fn characters(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
}

/// The `length` characters of the text in the standard alphabet.
fn standard(text: &[u8], length: usize) -> Vec<u8> {
    // Of an iterator that filters, collect() does not know the length: it would take up to twice it.
    let mut standard = Vec::with_capacity(length);
    standard.extend(characters(text).map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }));
    standard
}

fn without_prefix(text: &[u8]) -> Result<&[u8], Error> {
    let text = text.trim_ascii_start();
    if !text
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"data:"))
    {
        return Ok(text);
    }
    let head = &text[..text.len().min(MAX_PREFIX)];
    let comma = head
        .iter()
        .position(|byte| *byte == b',')
        .ok_or_else(|| Error::unreadable("the data URL has no comma before its data"))?;
    let (prefix, data) = text.split_at(comma);
    if !prefix
        .to_ascii_lowercase()
        .trim_ascii_end()
        .ends_with(b";base64")
    {
        return Err(Error::unreadable(
            "the data URL is not in base64: start it with data:image/...;base64,",
        ));
    }
    Ok(&data[1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    const LIMITS: Limits = Limits {
        file_bytes: 6,
        pixels: 100,
        side: 100,
    };
    const BYTES: [u8; 5] = [0xfb, 0xff, 0xbe, 0x01, 0x02];

    #[test]
    fn every_spelling_is_read() {
        let spellings = [
            "+/++AQI=",
            "-_--AQI=",
            "+/++AQI",
            "-_--AQI",
            " +/+\r\n+AQ\tI= \n",
            "data:image/jpeg;base64,+/++AQI=",
            "DATA:image/png;name=a.png;BASE64,-_--AQI",
            "\n data:;base64, +/++AQI=",
        ];
        for text in spellings {
            assert_eq!(decode(text.as_bytes(), &LIMITS).unwrap(), BYTES, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_base64_is_unreadable() {
        for text in [
            "+/++A*I=",
            "+/=+AQI=",
            "A",
            "data:image/png,abcd",
            "data:image/png;base64",
            "+/++AQI=x",
            "\u{fc}",
        ] {
            assert_eq!(
                decode(text.as_bytes(), &LIMITS).unwrap_err().code(),
                ErrorCode::UnreadableImage,
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_cure_is_that_of_the_usual_mistakes() {
        for (text, cure) in [
            (&b"\xff\xd8\xff\xe0==="[..], "send that as it is"),
            (b"/9j%2BA", "percent"),
            (b"/9j/ 4!", "%2B"),
            (b"/9j/AAQ!", "base64 of one image"),
        ] {
            let error = decode(text, &LIMITS).unwrap_err();
            assert!(error.detail().contains(cure), "{error}");
        }
    }

    #[test]
    fn padding_is_refused_before_it_is_copied() {
        let text = format!("+/++AQI={}", " =".repeat(1000));
        let error = decode(text.as_bytes(), &LIMITS).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnreadableImage);
        assert!(error.detail().contains("1001 '='"), "{error}");
        // Too large goes before unreadable.
        let error = decode(b"AAAAAAAAAA===", &LIMITS).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ImageTooLarge);
    }

    #[test]
    fn no_base64_has_more_padding() {
        for length in 0..10 {
            for places in 0..1_u32 << length {
                let text: Vec<u8> = (0..length)
                    .map(|place| [b'A', b'='][(places >> place & 1) as usize])
                    .collect();
                let padding = places.count_ones() as usize;
                assert!(
                    padding <= MAX_PADDING || LENIENT.decode(&text).is_err(),
                    "{}",
                    text.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn the_copy_takes_what_was_counted() {
        let copy = standard(b" -_\r\n-- AQI A = ", 9);
        assert_eq!((&copy[..], copy.capacity()), (&b"+/++AQIA="[..], 9));
    }

    #[test]
    fn the_size_counts_after_decoding() {
        assert_eq!(decode(b"AAAA AAAA\n", &LIMITS).unwrap().len(), 6);
        assert_eq!(
            decode(b"AAAAAAAAAA==", &LIMITS).unwrap_err().code(),
            ErrorCode::ImageTooLarge
        );
        assert_eq!(
            decode(b"AAAAAAAAAA", &LIMITS).unwrap_err().code(),
            ErrorCode::ImageTooLarge
        );
    }
}
