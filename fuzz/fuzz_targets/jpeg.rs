//! The library's own JPEG decoder beside the one of the `image` crate.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use liveness_fuzz::mutate;

fuzz_target!(|data: &[u8]| liveness::compare_jpeg_decoders(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::image_file(data, size, max_size, seed)
});
