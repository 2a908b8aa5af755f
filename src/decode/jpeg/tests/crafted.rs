//! Files in which decoders that walk over markers in ways of their own find different pictures.

use super::*;
use crate::decode::jpeg::segments::{Segment, Segments};

/// Two pictures that nobody takes for each other.
fn two(set: fn(&mut Encoder<&mut Vec<u8>>)) -> [Vec<u8>; 2] {
    let first = grained([96, 64]);
    let mut second = first.clone();
    image::imageops::invert(&mut second);
    [first, second].map(|picture| encode(&picture, ColorType::Rgb, set))
}

fn progressive(encoder: &mut Encoder<&mut Vec<u8>>) {
    encoder.set_progressive(true);
}

fn segments(file: &[u8]) -> Vec<Segment<'_>> {
    Segments::of(file).collect::<Result<_, _>>().unwrap()
}

/// A file of these segments.
fn file<'a>(segments: impl IntoIterator<Item = Segment<'a>>) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    for part in segments {
        bytes.extend(segment(part.marker, part.data));
        bytes.extend(part.coded);
    }
    [&bytes[..], &[0xff, 0xd9]].concat()
}

/// The file with bytes behind so many of its segments.
fn with(bytes: &[u8], at: usize, more: &[u8]) -> Vec<u8> {
    let parts = segments(bytes);
    let head = file(parts[..at].iter().copied());
    let rest = file(parts[at..].iter().copied());
    [&head[..head.len() - 2], more, &rest[2..]].concat()
}

/// What is seen at full size; `None` where the file is unreadable.
fn pixels(bytes: &[u8]) -> Option<Vec<u8>> {
    match encoded::decode(bytes, &LIMITS, &Overview::full(), &far()) {
        Ok(picture) => Some(picture.pixels().as_raw().to_vec()),
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::UnreadableImage, "{error}");
            None
        }
    }
}

/// Refused at every size.
fn is_refused(bytes: &[u8]) -> bool {
    let codes = [coarse(), Overview::full()].map(|overview| code(bytes, &overview));
    assert_eq!(codes[0], codes[1]);
    codes[0] == Some(ErrorCode::UnreadableImage)
}

#[test]
fn a_picture_inside_of_metadata_is_not_seen() {
    let [hidden, shown] = two(|_| {});
    for marker in [0xfe, 0xe1, 0xe5] {
        // Before the segment that hides it one of which a decoder takes a byte more.
        let before = [segment(0xe0, b"AAAA"), segment(marker, &hidden)].concat();
        assert_eq!(pixels(&with(&shown, 0, &before)), pixels(&shown));
    }
    assert_ne!(pixels(&hidden), pixels(&shown));
}

#[test]
fn a_picture_goes_on_behind_metadata() {
    for set in [progressive, |encoder: &mut Encoder<&mut Vec<u8>>| {
        progressive(encoder);
        encoder.set_restart_interval(3);
    }] {
        let [whole, _] = two(set);
        for at in 0..segments(&whole).len() {
            for marker in (0xe0..=0xef).chain([0xfe]) {
                let bytes = with(&whole, at, &segment(marker, b"AA"));
                assert_eq!(pixels(&bytes), pixels(&whole), "{marker:x} at {at}");
            }
        }
    }
}

#[test]
fn one_picture_does_not_follow_another() {
    let [first, second] = two(progressive);
    let of = |bytes| segments(bytes).into_iter();
    let begun: Vec<_> = of(&first)
        .scan(false, |over, part| {
            (!std::mem::replace(over, *over || part.marker == 0xda)).then_some(part)
        })
        .collect();
    let rest = of(&second).filter(|part| matches!(part.marker, 0xda | 0xc4));
    // The means of one picture, then all of another.
    let mixed = file(begun.iter().copied().chain(rest.clone()));
    assert!(is_refused(&mixed));
    assert!(is_refused(&file(begun.into_iter().chain(of(&second)))));
    let [first, second] = two(|_| {});
    assert!(is_refused(&file(of(&first).chain(of(&second)))));
    let second_scan = of(&second).filter(|part| part.marker == 0xda);
    assert!(is_refused(&file(of(&first).chain(second_scan))));
    assert_eq!(pixels(&[&first[..], &second].concat()), pixels(&first));
}

