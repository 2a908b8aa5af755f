//! The engine against a convolution as one would write it down, and against hostile files.

use super::kernels::{
    Batch, Conv, ConvShape, Epilogue, InstructionSet, Layout, Map, clear_border, convolve,
};
use super::*;

/// Numbers that look random, in -1..1.
fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut next = noise(seed);
    (0..count).map(|_| next()).collect()
}

/// Place of a number in a map.
fn place(map: &Map, channel: usize, y: usize, x: usize) -> usize {
    let block = map.layout.block();
    channel / block * map.plane() + (y + 1) * map.row() + (x + 1) * block + channel % block
}

/// `[channel][row][column]` as a map lies in memory; what is unused is not a number where it must
/// not be read.
fn to_map(planes: &[f32], map: &Map) -> Vec<f32> {
    let mut values = vec![f32::NAN; map.len()];
    clear_border(&mut values, map);
    for channel in 0..map.channels {
        for y in 0..map.height {
            for x in 0..map.width {
                values[place(map, channel, y, x)] =
                    planes[(channel * map.height + y) * map.width + x];
            }
        }
    }
    values
}

#[derive(Debug, Clone, Copy)]
struct Case {
    shape: ConvShape,
    size: [usize; 2],
    residual: bool,
    epilogue: Epilogue,
}

/// Pictures of a batch.
const PICTURES: usize = 3;

impl Case {
    /// Weights and bias.
    fn parameters(&self) -> (Vec<f32>, Vec<f32>) {
        let taps = self.shape.kernel * self.shape.kernel;
        let weights = self.shape.out_channels * self.shape.in_channels * taps;
        (numbers(1, weights), numbers(2, self.shape.out_channels))
    }

    fn input(&self) -> Map {
        Map {
            layout: self.shape.layout,
            channels: self.shape.in_channels,
            height: self.size[0],
            width: self.size[1],
        }
    }

    /// Convolves a batch with an instruction set, compares it with what is expected and with the
    /// last picture alone, and gives all of it as it lies in memory.
    fn run(&self, set: InstructionSet) -> Vec<f32> {
        let parameters = self.parameters();
        let conv = Conv::new(self.shape, &parameters.0, &parameters.1);
        let from = self.input();
        let to = conv.output(&from).unwrap();
        let planes: Vec<_> = (0..PICTURES as u32)
            .map(|seed| numbers(3 + seed, from.channels * from.height * from.width))
            .collect();
        let added: Vec<_> = (0..PICTURES as u32)
            .map(|seed| numbers(13 + seed, to.channels * to.height * to.width))
            .collect();
        let maps = |planes: &[Vec<f32>], map: &Map| -> Vec<f32> {
            planes
                .iter()
                .flat_map(|planes| to_map(planes, map))
                .collect()
        };
        let input = maps(&planes, &from);
        let mut residual = maps(&added, &to);
        for value in residual.iter_mut().filter(|value| value.is_nan()) {
            *value = 0.0;
        }
        let convolve = |pictures: std::ops::Range<usize>| {
            let part = |map: &Map| pictures.start * map.len()..pictures.end * map.len();
            let batch = Batch {
                pictures: pictures.len(),
                values: &input[part(&from)],
                map: &from,
                residual: self.residual.then_some(&residual[part(&to)]),
            };
            let mut output = vec![f32::NAN; pictures.len() * to.len()];
            let mut work = vec![f32::NAN; 7];
            convolve(
                set,
                &conv,
                batch,
                self.epilogue,
                (&mut output, &to),
                &mut work,
            );
            output
        };
        let output = convolve(0..PICTURES);
        for (picture, output) in output.chunks_exact(to.len()).enumerate() {
            let added = self.residual.then_some(added[picture].as_slice());
            self.expect(set, &parameters, (&planes[picture], added), (output, &to));
        }
        let last = (PICTURES - 1) * to.len();
        assert_eq!(
            convolve(PICTURES - 1..PICTURES),
            output[last..],
            "{self:?} with {set:?}"
        );
        output
    }

    /// The output before residual and activation, as one would write it down.
    fn plain(
        &self,
        (weights, bias): &(Vec<f32>, Vec<f32>),
        planes: &[f32],
        [channel, y, x]: [usize; 3],
    ) -> f64 {
        let (shape, [height, width]) = (&self.shape, self.size);
        let taps = shape.kernel * shape.kernel;
        let mut sum = f64::from(bias[channel]);
        for input in 0..shape.in_channels {
            for tap in 0..taps {
                let row = (y * shape.stride + tap / shape.kernel).wrapping_sub(shape.padding);
                let column = (x * shape.stride + tap % shape.kernel).wrapping_sub(shape.padding);
                if row < height && column < width {
                    sum += f64::from(weights[(channel * shape.in_channels + input) * taps + tap])
                        * f64::from(planes[(input * height + row) * width + column]);
                }
            }
        }
        sum
    }

