//! Files that no encoder writes.

use std::io::Cursor;

use image::RgbImage;

pub fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [&name[..], data].concat();
    let mut crc = flate2::Crc::new();
    crc.update(&named);
    [
        &(data.len() as u32).to_be_bytes()[..],
        &named,
        &crc.sum().to_be_bytes(),
    ]
    .concat()
}

pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

pub fn png_header(width: u32, height: u32, depth: u8, color: u8, interlaced: bool) -> Vec<u8> {
    let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(
        b"IHDR",
        &[&sides[..], &[depth, color, 0, 0, interlaced.into()]].concat(),
    )
}

/// A black PNG that is a thousandth of its pixels.
pub fn png_bomb(width: u32, height: u32, depth: u8, color: u8, interlaced: bool) -> Vec<u8> {
    use std::io::Write;
    let channels = [1, 0, 3, 1, 2, 0, 4][usize::from(color)];
    let row = |width: u32| 1 + (width as usize * channels * usize::from(depth)).div_ceil(8);
    let passes: &[[u32; 4]] = if interlaced {
        &[
            [0, 0, 8, 8],
            [4, 0, 8, 8],
            [0, 4, 4, 8],
            [2, 0, 4, 4],
            [0, 2, 2, 4],
            [1, 0, 2, 2],
            [0, 1, 1, 2],
        ]
    } else {
        &[[0, 0, 1, 1]]
    };
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for [x, y, across, down] in passes {
        let zeros = vec![0_u8; row((width - x).div_ceil(*across))];
        for _ in 0..(height - y).div_ceil(*down) {
            packed.write_all(&zeros).expect("memory takes everything");
        }
    }
    let data = packed.finish().expect("memory takes everything");
    let header = png_header(width, height, depth, color, interlaced);
    [PNG, &header, &chunk(b"IDAT", &data), &chunk(b"IEND", b"")].concat()
}

fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    [
        &[0xff, marker][..],
        &(data.len() as u16 + 2).to_be_bytes(),
        data,
    ]
    .concat()
}

/// A Huffman table whose only code, of one bit, means this symbol.
fn one_symbol(class: u8, symbol: u8) -> Vec<u8> {
    let mut lengths = [0_u8; 16];
    lengths[0] = 1;
    segment(0xc4, &[&[class][..], &lengths, &[symbol]].concat())
}