#[test]
fn markers_that_decoders_treat_differently_are_refused() {
    for set in [|_: &mut Encoder<&mut Vec<u8>>| {}, progressive] {
        let [whole, _] = two(set);
        let parts = segments(&whole);
        for at in 0..parts.len() {
            // Behind a scan they would be a part of its data.
            let is_behind_data = at > 0 && parts[at - 1].marker == 0xda;
            let between: &[&[u8]] = if is_behind_data {
                &[]
            } else {
                &[b"\xff\0", b"\0A"]
            };
            for odd in between.iter().copied().chain([
                &b"\xff\x01"[..],
                b"\xff\xd8",
                b"\xff\xf0\0\x04AA",
                b"\xff\x02\0\x04AA",
                b"\xff\xc8\0\x04AA",
                b"\xff\xcc\0\x04\0\x10",
                b"\xff\xdc\0\x04\0\x40",
                b"\xff\xde\0\x04AA",
                b"\xff\xdf\0\x03\x11",
                b"\xff\xe5\0\x01",
            ]) {
                assert!(is_refused(&with(&whole, at, odd)), "{odd:x?} at {at}");
            }
        }
    }
}

#[test]
fn padding_and_fill_bytes_change_nothing() {
    let marked = |encoder: &mut Encoder<&mut Vec<u8>>| encoder.set_restart_interval(2);
    for set in [|_: &mut Encoder<&mut Vec<u8>>| {}, marked, progressive] {
        let [whole, _] = two(set);
        let parts = segments(&whole);
        for (at, part) in parts.iter().enumerate() {
            // Zeros behind a scan would be a part of its data.
            let is_behind_data = at > 0 && parts[at - 1].marker == 0xda;
            if at > 0 && !is_behind_data {
                assert_eq!(pixels(&with(&whole, at, &[0; 5])), pixels(&whole));
            }
            let filled = with(&whole, at, &[0xff; 3]);
            assert_eq!(pixels(&filled), pixels(&whole), "{:x}", part.marker);
        }
        // Some phones write a little more data than there are blocks.
        let (rest, end) = whole.split_at(whole.len() - 2);
        assert_eq!(pixels(&[rest, &[0; 40], end].concat()), pixels(&whole));
    }
    let [whole, _] = two(marked);
    let at = whole.windows(2).rposition(|pair| pair == [0xff, 0xd0]);
    let (head, rest) = whole.split_at(at.unwrap());
    let filled = [head, &[0xff], rest].concat();
    assert_eq!(pixels(&filled), pixels(&whole));
    assert!(seen(&filled).is_some());
}

#[test]
fn restart_markers_stand_where_they_are_due() {
    let [marked, _] = two(|encoder| encoder.set_restart_interval(2));
    let at = marked.windows(2).rposition(|pair| pair == [0xff, 0xd1]);
    let at = at.unwrap();
    let (head, rest) = marked.split_at(at);
    let earlier = head.windows(2).rposition(|pair| pair == [0xff, 0xd0]);
    for odd in [
        [head, &rest[2..]].concat(),
        [head, &[0xff, 0xd2], &rest[2..]].concat(),
        // An interval is missing, or there twice.
        [&head[..earlier.unwrap()], rest].concat(),
        [head, &head[earlier.unwrap()..], rest].concat(),
    ] {
        assert!(is_refused(&odd));
    }
    let [plain, _] = two(|_| {});
    let (head, rest) = plain.split_at(plain.len() - 40);
    assert!(is_refused(&[head, &[0xff, 0xd0], rest].concat()));
}

#[test]
fn data_of_every_kind_are_all_there() {
    let kinds: [fn(&mut Encoder<&mut Vec<u8>>); 4] = [
        |_| {},
        progressive,
        |encoder| encoder.set_sampling_factor(SamplingFactor::F_4_1),
        |encoder| encoder.set_sampling_factor(SamplingFactor::F_2_2),
    ];
    for set in kinds {
        let [whole, _] = two(set);
        let parts = segments(&whole);
        for (at, part) in parts.iter().enumerate() {
            let Some(end) = part.coded.len().checked_sub(2) else {
                continue;
            };
            let mut cut = parts.clone();
            cut[at].coded = &part.coded[..end / 2];
            assert!(is_refused(&file(cut)), "scan at {at}");
        }
    }
}