    fn expect(
        &self,
        set: InstructionSet,
        parameters: &(Vec<f32>, Vec<f32>),
        (planes, added): (&[f32], Option<&[f32]>),
        (output, to): (&[f32], &Map),
    ) {
        let terms = self.shape.in_channels * self.shape.kernel * self.shape.kernel;
        let tolerance = 1e-6 * terms as f64 + 1e-5;
        let mut inside = 0.0;
        for at in 0..to.channels * to.height * to.width {
            let [channel, y, x] = [
                at / (to.height * to.width),
                at / to.width % to.height,
                at % to.width,
            ];
            let mut sum = self.plain(parameters, planes, [channel, y, x]);
            if self.epilogue.relu_before {
                sum = sum.max(0.0);
            }
            sum += f64::from(added.map_or(0.0, |added| added[at]));
            if self.epilogue.relu_after {
                sum = sum.max(0.0);
            }
            let value = output[place(to, channel, y, x)];
            assert!(
                (f64::from(value) - sum).abs() <= tolerance,
                "{self:?} with {set:?} at {channel} {y} {x}: {value} instead of {sum}"
            );
            inside += f64::from(value.abs());
        }
        // Border and unused channels are zero, not what was in the memory before.
        let sum: f64 = output.iter().map(|value| f64::from(value.abs())).sum();
        assert!((sum - inside).abs() <= 1e-6 * sum, "{self:?} with {set:?}");
    }
}

fn cases() -> Vec<Case> {
    let sizes = [
        [1, 1],
        [1, 9],
        [5, 1],
        [2, 2],
        [3, 7],
        [4, 15],
        [3, 29],
        [6, 57],
    ];
    let channels = [
        [3, 16],
        [1, 1],
        [3, 20],
        [16, 32],
        [17, 33],
        [24, 48],
        [40, 65],
        [64, 100],
        [130, 15],
    ];
    let mut cases = Vec::new();
    for (index, (size, channels)) in sizes
        .into_iter()
        .flat_map(|size| channels.map(|channels| (size, channels)))
        .enumerate()
    {
        for (kernel, stride, padding) in [
            (3, 1, 1),
            (3, 2, 1),
            (1, 1, 0),
            (1, 2, 0),
            (3, 1, 0),
            (3, 2, 0),
            (5, 1, 1),
        ] {
            if size.iter().any(|side| side + 2 * padding < kernel) {
                continue;
            }
            cases.push(Case {
                shape: ConvShape {
                    layout: if channels[0] <= 3 {
                        Layout::Planar
                    } else {
                        Layout::Blocked
                    },
                    in_channels: channels[0],
                    out_channels: channels[1],
                    kernel,
                    stride,
                    padding,
                },
                size,
                residual: index % 2 == 0,
                epilogue: Epilogue {
                    relu_before: index % 3 == 0,
                    relu_after: index % 4 == 0,
                },
            });
        }
    }
    cases
}

#[test]
fn every_instruction_set_computes_the_convolution() {
    let sets = InstructionSet::available();
    assert_eq!(sets.last(), Some(&InstructionSet::Portable));
    for case in cases() {
        let results: Vec<_> = sets.iter().map(|set| case.run(*set)).collect();
        // Those with a fused multiply and add form every sum in one order: not a bit differs.
        let fused = &results[..results.len() - 1];
        assert!(fused.windows(2).all(|pair| pair[0] == pair[1]), "{case:?}");
    }
}

