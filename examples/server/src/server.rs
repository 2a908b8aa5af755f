//! The server's life: it binds, becomes ready, and stops without losing what is running.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum_server::accept::DefaultAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info};

use crate::Checker;
use crate::apart::apart;
use crate::config::Options;
use crate::connections::Connections;
use crate::keys::Keys;
use crate::routes::{App, router};

/// How often the file of keys is looked at.
const KEYS_INTERVAL: Duration = Duration::from_secs(2);
/// How often a peer of HTTP/2 is asked whether it still lives, while it waits for an answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Requests at once on one HTTP/2 connection. A stranger may leave as many answers unread, each of
/// which takes memory as long as the connection lives; browsers and proxies get on with as many, and
/// ask for the rest when there is an answer.
const MAX_STREAMS: u32 = 8;
/// Requests on one HTTP/2 connection that may be taken back before the server gets to them. A
/// connection with more ends: to ask and take back would cost nobody but the server.
const MAX_RESETS: usize = 20;
/// Bytes of a header in HTTP/2, after decompression.
const MAX_HEADER_LIST: u32 = 16 << 10;
/// Lines of a header in HTTP/1.
const MAX_HEADERS: usize = 64;
/// Bytes that a connection holds in HTTP/1, and so of a header. Nothing but file descriptors limits the
/// number of connections, so this is what a stranger gets for each of them.
const MAX_BUFFER: usize = 16 << 10;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}; choose another with --address")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// Certificate or private key are unusable.
    #[error("the TLS certificate {cert} and its key {key} cannot be used: {cause}")]
    Certificate {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The metrics contradict each other.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A server that listens. It answers as soon as [`serve`](Server::serve) runs, and checks images
/// as soon as [`Control::open`] has given it something to check them with.
pub struct Server {
    listener: TcpListener,
    control: Control,
}

/// What can be done to a server while it runs.
#[derive(Clone)]
pub struct Control {
    app: Arc<App>,
    closing: watch::Sender<bool>,
    tls: Option<RustlsConfig>,
    options: Arc<Options>,
}

impl Server {
    /// Listens on the address, and reads the certificate where there is one.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(options: Options, keys: Keys) -> Result<Server, StartError> {
        let tls = certificate(&options).await?;
        let listener = TcpListener::bind(options.address).map_err(|cause| StartError::Address {
            address: options.address,
            cause,
        })?;
        let control = Control {
            app: Arc::new(App::new(keys, &options)?),
            closing: watch::Sender::new(false),
            tls,
            options: Arc::new(options),
        };
        Ok(Server { listener, control })
    }

    /// The address with the port that was taken.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What can be done to the server while it runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Answers requests until [`Control::stop`].
    ///
    /// # Errors
    /// Where the listener fails.
    pub async fn serve(self) -> io::Result<()> {
        let Server { listener, control } = self;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let watch = tokio::spawn(control.clone().watch_keys());
        let options = &control.options;
        let grace = options.shutdown_timeout;
        match control.tls.clone() {
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls).handshake_timeout(options.header_timeout);
                control.connections(acceptor).serve(listener, grace).await;
            }
            None => {
                let acceptor = DefaultAcceptor::new();
                control.connections(acceptor).serve(listener, grace).await;
            }
        }
        watch.abort();
        Ok(())
    }
}

impl Control {
    /// From now on images are checked.
    pub fn open(&self, checker: Arc<dyn Checker>) {
        let (engine, models) = checker.describe();
        self.app.metrics.engine(&engine, &models);
        if self.app.checker.set(checker).is_ok() {
            self.tell_ready(&engine, &models);
        }
    }

    /// Names what decides over a face otherwise than the library by itself: verdicts of two servers can
    /// be compared only where it is the same.
    fn tell_ready(&self, engine: &str, models: &str) {
        let (chosen, usual) = (self.options.engine(), liveness::Config::default());
        let ratio =
            Some(chosen.second_face_ratio).filter(|ratio| *ratio != usual.second_face_ratio);
        info!(
            engine,
            models,
            threshold = chosen.threshold.and_then(as_written),
            mask_threshold = chosen.mask_threshold.and_then(as_written),
            second_face_ratio = ratio.and_then(as_written),
            strict_quality = chosen.strict_quality.then_some(true),
            "ready"
        );
    }