#[test]
fn quantisation_and_intervals_belong_to_the_whole_picture() {
    let [whole, _] = two(progressive);
    let table = segments(&whole)
        .into_iter()
        .find(|part| part.marker == 0xdb);
    let last = segments(&whole).len();
    let again = segment(0xdb, table.unwrap().data);
    assert!(is_refused(&with(&whole, last - 1, &again)));
    assert_eq!(pixels(&with(&whole, 0, &again)), pixels(&whole));
}

/// The file without its segments of these kinds.
fn without(bytes: &[u8], markers: &[u8]) -> Vec<u8> {
    let parts = segments(bytes).into_iter();
    file(parts.filter(|part| !markers.contains(&part.marker)))
}

#[test]
fn the_usual_tables_need_not_be_there() {
    let [whole, _] = two(|_| {});
    let bare = without(&whole, &[0xc4]);
    assert_eq!(pixels(&bare), pixels(&whole));
    assert!(seen(&bare).is_some());
    assert!(is_refused(&without(&whole, &[0xdb])));
}

/// The file with other names of its components.
fn named(bytes: &[u8], names: [u8; 3]) -> Vec<u8> {
    let mut parts = segments(bytes);
    let kind = parts.iter().position(|part| part.marker == 0xc0).unwrap();
    let mut frame = parts[kind].data.to_vec();
    let at = parts.iter().position(|part| part.marker == 0xda).unwrap();
    let mut scan = parts[at].data.to_vec();
    for (index, name) in names.into_iter().enumerate() {
        frame[6 + 3 * index] = name;
        scan[1 + 2 * index] = name;
    }
    parts[kind].data = &frame;
    parts[at].data = &scan;
    file(parts)
}

/// As libjpeg has it: JFIF, then Adobe, then the names of the components.
#[test]
fn colours_are_those_of_libjpeg() {
    let jfif = segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    let adobe = |transform| segment(0xee, &[&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat());
    let [whole, _] = two(|_| {});
    let bare = without(&whole, &[0xe0, 0xee]);
    let usual = pixels(&bare).unwrap();
    let plain_colours = pixels(&with(&bare, 0, &adobe(0))).unwrap();
    assert_ne!(usual, plain_colours);
    for (before, names, expected) in [
        (vec![], [1, 2, 3], Some(&usual)),
        (vec![], *b"RGB", Some(&plain_colours)),
        (vec![], [0, 1, 2], Some(&usual)),
        (vec![], *b"rgb", Some(&usual)),
        (jfif.clone(), *b"RGB", Some(&usual)),
        (adobe(1), *b"RGB", Some(&usual)),
        (adobe(2), [1, 2, 3], Some(&usual)),
        (adobe(0), [1, 2, 3], Some(&plain_colours)),
        (adobe(3), [1, 2, 3], None),
        ([adobe(0), adobe(1)].concat(), [1, 2, 3], Some(&usual)),
        ([adobe(0), jfif.clone()].concat(), [1, 2, 3], Some(&usual)),
        ([jfif, adobe(0)].concat(), *b"RGB", Some(&usual)),
        (segment(0xe0, b"JFIF\0"), *b"RGB", Some(&plain_colours)),
    ] {
        let bytes = with(&named(&bare, names), 0, &before);
        assert_eq!(pixels(&bytes).as_ref(), expected, "{before:x?} {names:?}");
    }
    // What stands behind the first scan comes too late.
    let last = segments(&bare).len();
    assert_eq!(pixels(&with(&bare, last, &adobe(0))), Some(usual));
}

#[test]
fn metadata_of_another_picture_do_not_turn_it() {
    let [whole, _] = two(progressive);
    let first_scan = segments(&whole)
        .iter()
        .position(|part| part.marker == 0xda)
        .unwrap();
    let turn = segment(0xe1, &exif(6));
    let size = |at| {
        let bytes = with(&whole, at, &turn);
        let picture = encoded::decode(&bytes, &LIMITS, &Overview::full(), &far()).unwrap();
        [picture.width(), picture.height()]
    };
    assert_eq!(size(first_scan), [64, 96]);
    assert_eq!(size(first_scan + 1), [96, 64]);
}

/// A grey frame of this kind, of 8 pixels a side, with a code for each symbol.
fn one_block(frame: u8, dc: &[u8], ac: &[u8], scans: &[Vec<u8>]) -> Vec<u8> {
    let table = |class: u8, symbols: &[u8]| {
        // All are four bits long: the first is 0000.
        let counts: [u8; 16] = std::array::from_fn(|at| u8::from(at == 3) * symbols.len() as u8);
        segment(0xc4, &[&[class][..], &counts, symbols].concat())
    };
    [
        vec![0xff, 0xd8],
        segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        segment(frame, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]),
        table(0, dc),
        table(0x10, ac),
        scans.concat(),
        vec![0xff, 0xd9],
    ]
    .concat()
}

