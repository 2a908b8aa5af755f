//! From the graph of a file to a checked list of steps, each of which the engine can compute.
//!
//! What is not supported is found here and named, so that a network either loads whole or not at
//! all. A plan knows neither the size of the picture nor how many there are: all operators treat
//! each picture of a batch for itself and alike, so an answer does not depend on what else is in
//! the batch.

use std::collections::HashMap;

use super::kernels::{BORDER, Conv, ConvShape, Epilogue, Layout};
use super::node::{describe, expect, expect_known, one_of, operand};
use super::onnx::{Graph, Node, Tensor};
use crate::memory;

/// Most numbers that packed weights may take together: 512 MiB.
const MAX_WEIGHTS: usize = 1 << 27;

/// A network that can be computed.
#[derive(Debug)]
pub(super) struct Plan {
    pub input: String,
    /// Batch, channels, height, width; `None` for an open dimension.
    pub input_shape: [Option<usize>; 4],
    /// Names and values, each of them flat.
    pub outputs: Vec<(String, ValueId)>,
    pub steps: Vec<Step>,
    /// Number of values; the first is the input.
    pub values: usize,
}

/// Index of a value: of the input, or of what a step computes.
pub(super) type ValueId = usize;

/// One thing to compute.
#[derive(Debug)]
pub(super) struct Step {
    /// What a message calls it.
    pub name: String,
    pub op: Op,
    pub inputs: Vec<ValueId>,
    pub output: ValueId,
}

