//! The parts of the ONNX format that the networks of this library use, read in place.

use std::collections::HashSet;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use super::protobuf::{Fields, Value};

/// Versions of the operators whose meaning the plan knows; models/training exports 17.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=17;

// Far above what the networks need, and small enough that no file makes the reader take more than some
// megabytes beside the file itself.
const MAX_NODES: usize = 2_000;
const MAX_NAMES: usize = 64;
const MAX_ATTRIBUTES: usize = 16;
const MAX_RANK: usize = 8;
const MAX_LIST: usize = 64;

const FLOAT: i64 = 1;
const INT64: i64 = 7;
const FLOAT16: i64 = 10;

/// A network: its nodes in an order in which they can be computed.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub nodes: Vec<Node<'a>>,
    pub initializers: Vec<Tensor<'a>>,
    pub inputs: Vec<Input<'a>>,
    pub outputs: Vec<&'a str>,
}

/// An input and its stated shape, `None` for an open dimension.
#[derive(Debug, Default)]
pub(super) struct Input<'a> {
    pub name: &'a str,
    pub shape: Vec<Option<usize>>,
    kind: i64,
}

#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub name: &'a str,
    pub op: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub attributes: Vec<Attribute<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub float: f32,
    pub integer: i64,
    pub text: &'a [u8],
    pub integers: Vec<i64>,
    pub tensor: Option<Tensor<'a>>,
}

/// Numbers in the file.
#[derive(Debug, Default, Clone)]
pub(super) struct Tensor<'a> {
    pub name: &'a str,
    pub dims: Vec<usize>,
    kind: i64,
    raw: &'a [u8],
    /// Numbers that are not stored as raw bytes, which exporters do for short lists only.
    floats: Vec<f32>,
    integers: Vec<i64>,
}

impl<'a> Graph<'a> {
    pub fn read(model: &'a [u8]) -> Result<Self, String> {
        let mut graph = None;
        let mut opset = None;
        for field in Fields::new(model) {
            match field? {
                (7, value) => graph = Some(value.bytes()?),
                (8, value) => {
                    let (domain, version) = operators(value.bytes()?)?;
                    if matches!(domain, "" | "ai.onnx") {
                        opset = Some(version);
                    }
                }
                _ => {}
            }
        }
        let graph = graph.ok_or("the file holds no network")?;
        let opset = opset.ok_or("the file does not say which operators it uses")?;
        if !OPSETS.contains(&opset) {
            return Err(format!(
                "it uses operator set {opset}, this engine knows {} to {}; export it with one of these",
                OPSETS.start(),
                OPSETS.end()
            ));
        }
        Self::parse(graph)
    }

    fn parse(message: &'a [u8]) -> Result<Self, String> {
        let mut graph = Graph::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => push(&mut graph.nodes, Node::parse(value.bytes()?)?, MAX_NODES)?,
                (5, value) => push(
                    &mut graph.initializers,
                    Tensor::parse(value.bytes()?)?,
                    MAX_NODES,
                )?,
                (11, value) => push(&mut graph.inputs, Input::parse(value.bytes()?)?, MAX_NAMES)?,
                (12, value) => {
                    let name = Input::parse(value.bytes()?)?.name;
                    push(&mut graph.outputs, name, MAX_NAMES)?;
                }
                (15, _) => return Err("sparse weights are not supported".into()),
                _ => {}
            }
        }
        Ok(graph)
    }
}

