//! Whether a JPEG is all there.

/// The decoder fills what is missing of a truncated file with grey, which is no image of a face.
/// So this walks over the markers to the end of the image; what follows it (further pictures,
/// video, padding) does not matter.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some(at) = rest.iter().position(|byte| *byte == 0xff) {
        rest = &rest[at..];
        let Some(fill) = rest.iter().position(|byte| *byte != 0xff) else {
            return false;
        };
        let marker = rest[fill];
        rest = &rest[fill + 1..];
        match marker {
            0xd9 => return true,
            // Stuffed bytes, restart markers and others without a length.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let Some([high, low]) = rest.first_chunk() else {
                    return false;
                };
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let Some(next) = rest.get(length.max(2)..) else {
                    return false;
                };
                rest = next;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_complete;

    #[test]
    fn only_the_end_of_the_image_counts() {
        let segment = [0xff, 0xe1, 0x00, 0x06, 0xff, 0xd9, 0xff, 0xd9]; // A thumbnail's end inside a segment.
        let scan = [
            0xff, 0xda, 0x00, 0x03, 0x00, 0x12, 0xff, 0x00, 0xff, 0xd0, 0x34,
        ];
        let whole = [
            &[0xff, 0xd8][..],
            &segment,
            &scan,
            &[0xff, 0xff, 0xd9, 0x00],
        ]
        .concat();
        assert!(is_complete(&whole));
        for end in 0..whole.len() - 1 {
            assert!(!is_complete(&whole[..end]), "{end}");
        }
    }
}
