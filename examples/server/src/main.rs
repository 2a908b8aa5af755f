//! `liveness-server`: see `--help`.

mod allocator;

use std::env::VarError;
use std::error::Error;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use liveness::Engine;
use liveness_server::{
    Control, Keys, Options, Server, end_log, install_telemetry, log_line, unknown_variables,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

/// Holds API keys, separated by commas. There is no flag: it would show them to every user of the
/// machine.
const KEYS_VARIABLE: &str = "LIVENESS_API_KEYS";

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    allocator::give_back_large_buffers();
    let options = Options::parse();
    if let Err(cause) = install_telemetry(options.log_level) {
        eprintln!("liveness-server: {cause}");
        return ExitCode::FAILURE;
    }
    for variable in unknown_variables() {
        // The name only: the value may be a key.
        warn!(
            variable,
            "the server does not know this environment variable: --help lists those it knows"
        );
    }
    let outcome = start(options);
    if let Err(cause) = &outcome {
        log_line(&format!("liveness-server: {cause}"));
    }
    end_log();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[tokio::main]
async fn start(options: Options) -> Outcome<()> {
    // Installed first: a signal that comes while the networks are loaded counts too.
    let signals = Signals::new()?;
    let list = listed_keys()?;
    let (keys, key) = match Keys::load(list.as_deref(), options.keys_file.as_deref())? {
        Some(keys) => (keys, None),
        None => {
            let (keys, key) = Keys::generate()?;
            (keys, Some(key))
        }
    };
    let config = options.engine();
    let https = options.tls_cert.is_some();
    let server = Server::bind(options, keys).await?;
    let address = server.address()?;
    let control = server.control();
    let serving = tokio::spawn(server.serve());
    tokio::spawn(signals.obey(control.clone()));
    let engine = tokio::task::spawn_blocking(|| Engine::new(config)).await??;
    control.open(Arc::new(engine));
    // Whoever has closed standard output does not want to read this.
    let _ = std::io::stdout().write_all(greeting(address, https, key.as_deref()).as_bytes());
    Ok(serving.await??)
}

/// Keys that cannot be read are not the same as none, for which one would be made and printed.
fn listed_keys() -> Outcome<Option<String>> {
    match std::env::var(KEYS_VARIABLE) {
        Ok(list) => Ok(Some(list)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!(
            "{KEYS_VARIABLE} is unusable: a key consists of visible ASCII characters"
        )
        .into()),
    }
}

fn greeting(address: SocketAddr, https: bool, key: Option<&str>) -> String {
    let scheme = if https { "https" } else { "http" };
    let base = format!("{scheme}://{}", reachable(address));
    let (note, key) = match key {
        Some(key) => (
            "The API key is of this run only and is not shown again.\n",
            key,
        ),
        None => ("", "YOUR-API-KEY"),
    };
    format!(
        "liveness-server {} listens on {base}/\n\
         {note}Try it from the root of the repository:\n\n    \
         curl -H 'X-API-Key: {key}' -F image=@tests/fixtures/astronaut.png {base}/liveness/\n\n",
        env!("CARGO_PKG_VERSION"),
    )
}

/// The address under which a program on this machine finds the server.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What the system can tell the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn obey(mut self, control: Control) {
        tokio::spawn(reload(self.hangup, control.clone()));
        let mut stopping = false;
        loop {
            let signal = tokio::select! {
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = self.interrupt.recv() => SignalKind::interrupt(),
            };
            if std::mem::replace(&mut stopping, true) {
                // Whoever asks twice does not want to wait for what is running. The status is the
                // one that shells give to programs which a signal ends.
                end_log();
                std::process::exit(128 + signal.as_raw_value());
            }
            let control = control.clone();
            tokio::spawn(async move { control.stop().await });
        }
    }
}

/// Apart from the other signals, which have to be obeyed whatever becomes of the files.
async fn reload(mut hangup: Signal, control: Control) {
    while hangup.recv().await.is_some() {
        control.reload().await;
    }
}
