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

/// Longest `data:image/...;base64,` that is looked for.
const MAX_PREFIX: usize = 256;

/// Decodes the standard or the URL-safe alphabet, with or without padding, white space and a
/// `data:` prefix.
pub(super) fn decode(text: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let text = without_prefix(text)?;
    let digits = text
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace() && **byte != b'=')
        .count() as u64;
    // Counted as decoded, and before anything is allocated for it.
    limits.check_file(digits / 4 * 3 + digits % 4 * 3 / 4)?;
    memory::expect(digits.saturating_mul(2))?;
    let standard: Vec<u8> = text
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        })
        .collect();
    LENIENT
        .decode(standard)
        .map_err(|error| Error::unreadable(format!("the base64 text is invalid: {error}")))
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