#[test]
fn fewer_multiplications_round_hardly_worse() {
    // What a plain sum in single precision loses, in the order in which one would write it down.
    let direct = |case: &Case,
                  (weights, bias): &(Vec<f32>, Vec<f32>),
                  planes: &[f32],
                  [channel, y, x]: [usize; 3]| {
        let (inputs, [height, width]) = (case.shape.in_channels, case.size);
        let mut sum = bias[channel];
        for input in 0..inputs {
            for tap in 0..9 {
                let stride = case.shape.stride;
                let place = [stride * y + tap / 3, stride * x + tap % 3];
                let [row, column] = place.map(|at| at.wrapping_sub(1));
                if row < height && column < width {
                    sum += weights[(channel * inputs + input) * 9 + tap]
                        * planes[(input * height + row) * width + column];
                }
            }
        }
        sum
    };
    for (channels, stride) in [(16, 1), (32, 1), (64, 1), (96, 1), (16, 2), (64, 2)] {
        let case = Case {
            shape: ConvShape {
                layout: Layout::Blocked,
                in_channels: channels,
                out_channels: channels,
                kernel: 3,
                stride,
                padding: 1,
            },
            size: [8 * stride, 8 * stride],
            residual: false,
            epilogue: Epilogue::default(),
        };
        let parameters = case.parameters();
        let conv = Conv::new(case.shape, &parameters.0, &parameters.1);
        let from = case.input();
        let to = conv.output(&from).unwrap();
        let planes = numbers(3, channels * from.height * from.width);
        let values = to_map(&planes, &from);
        for set in InstructionSet::available() {
            let batch = Batch {
                pictures: 1,
                values: &values,
                map: &from,
                residual: None,
            };
            let mut output = vec![0.0; to.len()];
            let (target, mut work) = ((&mut output[..], &to), Vec::new());
            convolve(set, &conv, batch, case.epilogue, target, &mut work);
            let (mut error, mut plain_error) = (0.0, 0.0);
            for at in 0..4 * 64 {
                let place_of = [at / 64, at / 8 % 8, at % 8];
                let [channel, y, x] = place_of;
                let exact = case.plain(&parameters, &planes, place_of);
                error += (f64::from(output[place(&to, channel, y, x)]) - exact).powi(2);
                let plain = direct(&case, &parameters, &planes, place_of);
                plain_error += (f64::from(plain) - exact).powi(2);
            }
            assert!(
                error <= 9.0 * plain_error,
                "{channels} channels, stride {stride}, with {set:?}: {error:e}, and {plain_error:e} directly"
            );
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let relu = Epilogue {
        relu_before: true,
        relu_after: true,
    };
    for (layout, channels, kernel) in [
        (Layout::Planar, 1, 1),
        (Layout::Blocked, 16, 3),
        (Layout::Blocked, 80, 3),
    ] {
        let shape = ConvShape {
            layout,
            in_channels: channels,
            out_channels: channels,
            kernel,
            stride: 1,
            padding: kernel / 2,
        };
        let conv = Conv::new(
            shape,
            &vec![1.0; channels * channels * kernel * kernel],
            &vec![0.0; channels],
        );
        let map = Map {
            layout,
            channels,
            height: 1,
            width: 1,
        };
        let to = conv.output(&map).unwrap();
        for set in InstructionSet::available() {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut planes = vec![0.0; channels];
                planes[channels / 2] = bad;
                let batch = Batch {
                    pictures: 1,
                    values: &to_map(&planes, &map),
                    map: &map,
                    residual: None,
                };
                let mut output = vec![0.0; to.len()];
                let (output_of, mut work) = ((&mut output[..], &to), Vec::new());
                convolve(set, &conv, batch, relu, output_of, &mut work);
                let value = output[place(&to, 0, 0, 0)];
                assert!(!value.is_finite(), "{set:?}: {bad} became {value}");
                assert!(
                    !bad.is_nan() || value.is_nan(),
                    "{set:?}: {bad} became {value}"
                );
            }
        }
    }
}

mod file {
    //! Writes small ONNX files.

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    pub fn integer(number: u64, value: i64) -> Vec<u8> {
        [varint(number << 3), varint(value as u64)].concat()
    }

    pub fn bytes(number: u64, value: &[u8]) -> Vec<u8> {
        [
            varint(number << 3 | 2),
            varint(value.len() as u64),
            value.to_vec(),
        ]
        .concat()
    }

    pub fn attribute(name: &str, value: Vec<u8>) -> Vec<u8> {
        bytes(5, &[bytes(1, name.as_bytes()), value].concat())
    }

    pub fn int(name: &str, value: i64) -> Vec<u8> {
        attribute(name, integer(3, value))
    }

    pub fn text(name: &str, value: &str) -> Vec<u8> {
        attribute(name, bytes(4, value.as_bytes()))
    }

    pub fn ints(name: &str, values: &[i64]) -> Vec<u8> {
        attribute(
            name,
            values.iter().flat_map(|value| integer(8, *value)).collect(),
        )
    }

    /// A field that is a tensor.
    pub fn tensor(number: u64, name: &str, dims: &[i64], kind: i64, raw: Vec<u8>) -> Vec<u8> {
        let dims: Vec<u8> = dims.iter().flat_map(|size| integer(1, *size)).collect();
        let tensor = [
            dims,
            integer(2, kind),
            bytes(8, name.as_bytes()),
            bytes(9, &raw),
        ];
        bytes(number, &tensor.concat())
    }

    pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> Vec<u8> {
        let raw = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        tensor(5, name, dims, 1, raw)
    }

    pub fn integers(name: &str, values: &[i64]) -> Vec<u8> {
        let raw = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        tensor(5, name, &[values.len() as i64], 7, raw)
    }

    pub fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
        let inputs: Vec<u8> = inputs
            .iter()
            .flat_map(|name| bytes(1, name.as_bytes()))
            .collect();
        let output = bytes(2, output.as_bytes());
        let name = bytes(3, format!("the {op}").as_bytes());
        let op = bytes(4, op.as_bytes());
        bytes(1, &[inputs, output, name, op, attributes.concat()].concat())
    }

    /// An input or output; a negative size is open.
    fn value(number: u64, name: &str, kind: i64, dims: &[i64]) -> Vec<u8> {
        let dimension = |size: &i64| match *size < 0 {
            true => bytes(1, &bytes(2, b"open")),
            false => bytes(1, &integer(1, *size)),
        };
        let shape: Vec<u8> = dims.iter().flat_map(dimension).collect();
        let kind = bytes(1, &[integer(1, kind), bytes(2, &shape)].concat());
        bytes(
            number,
            &[bytes(1, name.as_bytes()), bytes(2, &kind)].concat(),
        )
    }

    /// A file of such nodes and weights.
    pub fn model(parts: &[Vec<u8>], input: &[i64], outputs: &[&str]) -> Vec<u8> {
        model_of(1, parts, input, outputs)
    }

    /// The same with an input of another type.
    pub fn model_of(kind: i64, parts: &[Vec<u8>], input: &[i64], outputs: &[&str]) -> Vec<u8> {
        let mut graph = parts.concat();
        graph.extend(value(11, "input", kind, input));
        for name in outputs {
            graph.extend(value(12, name, 1, &[]));
        }
        [bytes(8, &integer(2, 17)), bytes(7, &graph)].concat()
    }
}

