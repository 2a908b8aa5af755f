//! Connections: accepted, answered on, and ended when nothing is asked on them.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum_server::accept::Accept;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// Pause after a connection that could not be accepted: without file descriptors the next one
/// cannot either.
const PAUSE: Duration = Duration::from_millis(50);

/// What all connections of a listener share.
pub struct Connections<A> {
    pub acceptor: A,
    pub http: Builder<TokioExecutor>,
    pub routes: Router,
    /// How long a connection may be without a request that is running.
    pub patience: Duration,
    /// Whether the server is to take no more requests.
    pub closing: watch::Receiver<bool>,
}

/// A request that is being answered, or whose body is still read. What is counted is changed by one
/// too that comes and goes between two looks.
pub struct Running(Arc<watch::Sender<usize>>);

impl Running {
    fn new(count: Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|count| *count += 1);
        Running(count)
    }
}

impl Clone for Running {
    fn clone(&self) -> Self {
        Running::new(self.0.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl<A> Connections<A>
where
    A: Accept<TcpStream, ()> + Send + Sync + 'static,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A::Future: Send,
{
    /// Accepts and answers until the server closes. What runs then has this time to finish.
    pub async fn serve(self, listener: TcpListener, grace: Duration) {
        let shared = Arc::new(self);
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                (stream, peer) = accept(&listener) => {
                    open.spawn(shared.clone().begin(stream, peer));
                }
                Some(_) = open.join_next() => {}
                () = closed(shared.closing.clone()) => break,
            }
        }
        // The system would go on to accept connections, of which nobody takes care.
        drop(listener);
        let _ = timeout(grace, async { while open.join_next().await.is_some() {} }).await;
    }

    async fn begin(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let accepted = tokio::select! {
            () = closed(self.closing.clone()) => return,
            accepted = self.acceptor.accept(stream, ()) => accepted.map(|(stream, _)| stream),
        };
        match accepted {
            Ok(stream) => self.converse(stream, peer).await,
            Err(cause) => warn!(%cause, "a connection was not accepted"),
        }
    }

    /// Answers requests until the peer, the server or their silence ends it.
    async fn converse(&self, stream: A::Stream, peer: SocketAddr) {
        let count = Arc::new(watch::Sender::new(0));
        let counted = count.clone();
        let routes = TowerToHyperService::new(self.routes.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let running = Running::new(counted.clone());
            request.extensions_mut().insert(running.clone());
            let answer = routes.call(request);
            async move {
                let _running = running;
                answer.await
            }
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            // Its errors are the peer's: what it sent was no HTTP, or it went away.
            _ = connection.as_mut() => return,
            () = silence(&count, self.patience) => {}
            () = closed(self.closing.clone()) => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _ = connection => {}
            // A peer of HTTP/2 has to confirm the end, and every peer has to read its answers. One
            // that does neither is not asked twice.
            () = silence(&count, self.patience) => {}
        }
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(cause) => {
                warn!(%cause, "a connection was not accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Ends when the server takes no more requests, also because it is gone.
async fn closed(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Ends when no request has been running for so long.
async fn silence(count: &watch::Sender<usize>, patience: Duration) {
    let mut count = count.subscribe();
    loop {
        let running = *count.borrow_and_update() > 0;
        let patience = if running { Duration::MAX } else { patience };
        if timeout(patience, count.changed()).await.is_err() {
            return;
        }
    }
}