/// A grey progressive JPEG with this many scans after the first: fourteen for each coefficient, one for each of its
/// bits, as far as there are coefficients. Each says that all blocks end at once, in some bytes, and yet a decoder walks
/// over every block.
pub fn scans_jpeg(side: u16, scans: usize) -> Vec<u8> {
    let sides = [side.to_be_bytes(), side.to_be_bytes()].concat();
    let blocks = usize::from(side).div_ceil(8).pow(2);
    let mut bytes = [
        vec![0xff, 0xd8],
        segment(0xdb, &[&[0_u8][..], &[1; 64]].concat()),
        segment(0xc2, &[&[8_u8][..], &sides, &[1, 1, 0x11, 0]].concat()),
        one_symbol(0x00, 0x00),
        one_symbol(0x10, 0xe0),
        segment(0xda, &[1, 1, 0, 0, 0, 0]),
        vec![0; blocks.div_ceil(8)],
    ]
    .concat();
    // An end-of-band run of 32,767 blocks is one bit of symbol and fourteen of length.
    let mut run: Vec<u8> = Vec::new();
    let bits = 15 * blocks.div_ceil(32_767);
    for byte in 0..bits.div_ceil(8) {
        let bit = |at: usize| at >= bits || !at.is_multiple_of(15);
        run.push((0..8).fold(0, |value, shift| {
            value << 1 | u8::from(bit(8 * byte + shift))
        }));
        if run.last() == Some(&0xff) {
            run.push(0);
        }
    }
    for scan in 0..scans {
        const PASSES: usize = 14;
        let band = (1 + scan / PASSES) as u8;
        let low = (PASSES - 1 - scan % PASSES) as u8;
        let high = if scan % PASSES == 0 { 0 } else { low + 1 };
        bytes.extend(segment(0xda, &[1, 1, 0, band, band, high << 4 | low]));
        bytes.extend(&run);
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// What precedes the scans of a sequential JPEG of three components. Each block may be zeros, which
/// mean 63 coefficients; and zeros stand for data that are missing.
fn colour_head(width: u16, height: u16) -> Vec<u8> {
    let sides = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let components = [3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0];
    [
        vec![0xff, 0xd8],
        segment(0xdb, &[&[0_u8][..], &[1; 64]].concat()),
        segment(0xc0, &[&[8_u8][..], &sides, &components].concat()),
        one_symbol(0x00, 0x00),
        one_symbol(0x10, 0x01),
    ]
    .concat()
}

/// JPEGs of one row of blocks with this many scans of one component, each of which costs a row. They
/// stand where readers of markers disagree: behind an end of the image that some take for the content
/// of a segment, in the middle and in the head; and in comments, before which some miss a byte.
pub fn hidden_scans(scans: usize) -> [Vec<u8>; 3] {
    const END: [u8; 2] = [0xff, 0xd9];
    // Nothing but the marker for some, a segment of four bytes for others.
    const FALSE_END: [u8; 8] = [0xff, 0xd8, 0x00, 0x06, 0xff, 0xd9, 0x00, 0x00];
    let head = colour_head(16_384, 8);
    let scan = [segment(0xda, &[1, 1, 0, 0, 63, 0]), vec![0]].concat();
    let many = scan.repeat(scans);
    let commented: Vec<u8> = many
        .chunks(5000 * scan.len())
        .flat_map(|some| [segment(0xe0, &[0; 4]), segment(0xfe, some)].concat())
        .collect();
    [
        [
            &head,
            &scan,
            &segment(0xfe, &[])[..],
            &FALSE_END,
            &many,
            &END,
        ]
        .concat(),
        [&head, &FALSE_END[..], &many, &END].concat(),
        [&head, &scan[..], &commented, &END].concat(),
    ]
}

/// A JPEG with parts of extended XMP metadata that never become whole, and with empty comments.
pub fn extended_xmp(parts: usize, comments: usize) -> Vec<u8> {
    // Which metadata, all of its length, where the part lies in it.
    let part = [
        &b"http://ns.adobe.com/xmp/extension/\0"[..],
        &[b'0'; 32],
        &[0xf; 4],
        &[0; 4],
    ]
    .concat();
    [
        &[0xff, 0xd8],
        &segment(0xe1, &part).repeat(parts)[..],
        &segment(0xfe, &[]).repeat(comments),
        &scans_jpeg(64, 0)[2..],
    ]
    .concat()
}

/// Where the rest of a TIFF lies that has so many tags.
const fn behind_tags(tags: usize) -> u32 {
    8 + 2 + 12 * tags as u32 + 4
}

/// A little-endian TIFF: tags with how many values they have, and the value or where it lies; then the
/// rest.
fn tiff(tags: &[(u16, u32, u32)], rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"II\x2a\0\x08\0\0\0".to_vec();
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, count, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(4_u16.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend(rest);
    bytes
}

/// A grey TIFF of 1000 x 4000 pixels with a strip for each row; all of them lie at the same bytes.
pub fn shared_strips(compression: u16, bits: u16, data: &[u8]) -> Vec<u8> {
    const WIDTH: u32 = 1000;
    const HEIGHT: u32 = 4000;
    const LISTS: u32 = behind_tags(9);
    let tags: [_; 9] = [
        (256, 1, WIDTH),
        (257, 1, HEIGHT),
        (258, 1, bits.into()),
        (259, 1, compression.into()),
        (262, 1, 1),
        (273, HEIGHT, LISTS),
        (277, 1, 1),
        (278, 1, 1),
        (279, HEIGHT, LISTS + 4 * HEIGHT),
    ];
    let mut rest = Vec::new();
    for value in [LISTS + 8 * HEIGHT, data.len() as u32] {
        rest.extend(value.to_le_bytes().repeat(HEIGHT as usize));
    }
    rest.extend(data);
    tiff(&tags, &rest)
}

/// A TIFF of 8 x 8 pixels in one strip, which is a JPEG that claims to have 16,384 a side.
pub fn jpeg_in_tiff(compression: u16) -> Vec<u8> {
    let scan = segment(0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    let jpeg = [colour_head(16_384, 16_384), scan, vec![0, 0xff, 0xd9]].concat();
    let tags: [_; 9] = [
        (256, 1, 8),
        (257, 1, 8),
        (258, 1, 8),
        (259, 1, compression.into()),
        (262, 1, 2),
        (273, 1, behind_tags(9)),
        (277, 1, 3),
        (278, 1, 8),
        (279, 1, jpeg.len() as u32),
    ];
    tiff(&tags, &jpeg)
}

/// A TIFF of 8 x 8 pixels, of floating-point numbers, in one tile whose row takes 360 megabytes.
pub fn wide_tile() -> Vec<u8> {
    const WIDTH: u32 = 30_000_000;
    let tags: [_; 12] = [
        (256, 1, 8),
        (257, 1, 8),
        (258, 1, 32),
        (259, 1, 1),
        (262, 1, 2),
        (277, 1, 3),
        // The predictor for such numbers, for which a row is read as a whole.
        (317, 1, 3),
        (322, 1, WIDTH),
        (323, 1, 16),
        (324, 1, 8),
        (325, 1, 100),
        (339, 1, 3),
    ];
    tiff(&tags, &[])
}

/// A TIFF of one row of 16,000 pixels, each with 30,000 samples beside its colour.
pub fn extra_samples() -> Vec<u8> {
    const WIDTH: u32 = 16_000;
    const EXTRA: u32 = 30_000;
    let tags: [_; 10] = [
        (256, 1, WIDTH),
        (257, 1, 1),
        (258, 1, 8),
        (259, 1, 1),
        (262, 1, 2),
        (273, 1, 8),
        (277, 1, 3 + EXTRA),
        (278, 1, 1),
        (279, 1, 100),
        (338, EXTRA, behind_tags(10)),
    ];
    tiff(&tags, &vec![0; 4 * EXTRA as usize])
}

/// LZW data of so many pixels of the first colour: every pixel as a code of its own, and the table
/// cleared before codes grow beyond nine bits.
pub fn plain_lzw(pixels: usize) -> Vec<u8> {
    const CLEAR: u32 = 256;
    const END: u32 = 257;
    const BITS: u32 = 9;
    let mut bits = Bits::default();
    for pixel in 0..pixels {
        if pixel % 200 == 0 {
            bits.push(CLEAR, BITS);
        }
        bits.push(0, BITS);
    }
    bits.push(END, BITS);
    bits.bytes
}

/// A grey TIFF of 8 x 8 pixels whose lists of strips claim to have so many values of this type.
pub fn long_lists(kind: u16, count: u32, room: usize) -> Vec<u8> {
    let tags: [_; 8] = [
        (256, 1, 8),
        (257, 1, 8),
        (258, 1, 8),
        (259, 1, 1),
        (262, 1, 1),
        (273, count, behind_tags(8)),
        (278, 1, 8),
        (279, count, behind_tags(8)),
    ];
    let mut bytes = tiff(&tags, &vec![0; room]);
    for list in [5, 7] {
        let at = behind_tags(list) as usize - 4 + 2;
        bytes[at..at + 2].copy_from_slice(&kind.to_le_bytes());
    }
    bytes
}

/// A GIF of one pixel with a frame of this many a side, of which 4096 are there.
pub fn outgrown_gif(side: u16) -> Vec<u8> {
    let mut bytes = gif(side, side, 1, &plain_lzw(64 * 64));
    bytes[6..10].copy_from_slice(&[1, 0, 1, 0]);
    bytes
}

/// A GIF whose frames all have these sub-blocks.
pub fn gif(width: u16, height: u16, frames: usize, data: &[u8]) -> Vec<u8> {
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let mut bytes = [
        &b"GIF89a"[..],
        &sides,
        &[0x80, 0, 0, 0, 0, 0, 255, 255, 255],
    ]
    .concat();
    for _ in 0..frames {
        bytes.extend([&b",\0\0\0\0"[..], &sides, &[0, 8]].concat());
        for block in data.chunks(255) {
            bytes.push(block.len() as u8);
            bytes.extend(block);
        }
        bytes.push(0);
    }
    bytes.push(b';');
    bytes
}

fn riff_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_le_bytes();
    let padding = &[0_u8][..data.len() % 2];
    [&name[..], &length, data, padding].concat()
}

/// An animated WebP of these many frames.
pub fn animated_webp(image: &RgbImage, frames: usize) -> Vec<u8> {
    let mut still = Cursor::new(Vec::new());
    image
        .write_to(&mut still, image::ImageFormat::WebP)
        .expect("the image fits");
    // Behind "RIFF", its length and "WEBP".
    let bitstream = &still.get_ref()[12..];
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let sides = [side(image.width()), side(image.height())].concat();
    let frame = [&[0_u8; 6][..], &sides, &[100, 0, 0, 0], bitstream].concat();
    let mut body = b"WEBP".to_vec();
    body.extend(riff_chunk(
        b"VP8X",
        &[&[2_u8, 0, 0, 0][..], &sides].concat(),
    ));
    body.extend(riff_chunk(b"ANIM", &[0; 6]));
    for _ in 0..frames {
        body.extend(riff_chunk(b"ANMF", &frame));
    }
    riff_chunk(b"RIFF", &body)
}

/// EXIF blocks that lead astray: directories that point to themselves, outside and to each other.
pub fn odd_exif() -> Vec<Vec<u8>> {
    let directory = |entries: &[[u32; 4]], next: u32| {
        let mut bytes = (entries.len() as u16).to_le_bytes().to_vec();
        for [tag, kind, count, value] in entries {
            bytes.extend((*tag as u16).to_le_bytes());
            bytes.extend((*kind as u16).to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(next.to_le_bytes());
        bytes
    };
    let block = |start: u32, directories: &[u8]| {
        [&b"II\x2a\0"[..], &start.to_le_bytes(), directories].concat()
    };
    let mut blocks = vec![
        Vec::new(),
        b"II".to_vec(),
        b"MM\0\x2a".to_vec(),
        block(8, &directory(&[[0x112, 3, 1, 6]], 8)),
        block(0, &directory(&[[0x112, 3, 1, 6]], 0)),
        block(u32::MAX, &[]),
        block(8, &directory(&[[0x8769, 4, 1, 8]], 0)),
        block(
            8,
            &directory(&[[0x8769, 4, u32::MAX, 8], [0x8825, 4, 1, 26]], 26),
        ),
        block(8, &directory(&[[0x112, 3, u32::MAX, 6]], 0)),
        block(8, &directory(&[[0x112, 5, 1, u32::MAX]], 0)),
        block(8, &[0xff, 0xff]),
        block(8, &directory(&vec![[0x112, 3, 1, 6]; 3000], 0)),
    ];
    for orientation in (0..=16).chain([255, 256, 32_767, 65_535]) {
        blocks.push(block(8, &directory(&[[0x112, 3, 1, orientation]], 0)));
        blocks.push(block(8, &directory(&[[0x112, 4, 1, orientation << 8]], 0)));
    }
    blocks
}

/// The block inside a JPEG, a PNG and a WebP of the image.
pub fn with_exif(image: &RgbImage, exif: &[u8]) -> [Vec<u8>; 3] {
    let write = |format| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).expect("the image fits");
        bytes.into_inner()
    };
    let (jpeg, png, webp) = (
        write(image::ImageFormat::Jpeg),
        write(image::ImageFormat::Png),
        write(image::ImageFormat::WebP),
    );
    let behind_header = PNG.len() + 25;
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let sides = [side(image.width()), side(image.height())].concat();
    let body = [
        b"WEBP".to_vec(),
        riff_chunk(b"VP8X", &[&[8_u8, 0, 0, 0][..], &sides].concat()),
        webp[12..].to_vec(),
        riff_chunk(b"EXIF", exif),
    ]
    .concat();
    [
        [
            &[0xff_u8, 0xd8][..],
            &segment(0xe1, &[&b"Exif\0\0"[..], exif].concat()),
            &jpeg[2..],
        ]
        .concat(),
        [
            &png[..behind_header],
            &chunk(b"eXIf", exif),
            &png[behind_header..],
        ]
        .concat(),
        riff_chunk(b"RIFF", &body),
    ]
}

/// A WebP of this size around chunks, with the flags that its header states.
fn extended_webp(flags: u8, side: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let sides = (side - 1).to_le_bytes()[..3].repeat(2);
    let header = riff_chunk(b"VP8X", &[&[flags, 0, 0, 0][..], &sides].concat());
    riff_chunk(
        b"RIFF",
        &[b"WEBP".to_vec(), header, chunks.concat()].concat(),
    )
}

/// A chunk of this data that claims to have almost four gibibytes.
fn boast(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    [&name[..], &0xffff_fff0_u32.to_le_bytes(), data].concat()
}

/// A good WebP whose metadata claim to be longer than any file.
pub fn boastful_exif(image: &RgbImage, exif: &[u8]) -> Vec<u8> {
    const ONLY_EXIF: u8 = 8;
    extended_webp(
        ONLY_EXIF,
        image.width(),
        &[lossless_bitstream(image), boast(b"EXIF", exif)],
    )
}

/// A WebP whose picture claims to be longer than any file.
pub fn boastful_picture(image: &RgbImage) -> Vec<u8> {
    let bitstream = lossless_bitstream(image);
    extended_webp(0, image.width(), &[boast(b"VP8L", &bitstream[8..])])
}

fn lossless_bitstream(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, image::ImageFormat::WebP)
        .expect("the image fits");
    bytes.into_inner()[12..].to_vec()
}

/// A WebP of 64 pixels a side around this lossy one, which claims to have 16,383; as a picture, and as
/// the first of an animation.
pub fn outgrown_webp(lossy: &[u8]) -> [Vec<u8>; 2] {
    const ANIMATION: u8 = 2;
    const SIDE: u32 = 64;
    let mut bitstream = lossy[12..].to_vec();
    bitstream[14..18].copy_from_slice(&16_383_u16.to_le_bytes().repeat(2));
    let sides = (SIDE - 1).to_le_bytes()[..3].repeat(2);
    let frame = [&[0_u8; 6][..], &sides, &[100, 0, 0, 0], &bitstream].concat();
    [
        extended_webp(0, SIDE, &[bitstream]),
        extended_webp(
            ANIMATION,
            SIDE,
            &[riff_chunk(b"ANIM", &[0; 6]), riff_chunk(b"ANMF", &frame)],
        ),
    ]
}

/// An animated WebP with the lossy picture behind alpha of four pixels, as many as its first picture
/// claims to have.
pub fn outgrown_behind_alpha(lossy: &[u8], side: u32) -> Vec<u8> {
    const ANIMATION: u8 = 2;
    let head = [0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 100, 0, 0, 0];
    let frame = [&head[..], &riff_chunk(b"ALPH", &[0; 5]), &lossy[12..]].concat();
    extended_webp(
        ANIMATION,
        side,
        &[riff_chunk(b"ANIM", &[0; 6]), riff_chunk(b"ANMF", &frame)],
    )
}

/// Bits, the first of them the lowest of the first byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    /// The head of a WebP picture without loss, of so many pixels a side.
    fn of_picture(side: u32) -> Self {
        let mut bits = Bits::default();
        bits.push(0x2f, 8)
            .push(side - 1, 14)
            .push(side - 1, 14)
            .push(0, 4);
        bits
    }

    fn push(&mut self, value: u32, count: u32) -> &mut Self {
        for bit in 0..count {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.count / 8;
            self.bytes[last] |= ((value >> bit & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
        self
    }

    /// A code of one symbol, which is not written.
    fn one_symbol(&mut self, symbol: u32) -> &mut Self {
        const SIMPLE_OF_ONE: u32 = 0b101;
        self.push(SIMPLE_OF_ONE, 3).push(symbol, 8)
    }

    /// What precedes the pixels of a picture without loss that has so many groups of codes. Each has a
    /// code of 2048 symbols whose codes all have 11 bits, which is said in few bits.
    fn codes(&mut self, groups: u32) {
        const NO_TRANSFORMS: u32 = 0;
        const CACHE_OF_2048: u32 = 1 | 11 << 1;
        const PARTS_OF_4_PIXELS: u32 = 1;
        self.push(NO_TRANSFORMS, 1).push(CACHE_OF_2048, 5);
        self.push(PARTS_OF_4_PIXELS, 4).push(0, 1);
        // A picture of one colour says for each part that it has the last group.
        let last = groups - 1;
        for symbol in [last & 0xff, last >> 8, 0, 0, 0] {
            self.one_symbol(symbol);
        }
        for _ in 0..groups {
            self.push(0, 1)
                .push(11, 4)
                .push(0, 7 * 3)
                .push(0, 7 * 3)
                .push(1, 3);
            // Twelve bits say how many symbols have a length.
            self.push(1 | 5 << 1, 4).push(2048 - 2, 12);
            (0..4).for_each(|_| {
                self.one_symbol(0);
            });
        }
    }
}

/// WebPs with so many groups of large codes: as a picture, as the first of an animation, and as the alpha
/// of the lossy one, which has this many pixels a side.
pub fn many_codes(groups: u32, lossy: &[u8], side: u32) -> [Vec<u8>; 3] {
    const SIDE: u32 = 64;
    const ANIMATION: u8 = 2;
    const ALPHA: u8 = 0x10;
    let mut bits = Bits::of_picture(SIDE);
    bits.codes(groups);
    let picture = riff_chunk(b"VP8L", &bits.bytes);
    let sides = (SIDE - 1).to_le_bytes()[..3].repeat(2);
    let frame = [&[0_u8; 6][..], &sides, &[100, 0, 0, 0], &picture].concat();
    let mut alpha = Bits::default();
    alpha.push(1, 8).codes(groups);
    [
        riff_chunk(b"RIFF", &[&b"WEBP"[..], &picture].concat()),
        extended_webp(
            ANIMATION,
            SIDE,
            &[riff_chunk(b"ANIM", &[0; 6]), riff_chunk(b"ANMF", &frame)],
        ),
        extended_webp(
            ALPHA,
            side,
            &[riff_chunk(b"ALPH", &alpha.bytes), lossy[12..].to_vec()],
        ),
    ]
}

/// A WebP of 64 x 64 pixels with so many pictures that claim to have 16,384 a side and transforms that depend on the
/// pixels, all of one colour.
pub fn claimed_pixels(pictures: usize) -> Vec<u8> {
    const SIDE: u32 = 16_384;
    const PARTS_OF_4_PIXELS: u32 = 0;
    let mut bits = Bits::of_picture(SIDE);
    for transform in [0, 1] {
        bits.push(1 | transform << 1, 3)
            .push(PARTS_OF_4_PIXELS, 3)
            .push(0, 1);
        (0..5).for_each(|_| {
            bits.one_symbol(0);
        });
    }
    extended_webp(0, 64, &vec![riff_chunk(b"VP8L", &bits.bytes); pictures])
}

/// A PNG with so many empty texts before its picture.
pub fn many_texts(image: &RgbImage, texts: usize) -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    image
        .write_to(&mut png, image::ImageFormat::Png)
        .expect("the image fits");
    let (head, rest) = png.get_ref().split_at(PNG.len() + 25);
    [head, &chunk(b"iTXt", b"x\0\0\0\0\0").repeat(texts), rest].concat()
}

/// A PNG whose colour profile is a thousandth of what it unpacks to.
pub fn profile_bomb(image: &RgbImage, megabytes: usize) -> Vec<u8> {
    use std::io::Write;
    let mut png = Cursor::new(Vec::new());
    image
        .write_to(&mut png, image::ImageFormat::Png)
        .expect("the image fits");
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0_u8; 1 << 20];
    for _ in 0..megabytes {
        packed.write_all(&zeros).expect("memory takes everything");
    }
    let data = packed.finish().expect("memory takes everything");
    let (head, rest) = png.get_ref().split_at(PNG.len() + 25);
    let profile = chunk(b"iCCP", &[&b"x\0\0"[..], &data].concat());
    [head, &profile, rest].concat()
}