fn load(bytes: Vec<u8>) -> Result<Box<dyn Session>, String> {
    Embedded::new().load(&Model::new(bytes))
}

fn tensor(shape: &[usize], seed: u32) -> Tensor {
    Tensor {
        shape: shape.to_vec(),
        data: numbers(seed, shape.iter().product()),
    }
}

/// A small network with every operator that the engine knows.
fn network() -> Vec<u8> {
    let conv = |stride: i64| {
        vec![
            file::ints("pads", &[1; 4]),
            file::ints("strides", &[stride; 2]),
            file::ints("dilations", &[1; 2]),
            file::int("group", 1),
        ]
    };
    let nearest = [
        file::text("mode", "nearest"),
        file::text("coordinate_transformation_mode", "asymmetric"),
        file::text("nearest_mode", "floor"),
    ];
    let axes = [file::ints("axes", &[2, 3]), file::int("keepdims", 0)];
    let parts = [
        file::floats("w1", &[5, 3, 3, 3], &numbers(1, 135)),
        file::floats("b1", &[5], &numbers(2, 5)),
        file::floats("w2", &[5, 5, 3, 3], &numbers(3, 225)),
        file::floats("w3", &[4, 5, 1, 1], &numbers(4, 20)),
        file::floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0]),
        file::floats("half", &[], &[0.5]),
        file::floats("low", &[], &[-0.25]),
        file::floats("high", &[], &[0.75]),
        file::floats("w4", &[2, 15], &numbers(5, 30)),
        file::floats("b4", &[2], &numbers(6, 2)),
        file::integers("one", &[1]),
        file::integers("three", &[3]),
        file::node("Conv", &["input", "w1", "b1"], "c1", &conv(2)),
        file::node("Relu", &["c1"], "r1", &[]),
        file::node("Conv", &["r1", "w2"], "c2", &conv(1)),
        file::node("Add", &["r1", "c2"], "a2", &[]),
        file::node("Relu", &["a2"], "r2", &[]),
        file::node("Resize", &["r2", "", "scales"], "z", &nearest),
        file::node("Conv", &["z", "w3"], "c3", &[]),
        file::node("Slice", &["c3", "one", "three", "one"], "s", &[]),
        file::node("Clip", &["s", "low", "high"], "t", &[]),
        file::node("Exp", &["t"], "e", &[]),
        file::node("Mul", &["e", "half"], "m", &[]),
        file::node("Add", &["half", "m"], "p", &[]),
        file::node("Sigmoid", &["p"], "map", &[]),
        file::node("ReduceMean", &["r2"], "mean", &axes),
        file::node("ReduceMax", &["r2"], "max", &axes),
        file::node("GlobalAveragePool", &["r2"], "pool", &[]),
        file::node("Flatten", &["pool"], "flat", &[]),
        file::node(
            "Concat",
            &["mean", "max", "flat"],
            "all",
            &[file::int("axis", 1)],
        ),
        file::node(
            "Gemm",
            &["all", "w4", "b4"],
            "logits",
            &[file::int("transB", 1)],
        ),
    ];
    file::model(&parts, &[-1, 3, -1, -1], &["map", "logits"])
}