/// What a step computes.
#[derive(Debug)]
pub(super) enum Op {
    /// Planes without a border become a planar map.
    Border,
    /// A map becomes a blocked map; a second input is the residual.
    Convolve(Box<Conv>, Epilogue),
    /// Every pixel becomes a square of so many pixels a side; a second input is added.
    Upsample(usize),
    /// Channels of a blocked map become planes; an open end means all channels.
    Channels { start: usize, end: Option<usize> },
    /// Mean or maximum of every channel of a blocked map.
    Pool { pool: Pool, keep_dims: bool },
    /// Each number for itself. Of a blocked map only what leaves zeros as they are.
    Pointwise(Pointwise),
    /// The sum of two values of one shape.
    Add,
    /// All dimensions but the first become one.
    Flatten,
    /// Values one after the other along the second dimension.
    Concat,
    /// `[outputs][inputs]` weights and a bias.
    Dense { weights: Vec<f32>, bias: Vec<f32> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    Mean,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pointwise {
    Relu,
    Clip(f32, f32),
    Exp,
    Sigmoid,
    Multiply(f32),
    Add(f32),
}

impl Plan {
    pub fn new(graph: &Graph<'_>) -> Result<Self, String> {
        let mut builder = Builder::new(graph)?;
        for index in 0..graph.nodes.len() {
            builder
                .node(index)
                .map_err(|cause| format!("{}: {cause}", describe(&graph.nodes[index])))?;
        }
        builder.finish()
    }
}

/// Nodes that are computed together with the one they follow.
#[derive(Debug, Clone, Copy, Default)]
struct Chain<'a> {
    epilogue: Epilogue,
    /// Name of the value that is added.
    residual: Option<&'a str>,
    /// Index of the last node.
    end: usize,
}

struct Builder<'a> {
    graph: &'a Graph<'a>,
    constants: HashMap<&'a str, Tensor<'a>>,
    /// The nodes that use a value; an output of the network counts as one more.
    users: HashMap<&'a str, Vec<usize>>,
    values: HashMap<&'a str, ValueId>,
    /// Layout of each value, `None` where it is flat: row-major without border.
    layouts: Vec<Option<Layout>>,
    /// For each node the first one of the chain that it belongs to, if any.
    first: Vec<Option<usize>>,
    chains: HashMap<usize, Chain<'a>>,
    steps: Vec<Step>,
    weights: usize,
    input: &'a str,
    input_shape: [Option<usize>; 4],
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph<'a>) -> Result<Self, String> {
        let mut constants = HashMap::new();
        for tensor in &graph.initializers {
            if constants.insert(tensor.name, tensor.clone()).is_some() {
                return Err(twice(tensor.name));
            }
        }
        // Old exporters list weights among the inputs.
        let mut inputs = graph
            .inputs
            .iter()
            .filter(|input| !constants.contains_key(input.name));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err("the network must have exactly one input".into());
        };
        if !input.holds_floats() {
            return Err(format!("the input '{}' must be of float32", input.name));
        }
        let input_shape = input.shape.as_slice().try_into().map_err(|_| {
            format!(
                "the input '{}' must have four dimensions, not {}",
                input.name,
                input.shape.len()
            )
        })?;
        let mut users: HashMap<_, Vec<_>> = HashMap::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            for name in &node.inputs {
                users.entry(*name).or_default().push(index);
            }
        }
        for name in &graph.outputs {
            users.entry(name).or_default().push(usize::MAX);
        }
        Ok(Builder {
            graph,
            constants,
            users,
            values: HashMap::from([(input.name, 0)]),
            layouts: vec![None],
            first: vec![None; graph.nodes.len()],
            chains: HashMap::new(),
            steps: Vec::new(),
            weights: 0,
            input: input.name,
            input_shape,
        })
    }

    fn finish(mut self) -> Result<Plan, String> {
        let mut outputs = Vec::new();
        for name in &self.graph.outputs {
            let value = self
                .value(name)
                .and_then(|value| self.flat(value))
                .map_err(|cause| format!("the output '{name}': {cause}"))?;
            outputs.push((name.to_string(), value));
        }
        Ok(Plan {
            input: self.input.into(),
            input_shape: self.input_shape,
            outputs,
            steps: self.steps,
            values: self.layouts.len(),
        })
    }

    /// Adds the steps of a node, or of the chain that ends with it.
    fn node(&mut self, index: usize) -> Result<(), String> {
        let node = &self.graph.nodes[index];
        expect_known(node)?;
        if matches!(node.op, "Conv" | "Resize") && self.first[index].is_none() {
            let chain = self.chain(index);
            self.chains.insert(index, chain);
        }
        // A chain is computed where it ends, since its residual may not be there earlier.
        let first = self.first[index].unwrap_or(index);
        let chain = self.chains.get(&first).copied();
        if chain.is_some_and(|chain| chain.end != index) {
            return Ok(());
        }
        let value = match (self.graph.nodes[first].op, chain) {
            ("Conv", Some(chain)) => self.conv(&self.graph.nodes[first], chain)?,
            ("Resize", Some(chain)) => self.resize(&self.graph.nodes[first], chain)?,
            ("Constant", _) => {
                let value = node
                    .attribute("value")
                    .and_then(|value| value.tensor.clone());
                let value = value.ok_or("only constants that are a tensor are supported")?;
                return self.constant(node, value);
            }
            ("Cast", _) => {
                let from = self.constants.get(operand(node, 0)?).cloned();
                let from = from.ok_or("only constants can be cast")?;
                expect(node, "to", 1, 0)?;
                if !from.is_float() {
                    return Err("only floats can be cast".into());
                }
                return self.constant(node, from);
            }
            ("Add" | "Mul", _) => self.arithmetic(node)?,
            ("Relu", _) => self.pointwise(node, Pointwise::Relu)?,
            ("Exp", _) => self.pointwise(node, Pointwise::Exp)?,
            ("Sigmoid", _) => self.pointwise(node, Pointwise::Sigmoid)?,
            ("Clip", _) => {
                let low = self.optional_scalar(node, 1)?.unwrap_or(f32::MIN);
                let high = self.optional_scalar(node, 2)?.unwrap_or(f32::MAX);
                if low > high {
                    return Err("its smallest value is above its largest".into());
                }
                self.pointwise(node, Pointwise::Clip(low, high))?
            }
            ("Slice", _) => self.slice(node)?,
            ("GlobalAveragePool", _) => self.pool(node, Pool::Mean, true)?,
            ("ReduceMean", _) => self.reduce(node, Pool::Mean)?,
            ("ReduceMax", _) => self.reduce(node, Pool::Max)?,
            ("Flatten", _) => {
                expect(node, "axis", 1, 1)?;
                let value = self.value(operand(node, 0)?)?;
                let value = self.flat(value)?;
                self.step(describe(node), Op::Flatten, vec![value], None)
            }
            ("Concat", _) => {
                expect(node, "axis", 1, 0)?;
                let mut parts = Vec::new();
                for name in &node.inputs {
                    let value = self.value(name)?;
                    parts.push(self.flat(value)?);
                }
                operand(node, 0)?;
                self.step(describe(node), Op::Concat, parts, None)
            }
            ("Gemm", _) => self.gemm(node)?,
            _ => return Err("this operator is not supported by the embedded engine".into()),
        };
        self.bind(node, value)
    }

    /// What can be computed together with the convolution or the enlargement at `first`.
    fn chain(&mut self, first: usize) -> Chain<'a> {
        let mut chain = Chain {
            end: first,
            ..Chain::default()
        };
        let convolution = self.graph.nodes[first].op == "Conv";
        if convolution {
            chain.epilogue.relu_before = self.extend(first, &mut chain, "Relu").is_some();
        }
        let before = chain.end;
        if let Some(add) = self.extend(first, &mut chain, "Add") {
            let sum = self.graph.nodes[before].outputs.first();
            chain.residual = add.inputs.iter().find(|name| Some(*name) != sum).copied();
            if convolution {
                chain.epilogue.relu_after = self.extend(first, &mut chain, "Relu").is_some();
            }
        }
        chain
    }

    /// Takes the only user of the chain's value into the chain, if it is this operator.
    fn extend(&mut self, first: usize, chain: &mut Chain<'a>, op: &str) -> Option<&'a Node<'a>> {
        let [output] = self.graph.nodes[chain.end].outputs.as_slice() else {
            return None;
        };
        let [user] = self.users.get(output)?.as_slice() else {
            return None;
        };
        let node = self.graph.nodes.get(*user)?;
        let constant = |name: &&str| self.constants.contains_key(*name);
        let adds = op == "Add" && (node.inputs.len() != 2 || node.inputs.iter().any(constant));
        if node.op != op || adds || *user <= chain.end || self.first[*user].is_some() {
            return None;
        }
        self.first[*user] = Some(first);
        chain.end = *user;
        Some(node)
    }

    fn conv(&mut self, node: &'a Node<'a>, chain: Chain<'a>) -> Result<ValueId, String> {
        let tensor = self.tensor(operand(node, 1)?)?.clone();
        let [out_channels, in_channels, kernel, width] = tensor.dims[..] else {
            return Err("only convolutions of pictures are supported".into());
        };
        if kernel != width || kernel == 0 || out_channels == 0 || in_channels == 0 {
            return Err(format!(
                "a kernel of {kernel}x{width} is not supported; square ones are"
            ));
        }
        expect(node, "group", 1, 1)?;
        if node
            .attribute("auto_pad")
            .is_some_and(|pad| pad.text != b"NOTSET")
        {
            return Err("auto_pad is not supported; give pads".into());
        }
        one_of(node, "dilations", 2, 1, &[1])?;
        one_of(node, "kernel_shape", 2, kernel as i64, &[kernel as i64])?;
        let stride = one_of(node, "strides", 2, 1, &[1, 2])?;
        let padding = one_of(node, "pads", 4, 0, &[0, BORDER as i64])?;
        let input = self.value(operand(node, 0)?)?;
        let (input, layout) = self.map(input);
        let shape = ConvShape {
            layout,
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
        };
        self.count(shape.packed_len())?;
        let weights = tensor.floats()?;
        let bias = self.bias(node, out_channels)?;
        let conv = Conv::new(shape, &weights, &bias);
        let op = Op::Convolve(Box::new(conv), chain.epilogue);
        self.fused(node, op, input, chain)
    }

    fn resize(&mut self, node: &'a Node<'a>, chain: Chain<'a>) -> Result<ValueId, String> {
        for (name, only) in [
            ("mode", "nearest"),
            ("coordinate_transformation_mode", "asymmetric"),
            ("nearest_mode", "floor"),
        ] {
            let value = node.attribute(name).map(|value| value.text);
            if value != Some(only.as_bytes()) && !(name == "mode" && value.is_none()) {
                return Err(format!("only {name} '{only}' is supported"));
            }
        }
        let scales = self.tensor(operand(node, 2)?)?.floats()?;
        let [1.0, 1.0, height, width] = scales[..] else {
            return Err(format!("scales {scales:?} are not supported"));
        };
        if height != width || !(1..=8).any(|factor| factor as f32 == height) {
            return Err(format!(
                "scales {scales:?} are not supported; 1 to 8 on both sides are"
            ));
        }
        let input = self.value(operand(node, 0)?)?;
        self.expect_map(input)?;
        self.fused(node, Op::Upsample(height as usize), input, chain)
    }

    /// The step of a chain.
    fn fused(
        &mut self,
        node: &Node<'_>,
        op: Op,
        input: ValueId,
        chain: Chain<'a>,
    ) -> Result<ValueId, String> {
        let mut inputs = vec![input];
        if let Some(name) = chain.residual {
            let residual = self.value(name)?;
            self.expect_map(residual)?;
            inputs.push(residual);
        }
        Ok(self.step(describe(node), op, inputs, Some(Layout::Blocked)))
    }

    fn arithmetic(&mut self, node: &Node<'a>) -> Result<ValueId, String> {
        let (a, b) = (operand(node, 0)?, operand(node, 1)?);
        let constant = |name: &str| self.constants.contains_key(name);
        let (value, number) = match (constant(a), constant(b)) {
            (false, true) => (a, b),
            (true, false) => (b, a),
            (true, true) => return Err("constants are not computed; fold them in the file".into()),
            (false, false) if node.op == "Add" => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                let layout = self.layouts[a];
                if layout != self.layouts[b] {
                    return Err("only values of one shape can be added".into());
                }
                return Ok(self.step(describe(node), Op::Add, vec![a, b], layout));
            }
            (false, false) => return Err("only a product with a constant is supported".into()),
        };
        let number = self.scalar(number)?;
        let op = match node.op {
            "Add" => Pointwise::Add(number),
            _ => Pointwise::Multiply(number),
        };
        let value = self.value(value)?;
        let value = self.flat(value)?;
        Ok(self.step(describe(node), Op::Pointwise(op), vec![value], None))
    }

    fn pointwise(&mut self, node: &Node<'_>, op: Pointwise) -> Result<ValueId, String> {
        let mut value = self.value(operand(node, 0)?)?;
        if op != Pointwise::Relu {
            value = self.flat(value)?;
        }
        let layout = self.layouts[value];
        Ok(self.step(describe(node), Op::Pointwise(op), vec![value], layout))
    }

    fn slice(&mut self, node: &Node<'_>) -> Result<ValueId, String> {
        let list = |at: usize| self.tensor(operand(node, at)?)?.integers();
        let (starts, ends, axes) = (list(1)?, list(2)?, list(3)?);
        let steps = match node.inputs.get(4) {
            Some(name) if !name.is_empty() => list(4)?,
            _ => vec![1],
        };
        let ([start], [end], [1], [1]) = (&starts[..], &ends[..], &axes[..], &steps[..]) else {
            return Err("only a range of channels (axis 1, step 1) is supported".into());
        };
        let bound = |at: i64| usize::try_from(at).map_err(|_| "a negative bound is not supported");
        let (start, end) = (bound(*start)?, bound(*end)?);
        let value = self.value(operand(node, 0)?)?;
        self.expect_map(value)?;
        let op = Op::Channels {
            start,
            end: Some(end),
        };
        Ok(self.step(describe(node), op, vec![value], None))
    }

    fn reduce(&mut self, node: &Node<'_>, pool: Pool) -> Result<ValueId, String> {
        let axes = node.attribute("axes").map(|axes| axes.integers.as_slice());
        if !matches!(axes, Some([2, 3] | [-2, -1])) {
            return Err("only axes 2 and 3 are supported".into());
        }
        let keep_dims = node
            .attribute("keepdims")
            .is_none_or(|keep| keep.integer != 0);
        self.pool(node, pool, keep_dims)
    }

    fn pool(&mut self, node: &Node<'_>, pool: Pool, keep_dims: bool) -> Result<ValueId, String> {
        let value = self.value(operand(node, 0)?)?;
        self.expect_map(value)?;
        let op = Op::Pool { pool, keep_dims };
        Ok(self.step(describe(node), op, vec![value], None))
    }

    fn gemm(&mut self, node: &Node<'_>) -> Result<ValueId, String> {
        for name in ["alpha", "beta"] {
            if node.attribute(name).is_some_and(|value| value.float != 1.0) {
                return Err(format!("{name} must be 1"));
            }
        }
        expect(node, "transA", 0, 0)?;
        expect(node, "transB", 1, 0)?;
        let tensor = self.tensor(operand(node, 1)?)?.clone();
        let [outputs, inputs] = tensor.dims[..] else {
            return Err("its weights must be a matrix".into());
        };
        if outputs == 0 || inputs == 0 {
            return Err(format!("{outputs} outputs of {inputs} inputs"));
        }
        self.count(outputs.checked_mul(inputs))?;
        let weights = tensor.floats()?;
        let bias = self.bias(node, outputs)?;
        let value = self.value(operand(node, 0)?)?;
        let value = self.flat(value)?;
        let op = Op::Dense { weights, bias };
        Ok(self.step(describe(node), op, vec![value], None))
    }

    /// Counts numbers that the network keeps, and refuses them where there is no room for them and a copy.
    fn count(&mut self, numbers: Option<usize>) -> Result<(), String> {
        let all = numbers
            .and_then(|numbers| numbers.checked_add(self.weights))
            .filter(|all| *all <= MAX_WEIGHTS)
            .ok_or("the weights of the network take more than 512 MiB")?;
        memory::room(2 * (all - self.weights))?;
        self.weights = all;
        Ok(())
    }

    /// The third input, a number for each output; zeros where it is left out.
    fn bias(&self, node: &Node<'_>, outputs: usize) -> Result<Vec<f32>, String> {
        let Some(name) = node.inputs.get(2).filter(|name| !name.is_empty()) else {
            return Ok(vec![0.0; outputs]);
        };
        let tensor = self.tensor(name)?;
        if tensor.dims != [outputs] {
            return Err(format!(
                "biases of shape {:?} for {outputs} outputs",
                tensor.dims
            ));
        }
        tensor.floats()
    }

    fn step(
        &mut self,
        name: String,
        op: Op,
        inputs: Vec<ValueId>,
        layout: Option<Layout>,
    ) -> ValueId {
        let output = self.layouts.len();
        self.layouts.push(layout);
        self.steps.push(Step {
            name,
            op,
            inputs,
            output,
        });
        output
    }

    /// The value as a convolution reads it.
    fn map(&mut self, value: ValueId) -> (ValueId, Layout) {
        match self.layouts[value] {
            Some(layout) => (value, layout),
            None => {
                let name = "the input of a convolution".into();
                let layout = Layout::Planar;
                (
                    self.step(name, Op::Border, vec![value], Some(layout)),
                    layout,
                )
            }
        }
    }

    /// The value as row-major numbers.
    fn flat(&mut self, value: ValueId) -> Result<ValueId, String> {
        match self.layouts[value] {
            None => Ok(value),
            Some(_) => {
                self.expect_map(value)?;
                let all = Op::Channels {
                    start: 0,
                    end: None,
                };
                Ok(self.step("the channels of a map".into(), all, vec![value], None))
            }
        }
    }

    fn expect_map(&self, value: ValueId) -> Result<(), String> {
        if self.layouts[value] == Some(Layout::Blocked) {
            return Ok(());
        }
        Err("this is supported for what a convolution gives only".into())
    }

    fn value(&self, name: &str) -> Result<ValueId, String> {
        self.values
            .get(name)
            .copied()
            .ok_or_else(|| format!("there is no value '{name}' before it"))
    }

    fn tensor(&self, name: &str) -> Result<&Tensor<'a>, String> {
        self.constants
            .get(name)
            .ok_or_else(|| format!("'{name}' is not a constant"))
    }

    fn scalar(&self, name: &str) -> Result<f32, String> {
        let tensor = self.tensor(name)?;
        // More dimensions would become those of the result.
        if tensor.dims.len() > 1 || tensor.dims.iter().any(|size| *size != 1) {
            return Err(format!(
                "'{name}' has the shape {:?} instead of one number",
                tensor.dims
            ));
        }
        tensor
            .floats()?
            .first()
            .copied()
            .ok_or_else(|| format!("'{name}' is empty"))
    }

    fn optional_scalar(&self, node: &Node<'_>, at: usize) -> Result<Option<f32>, String> {
        match node.inputs.get(at) {
            Some(name) if !name.is_empty() => self.scalar(name).map(Some),
            _ => Ok(None),
        }
    }

    fn constant(&mut self, node: &Node<'a>, value: Tensor<'a>) -> Result<(), String> {
        let name = self.new_name(node)?;
        self.constants.insert(name, value);
        Ok(())
    }

    fn bind(&mut self, node: &Node<'a>, value: ValueId) -> Result<(), String> {
        let name = self.new_name(node)?;
        self.values.insert(name, value);
        Ok(())
    }

    /// The name of the only output, which nothing else may have.
    fn new_name(&self, node: &Node<'a>) -> Result<&'a str, String> {
        let [name] = node.outputs[..] else {
            return Err(format!(
                "it has {} outputs instead of one",
                node.outputs.len()
            ));
        };
        if self.values.contains_key(name) || self.constants.contains_key(name) {
            return Err(twice(name));
        }
        Ok(name)
    }
}

fn twice(name: &str) -> String {
    format!("there are two values named '{name}'")
}
