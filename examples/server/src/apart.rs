//! Files that are read while the server runs.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// Reads on a thread of its own that nobody has to wait for: where the file system does not answer, it
/// takes no thread from requests, and the process ends without it, which it would not with one of
/// the runtime's.
pub async fn apart<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new().name("file".into()).spawn(move || {
        // Whoever asked may have gone.
        let _ = sender.send(read());
    })?;
    receiver.await.map_err(io::Error::other)?
}
