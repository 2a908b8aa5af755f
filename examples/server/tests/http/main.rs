//! The server as its clients meet it.

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod hostile;
mod lifecycle;
mod limits;
mod load;
mod process;
mod surroundings;
mod tls;
