//! A JPEG of nothing but its picture.
//!
//! Our decoders get a file that was written anew: the segments that make up the picture, in the order of the file,
//! and an Adobe segment that says how libjpeg would take its colours. Comments and metadata, in which another picture
//! can hide, they never see. So they look at what every other viewer looks at, or at nothing.

use image::metadata::Orientation;

use super::frame::{Frame, Progress, Scan, Tables, no_tables};
use super::segments::{
    ADOBE, EXIF, HUFFMAN, JFIF, QUANTIZATION, RESTART_INTERVAL, START_OF_SCAN, Segment, Segments,
    damaged,
};
use crate::decode::exif;
use crate::error::Error;
use crate::memory;

/// What is written that the file need not have: start, colours, the usual Huffman tables, end.
const ADDED: usize = 512;
const START: [u8; 2] = [0xff, 0xd8];
const END: [u8; 2] = [0xff, 0xd9];

/// The file for the decoders, and what is known of it.
#[derive(Debug)]
pub(in crate::decode) struct Plain {
    pub(super) bytes: Vec<u8>,
    /// How the picture is to be turned.
    pub(in crate::decode) orientation: Orientation,
    pub(super) frame: Frame,
    /// The transformation of its colours that the file states for the decoders; none of grey.
    pub(super) colours: Option<u8>,
    /// How many there are.
    pub(super) scan_count: u64,
}

impl Plain {
    /// Refuses a file without its end, for a decoder fills what is missing with grey, and one that decoders do not
    /// read alike.
    pub(in crate::decode) fn of(file: &[u8]) -> Result<Self, Error> {
        memory::expect(file.len() as u64)?;
        let mut writer = Writer::new(file.len());
        for segment in Segments::of(file) {
            writer.add(&segment?)?;
        }
        writer.finish()
    }

    /// Columns and rows, as stored.
    pub(super) fn size(&self) -> [u32; 2] {
        [self.frame.width, self.frame.height].map(|side| side as u32)
    }

    pub(super) fn scans(&self) -> Scans<'_> {
        Scans {
            segments: Segments::of(&self.bytes),
            frame: &self.frame,
            tables: Tables::default(),
        }
    }
}

/// The scans of a file, one after the other.
pub(super) struct Scans<'a> {
    segments: Segments<'a>,
    frame: &'a Frame,
    /// Those in force.
    pub tables: Tables<'a>,
}

impl<'a> Scans<'a> {
    /// The header of the next one and its entropy-coded data.
    pub fn next(&mut self) -> Result<Option<(Scan, &'a [u8])>, Error> {
        for segment in &mut self.segments {
            let Segment {
                marker,
                data,
                coded,
            } = segment?;
            let known = match marker {
                HUFFMAN => self.tables.add_huffman(data),
                QUANTIZATION => self.tables.add_quantization(data),
                RESTART_INTERVAL => self.tables.set_restart_interval(data),
                START_OF_SCAN => return Ok(Some((Scan::parse(data, self.frame)?, coded))),
                _ => Some(()),
            };
            known.ok_or_else(no_tables)?;
        }
        Ok(None)
    }
}

#[derive(Default)]
struct Writer<'a> {
    bytes: Vec<u8>,
    /// The first of several blocks counts, as for browsers and Pillow: whoever turns the pixels writes a new one
    /// before those that are there.
    exif: Option<&'a [u8]>,
    is_jfif: bool,
    /// The transformation of the last Adobe segment.
    adobe: Option<u8>,
    has_codes: bool,
    frame: Option<Frame>,
    progress: Progress,
    /// The transformation that was written.
    colours: Option<u8>,
    scan_count: u64,
}

impl<'a> Writer<'a> {
    fn new(len: usize) -> Self {
        let mut bytes = Vec::with_capacity(len + ADDED);
        bytes.extend(START);
        Writer {
            bytes,
            ..Writer::default()
        }
    }

    fn add(&mut self, segment: &Segment<'a>) -> Result<(), Error> {
        match segment.marker {
            marker if Frame::is_begun_by(marker) => self.add_frame(segment),
            START_OF_SCAN => self.add_scan(segment),
            // A decoder takes those before the first scan for all components, another those before the first of each.
            QUANTIZATION if self.progress.has_begun() => {
                Err(damaged("it changes its quantisation between scans"))
            }
            HUFFMAN | QUANTIZATION | RESTART_INTERVAL => {
                self.has_codes |= segment.marker == HUFFMAN;
                self.write(segment.marker, segment.data);
                Ok(())
            }
            _ => {
                self.note(segment);
                Ok(())
            }
        }
    }

    /// Keeps what metadata say of the picture, which they do before its first scan.
    fn note(&mut self, segment: &Segment<'a>) {
        if self.progress.has_begun() {
            return;
        }
        match segment.marker {
            EXIF => self.exif = self.exif.or_else(|| exif_block(segment.data)),
            JFIF => self.is_jfif |= is_jfif(segment.data),
            ADOBE => self.adobe = adobe_transform(segment.data).or(self.adobe),
            _ => {}
        }
    }

    fn add_frame(&mut self, segment: &Segment<'_>) -> Result<(), Error> {
        if self.frame.is_some() {
            return Err(damaged("it has two frames"));
        }
        let frame = Frame::parse(segment.marker, segment.data)?;
        let mut data = segment.data.to_vec();
        for (index, part) in data[HEAD_OF_FRAME..].chunks_exact_mut(3).enumerate() {
            part[0] = name(index);
        }
        self.write(segment.marker, &data);
        self.frame = Some(frame);
        Ok(())
    }