/// Planes of one picture, computed as one would write it down.
fn plain_conv(
    planes: &[f32],
    size: [usize; 2],
    weights: &[f32],
    bias: &[f32],
    stride: usize,
) -> Vec<f32> {
    let (side, inputs) = (size[0] / stride, planes.len() / (size[0] * size[1]));
    let width = size[1] / stride;
    let mut output = Vec::new();
    for (channel, bias) in bias.iter().enumerate() {
        for at in 0..side * width {
            let mut sum = *bias;
            for input in 0..inputs {
                for tap in 0..9 {
                    let y = (at / width * stride + tap / 3).wrapping_sub(1);
                    let x = (at % width * stride + tap % 3).wrapping_sub(1);
                    if y < size[0] && x < size[1] {
                        sum += weights[(channel * inputs + input) * 9 + tap]
                            * planes[(input * size[0] + y) * size[1] + x];
                    }
                }
            }
            output.push(sum);
        }
    }
    output
}

fn close(values: &[f32], expected: &[f32]) {
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        assert!(
            (value - expected).abs() < 1e-4,
            "{values:?} instead of {expected:?}"
        );
    }
}

#[test]
fn a_network_of_every_operator() {
    let session = load(network()).unwrap();
    assert_eq!(
        session.inputs(),
        [("input".into(), vec![None, Some(3), None, None])]
    );
    assert_eq!(session.outputs(), ["map", "logits"]);
    let input = tensor(&[1, 3, 6, 10], 9);
    let outputs = session.run(&input, &["logits", "map"]).unwrap();

    let relu = |values: Vec<f32>| -> Vec<f32> { values.into_iter().map(|x| x.max(0.0)).collect() };
    let first = relu(plain_conv(
        &input.data,
        [6, 10],
        &numbers(1, 135),
        &numbers(2, 5),
        2,
    ));
    let second = plain_conv(&first, [3, 5], &numbers(3, 225), &[0.0; 5], 1);
    let second = relu(first.iter().zip(&second).map(|(a, b)| a + b).collect());
    let mean: Vec<f32> = second
        .chunks(15)
        .map(|plane| plane.iter().sum::<f32>() / 15.0)
        .collect();
    let max: Vec<f32> = second
        .chunks(15)
        .map(|plane| plane.iter().copied().fold(0.0, f32::max))
        .collect();
    let all = [mean.clone(), max, mean].concat();
    let dot = |row: &[f32]| row.iter().zip(&all).map(|(a, b)| a * b).sum::<f32>();
    let logits: Vec<f32> = numbers(5, 30)
        .chunks(15)
        .map(dot)
        .zip(numbers(6, 2))
        .map(|(a, b)| a + b)
        .collect();
    assert_eq!(outputs[0].shape, [1, 2]);
    close(&outputs[0].data, &logits);

    let weights = numbers(4, 20);
    let mut map = Vec::new();
    for channel in 1..3 {
        for at in 0..60 {
            let from = at / 10 / 2 * 5 + at % 10 / 2;
            let sum: f32 = (0..5)
                .map(|c| weights[channel * 5 + c] * second[c * 15 + from])
                .sum();
            let value = sum.clamp(-0.25, 0.75).exp() * 0.5 + 0.5;
            map.push(1.0 / (1.0 + (-value).exp()));
        }
    }
    assert_eq!(outputs[1].shape, [1, 2, 6, 10]);
    close(&outputs[1].data, &map);
}

