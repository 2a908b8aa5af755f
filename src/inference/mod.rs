//! Runs a network: one small trait, an embedded engine and ONNX Runtime behind it.
//!
//! What an engine is given and what it answers is checked here, once for both: names and shapes
//! when a network is loaded, the number of dimensions and finite numbers on every run. So the steps that
//! use a network never see a NaN or an infinity; which sizes an output must have they say themselves
//! ([`Network::expect_shape`]).

mod embedded;
#[cfg(test)]
mod golden;
mod onnxruntime;
mod pool;

use crate::error::Error;
use crate::models::Model;

/// Dense float32 numbers in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// A size that a model file states for one dimension; `None` where it is left open.
pub(crate) type Dim = Option<usize>;

/// What a network is expected to take and give.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    /// Shape of the only input, which is named `input`.
    pub input: Vec<Dim>,
    /// Name and number of dimensions of the outputs.
    pub outputs: Vec<(&'static str, usize)>,
}

/// Name of the only input of every network.
pub(crate) const INPUT: &str = "input";

/// An inference engine that can load networks.
pub(crate) trait Runtime: Send + Sync {
    /// Name and version.
    fn name(&self) -> String;

    /// Loads an ONNX model.
    fn load(&self, model: &Model) -> Result<Box<dyn Session>, String>;

    /// Overwrites what is left of pictures in memory that is kept for further calls, unless a call
    /// is using it.
    fn forget(&self) {}
}

/// A loaded network. `run` may be called from many threads at once and uses one thread per call.
pub(crate) trait Session: Send + Sync {
    /// Names and stated shapes of the inputs; an empty shape where the file states none.
    fn inputs(&self) -> Vec<(String, Vec<Dim>)>;

    /// Names of the outputs.
    fn outputs(&self) -> Vec<String>;

    /// Computes the named outputs, in that order.
    fn run(&self, input: &Tensor, outputs: &[&str]) -> Result<Vec<Tensor>, String>;
}

/// The engine that the configuration asks for: ONNX Runtime from a path, or the embedded one.
pub(crate) fn runtime(onnxruntime: Option<&std::path::Path>) -> Result<Box<dyn Runtime>, Error> {
    match onnxruntime {
        Some(path) => Ok(Box::new(onnxruntime::OnnxRuntime::open(path)?)),
        None => Ok(Box::new(embedded::Embedded::new())),
    }
}

/// A network whose answers are checked.
pub(crate) struct Network {
    name: String,
    signature: Signature,
    session: Box<dyn Session>,
}

impl Network {
    /// Loads a network and checks that it takes and gives what `signature` says.
    pub fn load(
        runtime: &dyn Runtime,
        name: &str,
        model: &Model,
        signature: Signature,
    ) -> Result<Self, Error> {
        let session = runtime.load(model).map_err(|cause| {
            Error::internal(format!(
                "the network {name} cannot be loaded by {}: {cause}",
                runtime.name()
            ))
        })?;
        Self::new(name, session, signature)
    }

    fn new(name: &str, session: Box<dyn Session>, signature: Signature) -> Result<Self, Error> {
        let network = Network {
            name: name.into(),
            signature,
            session,
        };
        network.check_interface()?;
        Ok(network)
    }

    fn check_interface(&self) -> Result<(), Error> {
        let inputs = self.session.inputs();
        let [(name, shape)] = inputs.as_slice() else {
            return Err(self.fault(format!("it has {} inputs instead of one", inputs.len())));
        };
        if name != INPUT {
            return Err(self.fault(format!("its input is named '{name}' instead of '{INPUT}'")));
        }
        if !shape.is_empty() && !fits(shape, &self.signature.input) {
            return Err(self.fault(format!(
                "its input has the shape {shape:?} instead of {:?}",
                self.signature.input
            )));
        }
        let outputs = self.session.outputs();
        for (name, _) in &self.signature.outputs {
            if !outputs.iter().any(|output| output == name) {
                return Err(
                    self.fault(format!("it has no output named '{name}', only {outputs:?}"))
                );
            }
        }
        Ok(())
    }

    /// Computes all outputs of the signature, in its order. Every number is finite, every shape
    /// has the expected number of dimensions and as many values as it says. `N` is the number of them.
    pub fn run<const N: usize>(&self, input: &Tensor) -> Result<[Tensor; N], Error> {
        let names: Vec<&str> = self
            .signature
            .outputs
            .iter()
            .map(|(name, _)| *name)
            .collect();
        let outputs = self
            .session
            .run(input, &names)
            .map_err(|cause| self.fault(format!("it failed: {cause}")))?;
        let outputs: [Tensor; N] = outputs.try_into().map_err(|outputs: Vec<Tensor>| {
            self.fault(format!("it gave {} outputs instead of {N}", outputs.len()))
        })?;
        for (output, (name, rank)) in outputs.iter().zip(&self.signature.outputs) {
            if output.shape.len() != *rank
                || output.shape.iter().product::<usize>() != output.data.len()
            {
                return Err(self.fault(format!(
                    "its output '{name}' has the shape {:?} with {} values",
                    output.shape,
                    output.data.len()
                )));
            }
            if !output.data.iter().all(|value| value.is_finite()) {
                return Err(self.fault(format!(
                    "its output '{name}' holds a number that is not finite"
                )));
            }
        }
        Ok(outputs)
    }