    fn add_scan(&mut self, segment: &Segment<'_>) -> Result<(), Error> {
        let Some(frame) = &self.frame else {
            return Err(damaged("a scan precedes the frame"));
        };
        let scan = Scan::parse(segment.data, frame)?;
        let is_first = !self.progress.has_begun();
        self.progress.add(&scan, frame)?;
        if is_first {
            self.colours = self.transformation(frame)?;
            self.write_head();
        }
        let mut data = segment.data.to_vec();
        for (share, bytes) in scan.shares.iter().zip(data[1..].chunks_exact_mut(2)) {
            bytes[0] = name(share.part);
        }
        self.write(START_OF_SCAN, &data);
        self.bytes.extend(segment.coded);
        self.scan_count += 1;
        Ok(())
    }

    /// What must be known before the first scan.
    fn write_head(&mut self) {
        if let Some(transform) = self.colours {
            let version_and_flags = [0, 100, 0, 0, 0, 0];
            let data = [&ADOBE_NAME[..], &version_and_flags, &[transform]].concat();
            self.write(ADOBE, &data);
        }
        if !self.has_codes {
            self.write(HUFFMAN, &USUAL_CODES);
        }
    }

    /// The transformation by which libjpeg gets red, green and blue (`default_decompress_parms`).
    fn transformation(&self, frame: &Frame) -> Result<Option<u8>, Error> {
        let is_named = |names: &[u8; 3]| frame.parts.iter().map(|part| &part.id).eq(names);
        match (frame.parts.len(), self.adobe) {
            (1, _) => Ok(None),
            (3, None) if !self.is_jfif && is_named(b"RGB") => Ok(Some(NONE)),
            (3, Some(NONE)) if !self.is_jfif => Ok(Some(NONE)),
            (3, None | Some(NONE..=YCCK)) => Ok(Some(YCBCR)),
            (4, Some(transform @ (NONE | YCCK))) => Ok(Some(transform)),
            // Adobe stores them inverted, and the decoder takes all for Adobe's: it would give a negative.
            (4, None) => Err(Error::unreadable(
                "the JPEG has four inks (CMYK) and does not say how they are stored: save it as RGB",
            )),
            _ => Err(Error::unreadable(
                "the JPEG stores its colours in a way that Adobe does not know: save it as RGB",
            )),
        }
    }

    fn write(&mut self, marker: u8, data: &[u8]) {
        // The data were a segment, or are as short as one.
        let length = (data.len() + 2) as u16;
        self.bytes.extend([0xff, marker]);
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(data);
    }

    fn finish(mut self) -> Result<Plain, Error> {
        let Some(mut frame) = self.frame.filter(|_| self.scan_count > 0) else {
            return Err(damaged("it has no picture"));
        };
        // As it was written.
        for (index, part) in frame.parts.iter_mut().enumerate() {
            part.id = name(index);
        }
        self.bytes.extend(END);
        Ok(Plain {
            bytes: self.bytes,
            orientation: self
                .exif
                .map_or(Ok(Orientation::NoTransforms), exif::orientation)?,
            frame,
            colours: self.colours,
            scan_count: self.scan_count,
        })
    }
}

/// What precedes the components in the header of a frame.
const HEAD_OF_FRAME: usize = 6;
const ADOBE_NAME: [u8; 5] = *b"Adobe";
/// Transformations of colours in an Adobe segment: the samples are as they are, or are brightness and colours, the last
/// beside black.
const NONE: u8 = 0;
pub(super) const YCBCR: u8 = 1;
const YCCK: u8 = 2;

/// As JFIF names a component. Decoders guess at colours by other names.
fn name(index: usize) -> u8 {
    index as u8 + 1
}

/// By what libjpeg knows it.
fn is_jfif(data: &[u8]) -> bool {
    const HEAD: usize = 14;
    data.len() >= HEAD && data.starts_with(b"JFIF\0")
}

fn adobe_transform(data: &[u8]) -> Option<u8> {
    const TRANSFORM: usize = 11;
    data.starts_with(&ADOBE_NAME)
        .then(|| data.get(TRANSFORM).copied())
        .flatten()
}

/// The EXIF block of a segment of its kind, if it is one.
fn exif_block(segment: &[u8]) -> Option<&[u8]> {
    let block = segment.strip_prefix(exif::JPEG_PREFIX)?;
    (!block.is_empty()).then_some(block)
}

/// The Huffman tables of T.81, K.3, which the frames of a camera's Motion JPEG leave out, as libjpeg-turbo fills them in.
#[rustfmt::skip]
const USUAL_CODES: [u8; 416] = [
    0x00, 0x00, 0x01, 0x05, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
    0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x00, 0x02, 0x01, 0x03, 0x03, 0x02, 0x04, 0x03, 0x05, 0x05, 0x04, 0x04, 0x00, 0x00, 0x01, 0x7d, 0x01, 0x02,
    0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42,
    0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a,
    0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63,
    0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92,
    0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8,
    0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4,
    0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0x01, 0x00, 0x03, 0x01, 0x01, 0x01, 0x01, 0x01,
    0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x11, 0x00, 0x02,
    0x01, 0x02, 0x04, 0x04, 0x03, 0x04, 0x07, 0x05, 0x04, 0x04, 0x00, 0x01, 0x02, 0x77, 0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06,
    0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62,
    0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a,
    0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a,
    0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
    0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2,
    0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