#[test]
fn an_answer_depends_neither_on_the_batch_nor_on_the_thread() {
    let session = load(network()).unwrap();
    let batch = tensor(&[3, 3, 32, 64], 7);
    let together = session.run(&batch, &["map", "logits"]).unwrap();
    assert_eq!(together[0].shape, [3, 2, 32, 64]);
    std::thread::scope(|scope| {
        for (at, picture) in batch.data.chunks(3 * 32 * 64).enumerate() {
            let (session, together) = (&session, &together);
            scope.spawn(move || {
                let picture = Tensor {
                    shape: vec![1, 3, 32, 64],
                    data: picture.to_vec(),
                };
                for _ in 0..5 {
                    // Another size in between leaves nothing behind in the memory.
                    session.run(&tensor(&[1, 3, 64, 96], 8), &["map"]).unwrap();
                    let alone = session.run(&picture, &["map", "logits"]).unwrap();
                    for (alone, together) in alone.iter().zip(together) {
                        assert_eq!(
                            alone.data,
                            together.data.chunks(alone.data.len()).nth(at).unwrap()
                        );
                    }
                }
            });
        }
    });
}

#[test]
fn nothing_of_a_picture_is_left_when_it_is_to_be_forgotten() {
    let bytes = network();
    let plan = Plan::new(&onnx::Graph::read(&bytes).unwrap()).unwrap();
    let set = InstructionSet::best();
    let mut scratch = Scratch::default();
    assert!(!scratch.used());
    for size in [64, 32] {
        let input = tensor(&[3, 3, size, size], 7);
        compute(&plan, set, &mut scratch, &input, &["map", "logits"]).unwrap();
        assert!(scratch.used() && scratch.numbers().any(|number| number != 0.0));
        scratch.forget();
        assert!(!scratch.used() && scratch.numbers().all(|number| number == 0.0));
    }
}

#[test]
fn a_picture_of_the_wrong_shape_is_an_error() {
    let session = load(network()).unwrap();
    for shape in [
        &[1, 3, 32][..],
        &[1, 4, 32, 32],
        &[0, 3, 32, 32],
        &[1, 3, 0, 32],
        &[1, 3, 1 << 20, 1 << 20],
    ] {
        let input = Tensor {
            shape: shape.to_vec(),
            data: Vec::new(),
        };
        assert!(session.run(&input, &["map"]).is_err(), "{shape:?}");
    }
    let mut short = tensor(&[1, 3, 32, 32], 1);
    short.data.pop();
    assert!(session.run(&short, &["map"]).is_err());
    assert!(
        session
            .run(&tensor(&[1, 3, 32, 32], 1), &["nothing"])
            .is_err()
    );
}

#[test]
fn a_number_that_is_not_finite_is_an_answer_that_the_library_refuses() {
    let session = load(network()).unwrap();
    let mut input = tensor(&[1, 3, 32, 32], 1);
    input.data[100] = f32::NAN;
    for output in session.run(&input, &["map", "logits"]).unwrap() {
        assert!(output.data.iter().any(|value| value.is_nan()));
    }
}

#[test]
fn weights_that_are_not_finite_do_not_load() {
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let parts = [
            file::floats("w", &[1, 3, 1, 1], &[1.0, number, 1.0]),
            file::node("Conv", &["input", "w"], "out", &[]),
        ];
        for model in [
            file::model(&parts, &[1, 3, 4, 4], &["out"]),
            two_weights(weight(5, "w", number), weight(5, "c", 1.0)),
            two_weights(weight(5, "w", 1.0), weight(5, "c", number)),
            // Of a type of which other readers keep the lower 32 bits.
            two_weights(
                file::tensor(
                    5,
                    "w",
                    &[1; 4],
                    (1 << 32) + 1,
                    number.to_le_bytes().to_vec(),
                ),
                weight(5, "c", 1.0),
            ),
        ] {
            for error in refusals(model) {
                assert!(error.contains("finite"), "{error}");
            }
        }
    }
}