fn scan(first: u8, last: u8, bits: u8, data: &[u8]) -> Vec<u8> {
    [segment(0xda, &[1, 1, 0, first, last, bits]), data.to_vec()].concat()
}

#[test]
fn coefficients_stay_within_their_band() {
    // 0000: no difference. Then 0000: two zeros and a coefficient of one bit, or 0001: the end.
    let means = scan(0, 0, 0, &[0x0f]);
    let band = |first, last, data: &[u8]| {
        let scans = [means.clone(), scan(first, last, 0, data)];
        one_block(0xc2, &[0], &[0x21, 0x00], &scans)
    };
    assert!(!is_refused(&band(3, 63, &[0b0000_1000, 0b1111_1110])));
    assert!(!is_refused(&band(3, 5, &[0b0000_1111])));
    assert!(is_refused(&band(3, 4, &[0b0000_1111])));
    assert!(is_refused(&band(62, 63, &[0b0000_1111])));
    // Of a whole block: four times fifteen zeros and a coefficient, then once more.
    let whole = |count| {
        let data = [0; 10];
        let scans = [scan(0, 63, 0, &[&[0x00][..], &data[..count]].concat())];
        one_block(0xc0, &[0], &[0xf1], &scans)
    };
    assert!(is_refused(&whole(4)) && is_refused(&whole(10)));
}

#[test]
fn passes_follow_one_another() {
    let means = |bits, data| scan(0, 0, bits, &[data]);
    let band = |bits, data: &[u8]| scan(1, 63, bits, data);
    let file = |scans: &[Vec<u8>]| one_block(0xc2, &[0], &[0x00, 0x01], scans);
    // The end of the band, with a bit for one that has begun; a coefficient of one bit, without and with such a bit.
    let end = &[0b0000_1111];
    let (one, another) = (&[0b0001_1000, 0b0111_1111], &[0b0001_1000, 0b0011_1111]);
    for (fits, scans) in [
        (true, vec![means(0, 0x0f), band(0, end)]),
        (
            true,
            vec![
                means(0, 0x0f),
                band(2, one),
                band(0x21, end),
                band(0x10, another),
            ],
        ),
        (true, vec![means(0x01, 0x0f), means(0x10, 0x7f)]),
        (false, vec![means(0, 0x0f), means(0, 0x0f)]),
        (false, vec![means(0x01, 0x0f), means(0x20, 0x7f)]),
        (false, vec![means(0, 0x0f), band(0, end), band(0, end)]),
        (false, vec![means(0, 0x0f), band(0x10, end)]),
        (false, vec![means(0, 0x0f), band(2, end), band(0x20, end)]),
        (false, vec![scan(0, 63, 0, &[0x00])]),
        (false, vec![means(0x0e, 0x0f)]),
    ] {
        assert_eq!(is_refused(&file(&scans)), !fits, "{scans:x?}");
    }
}

/// Data of these bits, with ones up to a whole byte.
fn coded(bits: &str) -> Vec<u8> {
    let bits: Vec<u8> = bits.bytes().map(|bit| bit - b'0').collect();
    let byte = |bits: &[u8]| (0..8).fold(0, |byte, at| byte << 1 | bits.get(at).unwrap_or(&1));
    let bytes = bits.chunks(8).map(byte);
    // A byte of ones is followed by zeros.
    bytes
        .flat_map(|byte| [byte, 0].into_iter().take(1 + usize::from(byte == 0xff)))
        .collect()
}

#[test]
fn no_mean_is_larger_than_a_picture_has() {
    // A difference of eleven bits, the largest one.
    let means = |low| scan(0, 0, low, &coded("000011111111111"));
    let is_taken = |low| !is_refused(&one_block(0xc2, &[11], &[0], &[means(low)]));
    // Eight times as large it is white at 32 bits, and mid grey at 16.
    assert!(is_taken(0) && !is_taken(1) && !is_taken(3) && !is_taken(5));
}

