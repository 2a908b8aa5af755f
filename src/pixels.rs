//! The images a caller can hand in.

use std::path::Path;

/// An image to check.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Image<'a> {
    /// A JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF file in memory.
    Encoded(&'a [u8]),
    /// The same as base64: standard or URL-safe alphabet, with or without padding, white space
    /// and a `data:image/...;base64,` prefix.
    Base64(&'a [u8]),
    /// The same as a file on disk.
    File(&'a Path),
    /// Decoded pixels, as a camera or a video decoder gives them.
    Pixels(Pixels<'a>),
}

/// Decoded pixels, 8 bits per sample, rows from top to bottom.
#[derive(Debug, Clone, Copy)]
pub struct Pixels<'a> {
    /// The samples. It may be longer than needed, never shorter.
    pub data: &'a [u8],
    /// Order and layout of the samples.
    pub format: PixelFormat,
    /// Width in pixels, as stored (before `orientation` is applied).
    pub width: u32,
    /// Height in pixels, as stored (before `orientation` is applied).
    pub height: u32,
    /// Bytes from the start of one row to the start of the next, of the first plane; 0 means
    /// rows without gaps. The further planes of a YUV image follow the `height * stride` bytes
    /// of the first: the interleaved chroma plane of NV12 and NV21 has a stride of `stride`
    /// (one more where that is odd), the two chroma planes of I420 have half of it, rounded up.
    pub stride: usize,
    /// EXIF orientation, 1 to 8; 1 is upright.
    pub orientation: u8,
}

/// Order and layout of the samples of [`Pixels`]. YUV is BT.601 in full range (JFIF), as the
/// cameras of phones give it; a chroma sample covers two by two pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum PixelFormat {
    /// Three bytes per pixel: red, green, blue.
    Rgb = 1,
    /// Three bytes per pixel: blue, green, red.
    Bgr = 2,
    /// Four bytes per pixel: red, green, blue, alpha (composited on white).
    Rgba = 3,
    /// Four bytes per pixel: blue, green, red, alpha (composited on white).
    Bgra = 4,
    /// One byte per pixel. The networks judge by colours too: of grey pictures most live people are refused
    /// (models/MODEL_CARD.md), so give frames with their colours where there are any.
    Gray = 5,
    /// A plane of luma, then a plane of interleaved U and V.
    Nv12 = 6,
    /// A plane of luma, then a plane of interleaved V and U (Android's camera preview).
    Nv21 = 7,
    /// A plane of luma, a plane of U, a plane of V.
    I420 = 8,
}

impl PixelFormat {
    /// The format with this number.
    pub fn from_i32(value: i32) -> Option<Self> {
        use PixelFormat::*;
        [Rgb, Bgr, Rgba, Bgra, Gray, Nv12, Nv21, I420]
            .into_iter()
            .find(|format| *format as i32 == value)
    }
}