#[test]
fn weights_are_looked_at_wherever_a_file_can_have_them() {
    let bad = |number| weight(number, "c", f32::NAN);
    let single = f32::INFINITY.to_le_bytes();
    let attributes = [
        bad(5),
        bad(10),
        // A list, a single number, a branch, a sparse tensor.
        file::bytes(7, &single),
        [vec![2 << 3 | 5], single.to_vec()].concat(),
        file::bytes(6, &bad(5)),
        file::bytes(22, &bad(1)),
    ];
    let constant = |value| file::node("Any", &[], "c", &[file::attribute("any", value)]);
    let mut function = constant(bad(5));
    function[0] = 7 << 3 | 2;
    let mut models = vec![
        file::bytes(25, &function),
        file::bytes(7, &file::bytes(15, &bad(1))),
    ];
    models.extend(attributes.map(|value| file::model(&[constant(value)], &[1], &[])));
    for (case, model) in models.into_iter().enumerate() {
        let error = ensure_sound_weights(&model).expect_err(&case.to_string());
        assert!(error.contains("finite"), "{case}: {error}");
    }
    let deep = (0..1000).fold(Vec::new(), |inside, _| constant(file::bytes(6, &inside)));
    let error = ensure_sound_weights(&file::model(&[deep], &[1], &[])).unwrap_err();
    assert!(error.contains("too deep"), "{error}");
}

/// Both engines' answers to a model. Without an ONNX Runtime, what is asked before it is given a model.
fn refusals(model: Vec<u8>) -> [String; 2] {
    let path = std::env::var_os("LIVENESS_ONNXRUNTIME").filter(|path| !path.is_empty());
    let other = match path {
        Some(path) => crate::inference::runtime(Some(path.as_ref()))
            .unwrap()
            .load(&Model::new(model.clone()))
            .map(drop),
        None => ensure_sound_weights(&model),
    };
    [load(model).map(drop), other].map(|answer| answer.unwrap_err())
}

#[test]
fn what_engines_would_read_in_two_ways_does_not_load() {
    let sound = || weight(5, "w", 1.0);
    let again = [sound(), weight(5, "w", -1.0)].concat();
    for error in refusals(two_weights(again, weight(5, "c", 1.0))) {
        assert!(error.contains("two values"), "{error}");
    }
    // Each half of a constant alone has nothing that is not finite.
    let raw = file::bytes(5, &file::bytes(9, &f32::NAN.to_le_bytes()));
    let halves = [weight(5, "c", 1.0), raw].concat();
    let error = ensure_sound_weights(&two_weights(sound(), halves)).unwrap_err();
    assert!(error.contains("twice"), "{error}");
}

/// One weight in an initializer, as this field, and another in a constant.
fn two_weights(initializer: Vec<u8>, constant: Vec<u8>) -> Vec<u8> {
    let parts = [
        initializer,
        file::node("Constant", &[], "c", &[file::attribute("value", constant)]),
        file::node("Conv", &["input", "w"], "v", &[]),
        file::node("Mul", &["v", "c"], "out", &[]),
    ];
    file::model(&parts, &[1, 1, 4, 4], &["out"])
}

fn weight(number: u64, name: &str, value: f32) -> Vec<u8> {
    let dims: &[i64] = if name == "w" { &[1; 4] } else { &[] };
    file::tensor(number, name, dims, 1, value.to_le_bytes().to_vec())
}

#[test]
fn weights_outside_the_file_do_not_load() {
    let elsewhere = |name: &str| {
        let place = [file::bytes(1, b"location"), file::bytes(2, b"weights.bin")];
        let tensor = [
            file::integer(1, 1).repeat(if name == "w" { 4 } else { 0 }),
            file::integer(2, 1),
            file::bytes(8, name.as_bytes()),
            file::bytes(13, &place.concat()),
            file::integer(14, 1),
        ];
        file::bytes(5, &tensor.concat())
    };
    let unused = file::bytes(7, &elsewhere("u"));
    for model in [
        two_weights(elsewhere("w"), weight(5, "c", 1.0)),
        two_weights(weight(5, "w", 1.0), elsewhere("c")),
        [network(), unused].concat(),
    ] {
        for error in refusals(model) {
            assert!(error.contains("in another file"), "{error}");
        }
    }
    let sound = two_weights(weight(5, "w", 1.0), weight(5, "c", 1.0));
    assert!(load(sound.clone()).is_ok() && ensure_sound_weights(&sound).is_ok());
}