    /// Reads API keys and certificate again. What cannot be read stays as it is.
    pub async fn reload(&self) {
        tokio::join!(self.reload_named_keys(), self.reload_certificate());
    }

    async fn reload_named_keys(&self) {
        if self.app.keys.came_once() {
            info!("the API keys stay as they are: what is no regular file is read once");
        } else {
            self.reload_keys(None).await;
        }
    }

    async fn reload_certificate(&self) {
        let (Some(tls), Some(cert), Some(key)) = (
            &self.tls,
            self.options.tls_cert.clone(),
            self.options.tls_key.clone(),
        ) else {
            return;
        };
        let result = match apart(move || read_pem(&cert, &key)).await {
            Ok((cert, key)) => tls.reload_from_pem(cert, key).await,
            Err(cause) => Err(cause),
        };
        match result {
            Ok(()) => info!("the certificate was read again"),
            Err(cause) => error!(%cause, "the certificate stays as it was"),
        }
    }

    /// Says that the server is not ready any more, stops to accept connections after the delay
    /// that was chosen, and lets what is running finish within the time that was chosen.
    pub async fn stop(&self) {
        info!("stopping");
        self.app.stopping.store(true, Ordering::SeqCst);
        sleep(self.options.shutdown_delay).await;
        self.closing.send_replace(true);
    }

    fn connections<A>(&self, acceptor: A) -> Connections<A> {
        Connections {
            acceptor,
            http: http(&self.options),
            routes: router(self.app.clone(), &self.options),
            patience: self.options.header_timeout,
            closing: self.closing.subscribe(),
        }
    }

    async fn watch_keys(self) {
        let mut trouble = None;
        while self.app.keys.may_change() {
            sleep(KEYS_INTERVAL).await;
            trouble = self.reload_keys(trouble).await;
        }
    }

    /// What is wrong with the keys now; told where it was not `known`.
    async fn reload_keys(&self, known: Option<String>) -> Option<String> {
        match self.app.keys.reload().await {
            Ok(true) => info!(
                count = self.app.keys.count(),
                "other API keys are valid now"
            ),
            Ok(false) => {}
            Err(cause) => {
                let cause = cause.to_string();
                if known.as_ref() != Some(&cause) {
                    error!(cause, "the API keys stay as they were");
                }
                return Some(cause);
            }
        }
        None
    }
}

/// Without the digits that come of more bits: 0.7 would be 0.699999988079071.
fn as_written(value: f32) -> Option<f64> {
    value.to_string().parse().ok()
}

/// The protocol within its limits.
fn http(options: &Options) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_header_list_size(MAX_HEADER_LIST);
    http
}

async fn certificate(options: &Options) -> Result<Option<RustlsConfig>, StartError> {
    let (Some(cert), Some(key)) = (&options.tls_cert, &options.tls_key) else {
        return Ok(None);
    };
    // Fails only where the program has chosen a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = match read_pem(cert, key) {
        Ok((cert, key)) => RustlsConfig::from_pem(cert, key).await,
        Err(cause) => Err(cause),
    };
    result.map(Some).map_err(|cause| StartError::Certificate {
        cert: cert.clone(),
        key: key.clone(),
        cause,
    })
}

/// Reads certificate and key. Refuses files without anything to use, of which the TLS library says
/// only that something is missing.
fn read_pem(cert: &Path, key: &Path) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (cert, key) = (std::fs::read(cert)?, std::fs::read(key)?);
    if let Err(pem::Error::NoItemsFound) = CertificateDer::from_pem_slice(&cert) {
        return Err(io::Error::other(
            "the file of the certificate holds no certificate in PEM",
        ));
    }
    if let Err(pem::Error::NoItemsFound) = PrivateKeyDer::from_pem_slice(&key) {
        return Err(io::Error::other(
            "the file of the key holds no private key in PEM; an encrypted one is not read: \
             decrypt it with openssl pkey -in OLD -out NEW",
        ));
    }
    Ok((cert, key))
}