    /// The error for an answer that this network must never give.
    pub fn fault(&self, cause: String) -> Error {
        Error::internal(format!(
            "the network {} cannot be used: {cause}; check the models",
            self.name
        ))
    }

    /// The error for an output of another shape than the step needs.
    pub fn expect_shape(&self, output: &Tensor, shape: &[usize]) -> Result<(), Error> {
        if output.shape == shape {
            return Ok(());
        }
        Err(self.fault(format!(
            "an output has the shape {:?} instead of {shape:?}",
            output.shape
        )))
    }
}

/// Whether a stated shape allows for the expected one; an open dimension allows for any size.
fn fits(stated: &[Dim], expected: &[Dim]) -> bool {
    stated.len() == expected.len()
        && stated
            .iter()
            .zip(expected)
            .all(|(stated, expected)| match (stated, expected) {
                (Some(stated), Some(expected)) => stated == expected,
                // A file that fixes what must stay open would fail on the first other size.
                (Some(_), None) => false,
                (None, _) => true,
            })
}

#[cfg(test)]
pub(crate) mod testing {
    //! Networks that answer whatever a test wants.

    use super::*;

    type Answer = Box<dyn Fn(&Tensor) -> Result<Vec<Tensor>, String> + Send + Sync>;

    struct Fake {
        shape: Vec<Dim>,
        outputs: Vec<String>,
        answer: Answer,
    }

    impl Session for Fake {
        fn inputs(&self) -> Vec<(String, Vec<Dim>)> {
            vec![(INPUT.into(), self.shape.clone())]
        }

        fn outputs(&self) -> Vec<String> {
            self.outputs.clone()
        }

        fn run(&self, input: &Tensor, _outputs: &[&str]) -> Result<Vec<Tensor>, String> {
            (self.answer)(input)
        }
    }

    /// A network with this signature that answers with `answer`.
    pub fn network(
        signature: Signature,
        answer: impl Fn(&Tensor) -> Result<Vec<Tensor>, String> + Send + Sync + 'static,
    ) -> Network {
        let fake = Fake {
            shape: signature.input.clone(),
            outputs: signature
                .outputs
                .iter()
                .map(|(name, _)| name.to_string())
                .collect(),
            answer: Box::new(answer),
        };
        Network::new("fake", Box::new(fake), signature).expect("a fake fits its own signature")
    }

    /// A tensor of this shape with this value everywhere.
    pub fn filled(shape: &[usize], value: f32) -> Tensor {
        Tensor {
            shape: shape.to_vec(),
            data: vec![value; shape.iter().product()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{filled, network};
    use super::*;
    use crate::ErrorCode;

    fn signature() -> Signature {
        Signature {
            input: vec![Some(1), Some(3), Some(8), Some(8)],
            outputs: vec![("logit", 2)],
        }
    }

    fn run(answer: Result<Vec<Tensor>, String>) -> Result<[Tensor; 1], Error> {
        network(signature(), move |_| answer.clone()).run(&Tensor {
            shape: vec![1, 3, 8, 8],
            data: vec![0.0; 3 * 8 * 8],
        })
    }

    #[test]
    fn a_sound_answer_passes() {
        assert_eq!(
            run(Ok(vec![filled(&[1, 1], 0.5)])).unwrap(),
            [filled(&[1, 1], 0.5)]
        );
    }

    #[test]
    fn an_unsound_answer_is_an_internal_error() {
        let liar = Tensor {
            shape: vec![1, 7],
            data: vec![0.0; 3],
        };
        let answers = [
            Err("broken".to_string()),
            Ok(vec![]),
            Ok(vec![filled(&[1, 1], 0.0), filled(&[1, 1], 0.0)]),
            Ok(vec![filled(&[1], 0.0)]),
            Ok(vec![liar]),
            Ok(vec![filled(&[1, 2], f32::NAN)]),
            Ok(vec![filled(&[1, 2], f32::INFINITY)]),
            Ok(vec![filled(&[1, 2], f32::NEG_INFINITY)]),
        ];
        for answer in answers {
            assert_eq!(
                run(answer.clone()).unwrap_err().code(),
                ErrorCode::Internal,
                "{answer:?}"
            );
        }
    }

    #[test]
    fn stated_shapes_must_allow_for_the_expected_ones() {
        assert!(fits(&[Some(1), None], &[Some(1), Some(3)]));
        assert!(fits(&[None, None], &[Some(1), None]));
        assert!(!fits(&[Some(2), None], &[Some(1), Some(3)]));
        assert!(!fits(&[Some(1), Some(256)], &[Some(1), None]));
        assert!(!fits(&[Some(1)], &[Some(1), Some(3)]));
    }
}
