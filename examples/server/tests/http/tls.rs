//! HTTPS.

use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use liveness_server::{Keys, Options, Server};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Running, expected, head, portrait, read_answer, start};

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> (Files, CertificateDer<'static>) {
        let files = Files {
            folder: tempfile::tempdir().unwrap(),
        };
        let certificate = files.renew();
        (files, certificate)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().into()
    }

    /// A new certificate in the same files.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(Path::new(&self.path("cert.pem")), made.cert.pem()).unwrap();
        std::fs::write(
            Path::new(&self.path("key.pem")),
            made.signing_key.serialize_pem(),
        )
        .unwrap();
        made.cert.der().clone()
    }

    async fn server(&self) -> Running {
        start(&[
            "--tls-cert",
            &self.path("cert.pem"),
            "--tls-key",
            &self.path("key.pem"),
        ])
        .await
    }
}

async fn connect(
    server: &Running,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    TlsConnector::from(Arc::new(config))
        .connect(
            ServerName::try_from("localhost").unwrap(),
            server.connect().await,
        )
        .await
}

#[tokio::test]
async fn a_check_over_tls() {
    let (files, certificate) = Files::new();
    let server = files.server().await;
    let mut stream = connect(&server, &certificate, &["http/1.1"]).await.unwrap();
    let image = portrait();
    let start = "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n";
    let end = "\r\n--b--\r\n";
    let length = start.len() + image.len() + end.len();
    let head = head(&format!(
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n"
    ));
    let request = [head.as_bytes(), start.as_bytes(), &image, end.as_bytes()].concat();
    stream.write_all(&request).await.unwrap();
    assert_eq!(read_answer(&mut stream).await, (200, expected(&image)));
}

#[tokio::test]
async fn http_2_is_offered() {
    let (files, certificate) = Files::new();
    let server = files.server().await;
    let stream = connect(&server, &certificate, &["h2", "http/1.1"])
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn plain_text_is_not_answered() {
    let (files, _) = Files::new();
    let server = files.server().await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
}

#[tokio::test]
async fn browsers_are_told_to_stay_with_https() {
    let (files, certificate) = Files::new();
    let server = files.server().await;
    let mut stream = connect(&server, &certificate, &["http/1.1"]).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200")
            && answer.contains("strict-transport-security: max-age=")
    );
}

#[tokio::test]
async fn what_a_file_lacks_is_said() {
    let (files, _) = Files::new();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| files.path(name));
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let other = files.path("encrypted.pem");
    std::fs::write(&other, encrypted).unwrap();
    for (cert, key, said) in [
        (&key, &key, "holds no certificate in PEM"),
        (&cert, &cert, "holds no private key in PEM"),
        (&cert, &other, "openssl pkey -in OLD -out NEW"),
    ] {
        let options = ["liveness-server", "--tls-cert", cert, "--tls-key", key];
        let options = Options::try_parse_from(options).unwrap();
        let (keys, _) = Keys::generate().unwrap();
        let cause = Server::bind(options, keys).await.err().unwrap().to_string();
        assert!(cause.contains(said), "{cause}");
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_a_restart() {
    let (files, old) = Files::new();
    let server = files.server().await;
    let new = files.renew();
    assert!(
        connect(&server, &old, &[]).await.is_ok() && connect(&server, &new, &[]).await.is_err()
    );
    server.control.reload().await;
    assert!(
        connect(&server, &new, &[]).await.is_ok() && connect(&server, &old, &[]).await.is_err()
    );
    std::fs::write(files.path("cert.pem"), "no certificate").unwrap();
    server.control.reload().await;
    assert!(connect(&server, &new, &[]).await.is_ok());
}
