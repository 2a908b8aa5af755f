//! The embedded engine: always there, no thread of its own, nothing that survives its last handle.
//!
//! It is written for the networks of this library and others of their kind: dense convolutions
//! with ReLU and residuals, and the few operators around them (see [`plan`]). A network is read
//! from its ONNX file ([`protobuf`], [`onnx`]), turned into a checked list of steps ([`plan`]),
//! sized for the picture at hand, and computed by the calling thread ([`run`], [`kernels`]).

mod kernels;
mod node;
mod onnx;
mod plan;
mod protobuf;
mod run;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, Weak};

use self::kernels::InstructionSet;
pub(super) use self::onnx::ensure_sound_weights;
use self::plan::Plan;
use self::run::{Scratch, SizedPlan, TOGETHER};
use super::pool::Pool;
use super::{Dim, Runtime, Session, Tensor};
use crate::models::{Digest, Model};
use crate::sync::lock;

const NAME: &str = "embedded 2";

/// The embedded engine.
pub(super) struct Embedded {
    shared: Arc<Shared>,
}

impl Embedded {
    pub fn new() -> Self {
        Embedded {
            shared: Shared::get(),
        }
    }
}

impl Runtime for Embedded {
    fn name(&self) -> String {
        NAME.into()
    }

    fn load(&self, model: &Model) -> Result<Box<dyn Session>, String> {
        Ok(Box::new(EmbeddedSession {
            plan: self.shared.plan(model)?,
            set: self.shared.set,
            shared: self.shared.clone(),
        }))
    }

    fn forget(&self) {
        let scratch = &self.shared.scratch;
        scratch.for_idle(Scratch::used, Scratch::forget);
    }
}

/// What all handles of a process have in common, for as long as there is one.
struct Shared {
    set: InstructionSet,
    /// Networks that some handle uses: another with the same models shares their weights.
    plans: Mutex<Vec<(Digest, Weak<Plan>)>>,
    scratch: Pool<Scratch>,
}

static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

impl Shared {
    fn get() -> Arc<Self> {
        let mut place = lock(&SHARED);
        place.upgrade().unwrap_or_else(|| {
            let shared = Arc::new(Shared {
                set: InstructionSet::best(),
                plans: Mutex::new(Vec::new()),
                // Memory of more calls than cores is not worth keeping.
                scratch: Pool::of_cores(1),
            });
            *place = Arc::downgrade(&shared);
            shared
        })
    }

    fn plan(&self, model: &Model) -> Result<Arc<Plan>, String> {
        let known = |plans: &[(Digest, Weak<Plan>)]| {
            let plan = plans.iter().find(|(digest, _)| *digest == model.digest);
            plan.and_then(|(_, plan)| plan.upgrade())
        };
        if let Some(plan) = known(&lock(&self.plans)) {
            return Ok(plan);
        }
        let plan = Arc::new(Plan::new(&onnx::Graph::read(&model.bytes)?)?);
        let mut plans = lock(&self.plans);
        // Another thread may have loaded the same in the meantime.
        if let Some(plan) = known(&plans) {
            return Ok(plan);
        }
        plans.retain(|(_, plan)| plan.strong_count() > 0);
        plans.push((model.digest, Arc::downgrade(&plan)));
        Ok(plan)
    }
}

impl Drop for Shared {
    /// A static is never dropped: without this, a process that unloads the library would lose the
    /// memory that the static still points to.
    fn drop(&mut self) {
        let mut place = lock(&SHARED);
        if place.strong_count() == 0 {
            *place = Weak::new();
        }
    }
}

struct EmbeddedSession {
    plan: Arc<Plan>,
    set: InstructionSet,
    shared: Arc<Shared>,
}

impl Session for EmbeddedSession {
    fn inputs(&self) -> Vec<(String, Vec<Dim>)> {
        vec![(self.plan.input.clone(), self.plan.input_shape.to_vec())]
    }

    fn outputs(&self) -> Vec<String> {
        let names = self.plan.outputs.iter().map(|(name, _)| name.clone());
        names.collect()
    }

    fn run(&self, input: &Tensor, outputs: &[&str]) -> Result<Vec<Tensor>, String> {
        self.shared.scratch.with(
            || Ok(Scratch::default()),
            |scratch| compute(&self.plan, self.set, scratch, input, outputs),
        )
    }
}

fn compute(
    plan: &Plan,
    set: InstructionSet,
    scratch: &mut Scratch,
    input: &Tensor,
    outputs: &[&str],
) -> Result<Vec<Tensor>, String> {
    let shape: [usize; 4] = input
        .shape
        .as_slice()
        .try_into()
        .map_err(|_| "the input needs four dimensions")?;
    let stated = plan.input_shape.iter().zip(shape);
    if !stated
        .clone()
        .all(|(stated, size)| stated.is_none_or(|stated| stated == size))
    {
        return Err(format!(
            "the input has the shape {shape:?} instead of {:?}",
            plan.input_shape
        ));
    }
    let [pictures, picture @ ..] = shape;
    let sized = SizedPlan::new(plan, picture)?;
    let len = picture.iter().product::<usize>();
    if pictures == 0 || len.checked_mul(pictures) != Some(input.data.len()) {
        return Err(format!(
            "{} numbers for the shape {shape:?}",
            input.data.len()
        ));
    }
    let value = |name: &&str| {
        let output = plan.outputs.iter().find(|(output, _)| output == name);
        output
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("there is no output named '{name}'"))
    };
    let values = outputs.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    let mut tensors = Vec::with_capacity(values.len());
    for value in &values {
        let mut shape = sized.shape(*value)?.to_vec();
        shape[0] = pictures;
        let data = Vec::with_capacity(shape.iter().product());
        tensors.push(Tensor { shape, data });
    }
    for pictures in input.data.chunks(TOGETHER * len) {
        sized.run(set, scratch, pictures, &values, |at, numbers| {
            tensors[at].data.extend_from_slice(numbers);
        })?;
    }
    Ok(tensors)
}
