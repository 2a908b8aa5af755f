//! What a node of the graph says beside its operator, checked against what the engine can compute.

use super::onnx::Node;

/// What a message calls it.
pub(super) fn describe(node: &Node<'_>) -> String {
    format!("the node '{}' ({})", node.name, node.op)
}

/// The attributes of an operator, and how many inputs it can have.
fn known(op: &str) -> Option<(&'static [&'static str], usize)> {
    Some(match op {
        "Conv" => (
            &[
                "auto_pad",
                "dilations",
                "group",
                "kernel_shape",
                "pads",
                "strides",
            ],
            3,
        ),
        // The last three say how other modes than the supported one compute.
        "Resize" => (
            &[
                "mode",
                "coordinate_transformation_mode",
                "nearest_mode",
                "cubic_coeff_a",
                "exclude_outside",
                "extrapolation_value",
            ],
            3,
        ),
        "Constant" => (&["value"], 0),
        "Cast" => (&["to"], 1),
        "Add" | "Mul" => (&[], 2),
        "Relu" | "Exp" | "Sigmoid" | "GlobalAveragePool" => (&[], 1),
        "Clip" => (&[], 3),
        "Slice" => (&[], 5),
        "ReduceMean" | "ReduceMax" => (&["axes", "keepdims"], 1),
        "Flatten" => (&["axis"], 1),
        "Concat" => (&["axis"], usize::MAX),
        "Gemm" => (&["alpha", "beta", "transA", "transB"], 3),
        _ => return None,
    })
}

/// Refuses what nobody would look at: a node would compute something else than its file says.
pub(super) fn expect_known(node: &Node<'_>) -> Result<(), String> {
    let Some((attributes, inputs)) = known(node.op) else {
        return Ok(());
    };
    if node.inputs.len() > inputs {
        return Err(format!(
            "it has {} inputs, {inputs} are supported",
            node.inputs.len()
        ));
    }
    for (at, attribute) in node.attributes.iter().enumerate() {
        let name = attribute.name;
        if !attributes.contains(&name) {
            return Err(format!("the attribute '{name}' is not supported"));
        }
        if node.attributes[..at].iter().any(|other| other.name == name) {
            return Err(format!("it has the attribute '{name}' twice"));
        }
    }
    Ok(())
}

/// The number that all of so many in an attribute are, if it is allowed.
pub(super) fn one_of(
    node: &Node<'_>,
    name: &str,
    count: usize,
    default: i64,
    allowed: &[i64],
) -> Result<usize, String> {
    let value = match node.attribute(name).map(|found| found.integers.as_slice()) {
        None => default,
        Some([first, rest @ ..])
            if rest.len() + 1 == count && rest.iter().all(|other| other == first) =>
        {
            *first
        }
        Some(other) => {
            return Err(format!(
                "{name} {other:?} is not supported; it must be {count} equal numbers"
            ));
        }
    };
    if allowed.contains(&value) {
        return Ok(value as usize);
    }
    Err(format!(
        "{name} of {value} is not supported; {allowed:?} are"
    ))
}

pub(super) fn operand<'a>(node: &Node<'a>, at: usize) -> Result<&'a str, String> {
    let name = node.inputs.get(at).copied().filter(|name| !name.is_empty());
    name.ok_or_else(|| format!("its input {at} is missing"))
}

/// The attribute has this value, or the file leaves it out and this is the default.
pub(super) fn expect(node: &Node<'_>, name: &str, value: i64, default: i64) -> Result<(), String> {
    let found = node
        .attribute(name)
        .map_or(default, |attribute| attribute.integer);
    if found == value {
        return Ok(());
    }
    Err(format!("{name} of {found} is not supported; {value} is"))
}