#[test]
fn no_block_has_more_than_a_picture_has() {
    // Coefficients of ten bits, the largest ones, then the end of the block.
    let others = |count| "00001111111111".repeat(count) + "0001";
    let whole = |count| {
        let data = coded(&("0000".to_owned() + &others(count)));
        one_block(0xc0, &[0], &[0x0a, 0x00], &[scan(0, 63, 0, &data)])
    };
    let in_scans = |count, low| {
        let scans = [
            scan(0, 0, 0, &coded("0000")),
            scan(1, 63, low, &coded(&others(count))),
        ];
        one_block(0xc2, &[0], &[0x0a, 0x00], &scans)
    };
    assert!(!is_refused(&whole(4)) && is_refused(&whole(5)));
    assert!(!is_refused(&in_scans(4, 0)) && is_refused(&in_scans(5, 0)));
    // With a bit to come each may become twice as large.
    assert!(!is_refused(&in_scans(1, 1)) && is_refused(&in_scans(2, 1)));
}

#[test]
fn sequential_pictures_have_one_scan() {
    let bytes = encode(&picture([64, 48]), ColorType::Rgb, |encoder| {
        encoder.set_optimized_huffman_tables(true);
    });
    let error = encoded::decode(&bytes, &LIMITS, &coarse(), &far()).unwrap_err();
    assert!(error.to_string().contains("in scans"), "{error}");
}

#[test]
fn frames_that_decoders_take_differently_are_refused() {
    let code = |frame: u8, components: &[u8], scanned: &[u8]| {
        let size = [8, 0, 8, 0, 8, (components.len() / 3) as u8];
        let names = scanned.iter().flat_map(|name| [*name, 0]);
        let count = scanned.len() as u8;
        let band = [0, if frame == 0xc2 { 0 } else { 63 }, 0];
        let scan: Vec<u8> = [count].into_iter().chain(names).chain(band).collect();
        let file = [
            &[0xff, 0xd8][..],
            &segment(frame, &[&size[..], components].concat()),
            &segment(0xda, &scan),
            &[0xff, 0xd9],
        ];
        Plain::of(&file.concat()).err().map(|error| error.code())
    };
    let parts = |[y, u, v]: [u8; 3]| [1, y, 0, 2, u, 0, 3, v, 0];
    let refused = Some(ErrorCode::UnreadableImage);
    for sampling in [
        [0x11; 3],
        [0x21, 0x11, 0x11],
        [0x22, 0x11, 0x11],
        [0x11, 0x12, 0x12],
    ] {
        assert_eq!(code(0xc0, &parts(sampling), &[1, 2, 3]), None);
        assert_eq!(code(0xc2, &parts(sampling), &[1]), None);
        assert_eq!(code(0xc1, &parts(sampling), &[1]), refused);
    }
    // Finer across than the brightness.
    for sampling in [[0x11, 0x22, 0x22], [0x11, 0x21, 0x11], [0x12, 0x22, 0x22]] {
        assert_eq!(code(0xc0, &parts(sampling), &[1, 2, 3]), refused);
        assert_eq!(code(0xc2, &parts(sampling), &[1, 2, 3]), refused);
    }
    let usual = parts([0x11; 3]);
    for scanned in [&[][..], &[2, 1, 3], &[1, 1, 2], &[1, 2, 4], &[1, 2]] {
        assert_eq!(code(0xc0, &usual, scanned), refused, "{scanned:?}");
    }
    assert_eq!(code(0xc0, &usual[..6], &[1, 2]), refused);
    let twice = [&usual[..6], &usual[..3]].concat();
    assert_eq!(code(0xc0, &twice, &[1, 2, 1]), refused);
}

#[test]
fn only_the_end_of_the_image_counts() {
    let [whole, _] = two(progressive);
    // A thumbnail's end inside a segment.
    let preview = with(&whole, 0, &segment(0xe1, &[0xff, 0xd9, 0xff, 0xd9]));
    assert_eq!(pixels(&preview), pixels(&whole));
    for end in 0..preview.len() {
        assert!(Plain::of(&preview[..end]).is_err(), "{end}");
    }
}

#[test]
fn pieces_of_metadata_may_be_many() {
    let [whole, _] = two(|_| {});
    let short_part = segment(0xe1, b"http://ns.adobe.com/xmp/extension/\0 too short");
    let many = [short_part, segment(0xfe, &[0xff, 0xda].repeat(100))].concat();
    let bytes = with(&whole, 0, &many.repeat(1000));
    assert_eq!(pixels(&bytes), pixels(&whole));
    assert!(seen(&bytes).is_some());
}
