//! Becoming ready, changing keys, stopping.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::support::{
    Before, ENGINE, KEY, expected, file, portrait, send, start, start_closed, start_with,
};

#[tokio::test]
async fn ready_with_an_engine_only() {
    let server = start_closed(&[]).await;
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), 200);
    send(server.get("/readyz")).await.is_not_ready();
    let request = || server.post().multipart(file(portrait()));
    let answer = send(request()).await;
    answer.is_failure(503, "005");
    assert_eq!(answer.headers["retry-after"], "1");
    server.control.open(ENGINE.clone());
    let answer = send(server.get("/readyz")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str()),
        (200, r#"{"status":"ready"}"#)
    );
    assert_eq!(send(request()).await.status, 200);
}

#[tokio::test]
async fn stopping_finishes_what_is_running() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let checker = Before(move || {
        wait.lock().unwrap().recv().expect("the test goes on");
        None
    });
    let server = start_with(
        &["--shutdown-delay", "0.5", "--max-checks", "1"],
        Arc::new(checker),
    )
    .await;
    let requests: Vec<_> = (0..2)
        .map(|_| tokio::spawn(send(server.post().multipart(file(portrait())))))
        .collect();
    server.until_metric("liveness_checks_in_flight", 1.0).await;
    server.until_metric("liveness_queue_depth", 1.0).await;
    let control = server.control.clone();
    let stopping = tokio::spawn(async move { control.stop().await });
    // Told to stop, it says so before it closes its door.
    for _ in 0..100 {
        if server.get("/readyz").send().await.unwrap().status() == 503 {
            break;
        }
        sleep(Duration::from_millis(4)).await;
    }
    send(server.get("/readyz")).await.is_not_ready();
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), 200);
    stopping.await.unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!server.serving.is_finished());
    go.send(()).unwrap();
    go.send(()).unwrap();
    for request in requests {
        assert_eq!(request.await.unwrap().body, expected(&portrait()));
    }
    server.serving.await.unwrap().unwrap();
}

impl crate::support::Answer {
    fn is_not_ready(&self) {
        assert_eq!(
            (self.status.as_u16(), self.body.as_str()),
            (503, r#"{"status":"not ready"}"#)
        );
        assert_eq!(self.headers["retry-after"], "1");
    }
}

#[tokio::test]
async fn stopping_does_not_wait_for_idle_or_slow_connections_for_ever() {
    let server = start(&["--shutdown-timeout", "0.5"]).await;
    let idle = server.connect().await;
    let mut slow = server.connect().await;
    crate::support::write(
        &mut slow,
        crate::support::head("Content-Type: application/json\r\nContent-Length: 1000\r\n"),
    )
    .await;
    server.until_metric("liveness_uploads_in_flight", 1.0).await;
    server.control.stop().await;
    tokio::time::timeout(Duration::from_secs(20), server.serving)
        .await
        .expect("it stops")
        .unwrap()
        .unwrap();
    drop((idle, slow));
}

#[tokio::test]
async fn keys_change_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, "first\n").unwrap();
    let server = start(&["--keys-file", path.to_str().unwrap()]).await;
    let status = async |key: &str| {
        let request = server.client.post(format!("{}/liveness/", server.base));
        send(request.header("X-API-Key", key)).await.status.as_u16()
    };
    assert_eq!(
        (
            status("first").await,
            status("second").await,
            status(KEY).await
        ),
        (400, 401, 400)
    );
    // Both are valid during a rotation.
    std::fs::write(&path, "first\nsecond\n").unwrap();
    server.control.reload().await;
    assert_eq!((status("first").await, status("second").await), (400, 400));
    // Without being told, the file is looked at every two seconds.
    std::fs::write(&path, "second\n").unwrap();
    for _ in 0..100 {
        if status("first").await == 401 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        (
            status("first").await,
            status("second").await,
            status(KEY).await
        ),
        (401, 400, 400)
    );
}
