//! The embedded engine: rten, pure Rust, always there.

use std::sync::Arc;

use rten::{DataType, Dimension, Model, ModelOptions, NodeId, RunOptions, ThreadPool, ValueType};
use rten_tensor::{Layout, NdTensorView};

use super::pool::Pool;
use super::{Dim, Runtime, Session, Tensor};

const NAME: &str = "rten 0.27";

/// The embedded engine.
pub(super) struct Embedded {
    workers: Arc<Workers>,
}

impl Embedded {
    pub fn new() -> Self {
        Embedded {
            workers: Arc::new(Pool::new()),
        }
    }
}

/// rten computes on threads of its own. Its default is one pool with a thread per core, on which
/// calls would stand in each other's way; here every call gets a pool of one thread for itself.
type Workers = Pool<Worker>;

struct Worker {
    threads: Arc<ThreadPool>,
    process: u32,
}

impl Worker {
    fn new() -> Self {
        Worker {
            threads: Arc::new(ThreadPool::with_num_threads(1)),
            process: std::process::id(),
        }
    }

    /// After a fork the threads exist in the parent only, and a call would wait for them forever.
    fn ensure_alive(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(std::mem::replace(self, Worker::new()));
        }
    }
}

impl Runtime for Embedded {
    fn name(&self) -> String {
        NAME.into()
    }

    fn load(&self, model: &[u8]) -> Result<Box<dyn Session>, String> {
        // Optimising a model while it is loaded would run it on rten's own threads, which a forked
        // process does not have; the exported models leave nothing to optimise.
        let model = ModelOptions::with_all_ops()
            .enable_optimization(false)
            .load(model.to_vec())
            .map_err(|error| error.to_string())?;
        Ok(Box::new(EmbeddedSession {
            model,
            workers: self.workers.clone(),
        }))
    }
}

struct EmbeddedSession {
    model: Model,
    workers: Arc<Workers>,
}

impl EmbeddedSession {
    fn name(&self, id: NodeId) -> String {
        self.model
            .node_info(id)
            .and_then(|node| node.name().map(String::from))
            .unwrap_or_default()
    }

    fn shape(&self, id: NodeId) -> Vec<Dim> {
        let shape = self
            .model
            .node_info(id)
            .and_then(|node| node.shape())
            .unwrap_or_default();
        let size = |dimension| match dimension {
            Dimension::Fixed(size) => Some(size),
            Dimension::Symbolic(_) => None,
        };
        shape.into_iter().map(size).collect()
    }
}

impl Session for EmbeddedSession {
    fn inputs(&self) -> Vec<(String, Vec<Dim>)> {
        self.model
            .input_ids()
            .iter()
            .map(|id| (self.name(*id), self.shape(*id)))
            .collect()
    }

    fn outputs(&self) -> Vec<String> {
        self.model
            .output_ids()
            .iter()
            .map(|id| self.name(*id))
            .collect()
    }

    fn run(&self, input: &Tensor, outputs: &[&str]) -> Result<Vec<Tensor>, String> {
        let shape: [usize; 4] = input
            .shape
            .as_slice()
            .try_into()
            .map_err(|_| "the input needs four dimensions")?;
        let view = NdTensorView::from_data(shape, input.data.as_slice());
        let input_id = *self
            .model
            .input_ids()
            .first()
            .ok_or("the model has no input")?;
        let output_ids = outputs
            .iter()
            .map(|name| self.model.node_id(name))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        let values = self.workers.with(
            || Ok(Worker::new()),
            |worker| {
                worker.ensure_alive();
                let options = RunOptions::default().with_thread_pool(Some(worker.threads.clone()));
                self.model
                    .run(vec![(input_id, view.into())], &output_ids, Some(options))
                    .map_err(|error| error.to_string())
            },
        )?;
        values.into_iter().map(tensor).collect()
    }
}

fn tensor(value: rten::Value) -> Result<Tensor, String> {
    match value.dtype() {
        ValueType::Tensor(DataType::Float) => {}
        other => return Err(format!("an output is of type {other} instead of float32")),
    }
    let tensor = value
        .into_tensor::<f32>()
        .ok_or("an output is not a float32 tensor")?;
    Ok(Tensor {
        shape: tensor.shape().to_vec(),
        data: tensor.into_data(),
    })
}