#[test]
fn what_is_not_supported_is_named() {
    let weights = file::floats("w", &[4, 3, 3, 3], &numbers(1, 108));
    let deep = file::floats("deep", &[1; 3], &[2.0]);
    let conv = |attribute| file::node("Conv", &["input", "w"], "out", &[attribute]);
    let cases = [
        (file::node("Softmax", &["input"], "out", &[]), "operator"),
        (conv(file::int("group", 3)), "group"),
        (conv(file::ints("dilations", &[2, 2])), "dilations"),
        (conv(file::ints("strides", &[3, 3])), "strides"),
        (conv(file::ints("pads", &[2; 4])), "pads"),
        (conv(file::ints("pads", &[0, 0, 1, 1])), "pads"),
        (conv(file::ints("pads", &[1])), "pads"),
        (conv(file::ints("strides", &[2; 3])), "strides"),
        (conv(file::int("min", 0)), "attribute 'min'"),
        (
            conv([file::int("group", 1), file::int("group", 3)].concat()),
            "'group' twice",
        ),
        (
            file::node("Relu", &["input", "input"], "out", &[]),
            "2 inputs",
        ),
        (
            file::node("Mul", &["input", "deep"], "out", &[]),
            "shape [1, 1, 1]",
        ),
        (
            file::node("Conv", &["input", "w", "deep"], "out", &[]),
            "biases",
        ),
        (conv(file::ints("kernel_shape", &[1, 1])), "kernel_shape"),
        (conv(file::text("auto_pad", "SAME_UPPER")), "auto_pad"),
        (
            file::node("Conv", &["input", "input"], "out", &[]),
            "constant",
        ),
        (
            file::node("Conv", &["later", "w"], "out", &[]),
            "no value 'later'",
        ),
        (file::node("Conv", &["input"], "out", &[]), "missing"),
        (file::node("Relu", &["input"], "input", &[]), "two values"),
        (
            file::node("GlobalAveragePool", &["input"], "out", &[]),
            "convolution",
        ),
    ];
    for (node, cause) in cases {
        let error = load(file::model(
            &[weights.clone(), deep.clone(), node],
            &[1, 3, 8, 8],
            &["out"],
        ));
        let error = error.err().unwrap();
        assert!(error.contains(cause) && error.contains("'the "), "{error}");
    }
    let other_set = file::bytes(8, &file::integer(2, 99));
    let error = load([network(), other_set].concat()).err().unwrap();
    assert!(error.contains("operator set 99"), "{error}");
    let parts = [weights, file::node("Conv", &["input", "w"], "out", &[])];
    for (kind, loads) in [(1, true), (10, false), (11, false)] {
        let model = file::model_of(kind, &parts, &[1, 3, 8, 8], &["out"]);
        assert_eq!(load(model).is_ok(), loads, "{kind}");
    }
}

#[test]
fn damaged_files_are_errors() {
    let sound = network();
    for length in 0..sound.len() {
        assert!(load(sound[..length].to_vec()).is_err(), "{length}");
    }
    // Whatever still loads must compute or fail, but not panic or take all memory.
    let input = tensor(&[1, 3, 4, 4], 1);
    for at in 0..sound.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = sound.clone();
            damaged[at] ^= change;
            if let Ok(session) = load(damaged) {
                let _ = session.run(&input, &["map", "logits"]);
            }
        }
    }
}

#[test]
fn weights_far_larger_than_the_file_do_not_load() {
    // The same weights in many convolutions, which pad 1 output to 16.
    let mut parts = vec![file::floats("w", &[1, 200, 50, 50], &vec![0.0; 500_000])];
    for index in 0..20 {
        parts.push(file::node(
            "Conv",
            &["input", "w"],
            &format!("c{index}"),
            &[],
        ));
    }
    let matrix = [
        file::tensor(5, "w", &[1 << 14; 2], 1, Vec::new()),
        file::node("Gemm", &["input", "w"], "c0", &[file::int("transB", 1)]),
    ];
    for parts in [&parts[..], &matrix] {
        let error = load(file::model(parts, &[1, 200, 50, 50], &["c0"]))
            .err()
            .unwrap();
        assert!(error.contains("512 MiB"), "{error}");
    }
}

#[test]
fn handles_share_weights_and_the_last_one_frees_them() {
    let parts = [
        file::floats("w", &[1, 3, 1, 1], &[0.5, 0.25, 0.125]),
        file::node("Conv", &["input", "w"], "out", &[]),
    ];
    let model = Model::new(file::model(&parts, &[1, 3, 4, 4], &["out"]));
    let [first, second] = [(); 2].map(|()| Embedded::new());
    let [one, two] = [&first, &second].map(|engine| engine.shared.plan(&model).unwrap());
    assert!(Arc::ptr_eq(&one, &two));
    let alive = Arc::downgrade(&one);
    drop((one, two));
    assert!(alive.upgrade().is_none());
    assert!(first.shared.plan(&model).is_ok());
}