fn operators(message: &[u8]) -> Result<(&str, i64), String> {
    let (mut domain, mut version) = ("", 0);
    for field in Fields::new(message) {
        match field? {
            (1, value) => domain = value.text()?,
            (2, value) => version = value.integer()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

fn push<T>(list: &mut Vec<T>, item: T, limit: usize) -> Result<(), String> {
    if list.len() == limit {
        return Err(format!(
            "it has a list of more than {limit} parts, which this engine does not read"
        ));
    }
    list.push(item);
    Ok(())
}

impl<'a> Input<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, String> {
        let mut input = Input::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => input.name = value.text()?,
                (2, value) => {
                    for tensor in messages(value.bytes()?, 1) {
                        input.parse_type(tensor?)?;
                    }
                }
                _ => {}
            }
        }
        Ok(input)
    }

    fn parse_type(&mut self, tensor: &[u8]) -> Result<(), String> {
        for field in Fields::new(tensor) {
            match field? {
                (1, value) => self.kind = value.kind()?,
                (2, value) => {
                    for dimension in messages(value.bytes()?, 1) {
                        push(&mut self.shape, dim(dimension?)?, MAX_RANK)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn holds_floats(&self) -> bool {
        self.kind == FLOAT
    }
}

/// The messages in the fields of this number.
fn messages(message: &[u8], number: u64) -> impl Iterator<Item = Result<&[u8], String>> {
    Fields::new(message).filter_map(move |field| match field {
        Ok((found, value)) => (found == number).then(|| value.bytes()),
        Err(error) => Some(Err(error)),
    })
}

/// The size of a dimension; `None` where it has a name instead.
fn dim(message: &[u8]) -> Result<Option<usize>, String> {
    for field in Fields::new(message) {
        if let (1, value) = field? {
            let size = usize::try_from(value.integer()?);
            return size.map(Some).map_err(|_| "a negative size".into());
        }
    }
    Ok(None)
}

impl<'a> Node<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, String> {
        let mut node = Node::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => push(&mut node.inputs, value.text()?, MAX_NAMES)?,
                (2, value) => push(&mut node.outputs, value.text()?, MAX_NAMES)?,
                (3, value) => node.name = value.text()?,
                (4, value) => node.op = value.text()?,
                (5, value) => push(
                    &mut node.attributes,
                    Attribute::parse(value.bytes()?)?,
                    MAX_ATTRIBUTES,
                )?,
                (7, value) if !matches!(value.text()?, "" | "ai.onnx") => {
                    return Err(format!("operators of {} are not supported", value.text()?));
                }
                _ => {}
            }
        }
        Ok(node)
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }
}

impl<'a> Attribute<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, String> {
        let mut attribute = Attribute::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => attribute.name = value.text()?,
                (2, value) => attribute.float = value.float()?,
                (3, value) => attribute.integer = value.integer()?,
                (4, value) => attribute.text = value.bytes()?,
                (5, value) => attribute.tensor = Some(Tensor::parse(value.bytes()?)?),
                (8, value) => value.integers(&mut attribute.integers, MAX_LIST)?,
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl<'a> Tensor<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, String> {
        let mut tensor = Tensor::default();
        let mut dims = Vec::new();
        for field in Fields::new(message) {
            match field? {
                (1, value) => value.integers(&mut dims, MAX_RANK)?,
                (2, value) => tensor.kind = value.kind()?,
                (4, value) => tensor.push_floats(value)?,
                // 16-bit floats are in the list of 32-bit integers.
                (5 | 7, value) => value.integers(&mut tensor.integers, MAX_LIST)?,
                (8, value) => tensor.name = value.text()?,
                (9, value) => tensor.raw = value.bytes()?,
                field if is_elsewhere(field)? => return Err(ELSEWHERE.into()),
                _ => {}
            }
        }
        tensor.dims = dims
            .into_iter()
            .map(|size| usize::try_from(size).map_err(|_| "a negative size".to_string()))
            .collect::<Result<_, _>>()?;
        Ok(tensor)
    }

    fn push_floats(&mut self, value: Value<'a>) -> Result<(), String> {
        let too_long = "a long list of numbers that are not raw bytes";
        match value {
            Value::Fixed32(_) => push(&mut self.floats, value.float()?, MAX_LIST),
            Value::Bytes(bytes) if bytes.len() <= 4 * MAX_LIST => {
                for word in words(bytes)? {
                    push(&mut self.floats, f32::from_le_bytes(word), MAX_LIST)?;
                }
                Ok(())
            }
            _ => Err(too_long.into()),
        }
    }

    /// Whether the numbers are floats, of which those of 16 bits are read as 32.
    pub fn is_float(&self) -> bool {
        matches!(self.kind, FLOAT | FLOAT16)
    }

    /// The numbers of a tensor of float32 or float16, all of them finite.
    pub fn floats(&self) -> Result<Vec<f32>, String> {
        let values: Vec<f32> = match self.kind {
            FLOAT if self.floats.is_empty() => words(self.raw)?.map(f32::from_le_bytes).collect(),
            FLOAT => self.floats.clone(),
            FLOAT16 => {
                if self.integers.is_empty() {
                    widened(split(self.raw)?, u16::from_le_bytes)
                } else {
                    widened(&self.integers, |bits| bits as u16)
                }
            }
            kind => return Err(self.fault(&format!("is of type {kind} instead of a float"))),
        };
        self.expect_len(values.len())?;
        // Without an early end, which would keep it from looking at several at once.
        if !values
            .iter()
            .fold(true, |all, value| all & value.is_finite())
        {
            return Err(self.fault("holds a number that is not finite"));
        }
        Ok(values)
    }

    /// The numbers of a tensor of int64.
    pub fn integers(&self) -> Result<Vec<i64>, String> {
        if self.kind != INT64 {
            return Err(self.fault(&format!("is of type {} instead of int64", self.kind)));
        }
        let values: Vec<i64> = if self.integers.is_empty() && self.raw.len() <= 8 * MAX_LIST {
            words(self.raw)?.map(i64::from_le_bytes).collect()
        } else {
            self.integers.clone()
        };
        self.expect_len(values.len())?;
        Ok(values)
    }

    fn expect_len(&self, len: usize) -> Result<(), String> {
        let expected = self
            .dims
            .iter()
            .try_fold(1, |product: usize, size| product.checked_mul(*size));
        if expected != Some(len) {
            return Err(self.fault(&format!(
                "holds {len} numbers, its shape is {:?}",
                self.dims
            )));
        }
        Ok(())
    }

    fn fault(&self, cause: &str) -> String {
        format!("the tensor '{}' {cause}", self.name)
    }
}

