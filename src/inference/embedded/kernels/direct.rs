//! Convolution as it is written down.

use super::simd::InstructionSet;
use super::tile::{Layer, Tile};
use super::{BLOCK, BORDER, Batch, Conv, ConvShape, Epilogue, Map};

/// `[output block][input block][row][column][channel of the input block][BLOCK outputs]`
pub(super) fn pack(shape: &ConvShape, plain: &[f32]) -> Vec<f32> {
    let p = shape;
    let taps = p.kernel * p.kernel;
    let per_output = p.in_channels * taps;
    let out_blocks = p.out_channels.div_ceil(BLOCK);
    let mut weights = vec![0.0; out_blocks * per_output * BLOCK];
    let mut packed = weights.chunks_exact_mut(BLOCK);
    for first_output in (0..p.out_channels).step_by(BLOCK) {
        let outputs = BLOCK.min(p.out_channels - first_output);
        for first_input in (0..p.in_channels).step_by(p.layout.block()) {
            let inputs = p.layout.block().min(p.in_channels - first_input);
            for tap in 0..taps {
                for input in first_input..first_input + inputs {
                    let Some(lanes) = packed.next() else { break };
                    for (lane, weight) in lanes.iter_mut().take(outputs).enumerate() {
                        *weight = plain[(first_output + lane) * per_output + input * taps + tap];
                    }
                }
            }
        }
    }
    weights
}

/// Numbers from weights in use to those that will be used soon.
const AHEAD: usize = 8 * BLOCK;

/// Convolves maps and buffers that [`super::convolve`] has checked. The pictures of the batch go
/// by one after the other while their weights stay in the first cache.
pub(super) fn convolve(
    set: InstructionSet,
    conv: &Conv,
    weights: &[f32],
    batch: Batch<'_>,
    epilogue: Epilogue,
    (output, to): (&mut [f32], &Map),
) {
    let from = batch.map;
    let blocks = to.blocks();
    let per_channel = conv.shape.kernel * conv.shape.kernel * BLOCK;
    let per_block = conv.shape.in_channels * per_channel;
    assert_eq!(weights.len(), blocks * per_block);
    let mut layer = Layer {
        column: from.layout.block(),
        row: from.row(),
        plane: from.plane(),
        channels: conv.shape.in_channels,
        kernel: conv.shape.kernel,
        weights: per_block,
        ahead: AHEAD,
        out_plane: to.plane(),
        starts: true,
        ends: true,
        epilogue,
    };
    let step = conv.shape.stride * layer.column;
    let origin = BORDER - conv.shape.padding;
    let rows = (0..batch.pictures).flat_map(|picture| (0..to.height).map(move |y| (picture, y)));
    let mut block = 0;
    while block < blocks {
        let shape = set.shape(blocks - block, to.width);
        let part = part(shape.blocks * per_channel, layer.column);
        for first in (0..conv.shape.in_channels).step_by(part) {
            layer.channels = part.min(conv.shape.in_channels - first);
            layer.starts = first == 0;
            layer.ends = first + layer.channels == conv.shape.in_channels;
            let plane = first / layer.column * layer.plane;
            for (picture, y) in rows.clone() {
                let row = (y * conv.shape.stride + origin) * layer.row + origin * layer.column;
                let input = picture * from.len() + plane + row;
                let row = block * to.plane() + (y + BORDER) * to.row() + BORDER * BLOCK;
                let target = picture * to.len() + row;
                let mut x = 0;
                for tile in 0..shape.tiles {
                    let pixels = (to.width - x).div_ceil(shape.tiles - tile);
                    let compute = set.tile(shape.blocks, pixels, step);
                    let at = target + x * BLOCK;
                    // SAFETY: the instruction set is one that this processor has, as is checked
                    // where it is chosen. The tile covers output blocks `block..block +
                    // shape.blocks`, row `y` and columns `x..x + pixels` of one picture, and input
                    // channels `first..first + layer.channels`, all inside the maps whose sizes
                    // were checked before: it reads the weights and the biases of these, and
                    // writes (and reads from the residual, which has the same shape) inside the
                    // border. The last input row it reads is (height - 1) * stride + origin +
                    // kernel - 1, which by the definition of the output's height is at most the
                    // input's height + 1: the border below. The same holds for columns.
                    unsafe {
                        compute(
                            &layer,
                            Tile {
                                input: batch.values.as_ptr().add(input + x * step),
                                weights: weights
                                    .as_ptr()
                                    .add(block * per_block + first * per_channel),
                                bias: conv.bias.as_ptr().add(block * BLOCK),
                                residual: batch.residual.map(|residual| residual.as_ptr().add(at)),
                                output: output.as_mut_ptr().add(at),
                            },
                        );
                    }
                    x += pixels;
                }
            }
        }
        block += shape.blocks;
    }
}

/// Input channels whose weights stay in the first cache while a whole picture goes by: whole
/// blocks of `column` channels with `per_channel` weights each.
fn part(per_channel: usize, column: usize) -> usize {
    const CACHE: usize = (24 << 10) / size_of::<f32>();
    (CACHE / per_channel / column).max(1) * column
}