const ELSEWHERE: &str =
    "its weights are in another file, which no digest covers; export it with all of them inside";

/// Whether a field of a tensor says that its numbers are in another file. ONNX Runtime would look for
/// that from the current directory of the process.
fn is_elsewhere((number, value): (u64, Value<'_>)) -> Result<bool, String> {
    const EXTERNAL_DATA: u64 = 13;
    const DATA_LOCATION: u64 = 14;
    Ok(match number {
        EXTERNAL_DATA => true,
        // 0 says that they are here.
        DATA_LOCATION => value.integer()? != 0,
        _ => false,
    })
}

/// Refuses a file with weights outside it, and one with a float32 or float16 that is no finite number, be
/// it a weight, a constant or part of a branch. Such a number need not reach the outputs: behind an
/// activation that clips it a network answers, but not as trained.
pub fn ensure_sound_weights(model: &[u8]) -> Result<(), String> {
    Part::Model.ensure_sound(Value::Bytes(model), MAX_DEPTH)
}

/// As in other readers of Protocol Buffers: no file can make this one fill the stack.
const MAX_DEPTH: usize = 100;

/// What weights can be in.
#[derive(Clone, Copy)]
enum Part {
    Model,
    Function,
    Graph,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
    Floats,
}

impl Part {
    /// What the field of this number is, if weights can be in it.
    fn field(self, number: u64) -> Option<Part> {
        Some(match (self, number) {
            (Part::Model, 7) | (Part::Attribute, 6 | 11) => Part::Graph,
            (Part::Model, 25) => Part::Function,
            (Part::Graph, 1) | (Part::Function, 7) => Part::Node,
            (Part::Node, 5) | (Part::Function, 11) => Part::Attribute,
            (Part::Graph, 15) | (Part::Attribute, 22 | 23) => Part::SparseTensor,
            (Part::Graph, 5) | (Part::Attribute, 5 | 10) => Part::Tensor,
            (Part::SparseTensor, 1 | 2) => Part::Tensor,
            (Part::Attribute, 2 | 7) => Part::Floats,
            _ => return None,
        })
    }

    /// Whether the field of this number must be there once at most. Other readers join the halves of a message,
    /// each of which alone may look sound.
    fn is_single(self, number: u64) -> bool {
        matches!(
            (self, number),
            (Part::Model, 7) | (Part::Attribute, 5 | 6 | 22) | (Part::SparseTensor, 1 | 2)
        )
    }

    fn ensure_sound(self, value: Value<'_>, depth: usize) -> Result<(), String> {
        let finite = match self {
            Part::Floats => are_finite(value)?,
            Part::Tensor => is_finite(value.bytes()?)?,
            _ => {
                self.ensure_parts_sound(value.bytes()?, depth)?;
                true
            }
        };
        if !finite {
            return Err("a weight is no finite number".into());
        }
        Ok(())
    }

    fn ensure_parts_sound(self, message: &[u8], depth: usize) -> Result<(), String> {
        let depth = depth.checked_sub(1);
        let depth = depth.ok_or("its parts lie too deep inside each other")?;
        let (mut names, mut singles) = (HashSet::new(), HashSet::new());
        for field in Fields::new(message) {
            let (number, value) = field?;
            if let Some(part) = self.field(number) {
                part.ensure_sound(value, depth)?;
            }
            if self.is_single(number) && !singles.insert(number) {
                return Err("a part of it is there twice".into());
            }
            // Of two weights of one name each engine would take another.
            if matches!((self, number), (Part::Graph, 5)) && !names.insert(tensor_name(value)?) {
                return Err("there are two values of one name, both weights".into());
            }
        }
        Ok(())
    }
}

fn tensor_name(tensor: Value<'_>) -> Result<&[u8], String> {
    let mut name = &[][..];
    for field in Fields::new(tensor.bytes()?) {
        if let (8, value) = field? {
            name = value.bytes()?;
        }
    }
    Ok(name)
}

/// Whether one float32, or a list of them, is finite.
fn are_finite(value: Value<'_>) -> Result<bool, String> {
    match value {
        Value::Bytes(list) => Ok(words(list)?.all(|word| f32::from_le_bytes(word).is_finite())),
        value => Ok(value.float()?.is_finite()),
    }
}

fn is_finite(tensor: &[u8]) -> Result<bool, String> {
    let half = |bits: u16| half::f16::from_bits(bits).is_finite();
    let (mut kind, mut raw) = (0, &[][..]);
    // As float32, and as float16 in the list of 32-bit integers.
    let (mut finite, mut halves_finite) = (true, true);
    for field in Fields::new(tensor) {
        match field? {
            (2, value) => kind = value.kind()?,
            (4, value) => finite &= are_finite(value)?,
            (5, value) => value.each_integer(|bits| {
                halves_finite &= half(bits as u16);
                Ok(())
            })?,
            (9, value) => raw = value.bytes()?,
            field if is_elsewhere(field)? => return Err(ELSEWHERE.into()),
            _ => {}
        }
    }
    Ok(finite
        && match kind {
            FLOAT => are_finite(Value::Bytes(raw))?,
            FLOAT16 => halves_finite && words(raw)?.all(|word| half(u16::from_le_bytes(word))),
            _ => true,
        })
}

/// Numbers of 16 bits as 32, a part at a time: another copy of all would take longer than the work.
fn widened<T: Copy>(narrow: &[T], bits: impl Fn(T) -> u16) -> Vec<f32> {
    const PART: usize = 1024;
    let (mut values, mut buffer) = (vec![0.0; narrow.len()], [0; PART]);
    for (from, to) in narrow.chunks(PART).zip(values.chunks_mut(PART)) {
        let buffer = &mut buffer[..from.len()];
        for (to, from) in buffer.iter_mut().zip(from) {
            *to = bits(*from);
        }
        buffer
            .reinterpret_cast::<half::f16>()
            .convert_to_f32_slice(to);
    }
    values
}

/// Little-endian numbers of `N` bytes.
fn words<const N: usize>(bytes: &[u8]) -> Result<impl Iterator<Item = [u8; N]>, String> {
    Ok(split(bytes)?.iter().copied())
}

fn split<const N: usize>(bytes: &[u8]) -> Result<&[[u8; N]], String> {
    let (words, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return Err("a tensor ends in the middle of a number".into());
    }
    Ok(words)
}
