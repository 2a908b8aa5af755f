//! More requests than places.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use liveness_server::Checker;
use reqwest::RequestBuilder;
use tokio::task::JoinHandle;

use crate::support::{
    Answer, Before, Running, expected, file, head, portrait, send, start, start_with, write,
};

/// A checker that waits, for each check, until it is told to go on.
fn gated() -> (Arc<dyn Checker>, Sender<()>) {
    let (go, wait): (_, Receiver<()>) = channel();
    let wait = Mutex::new(wait);
    let checker = Before(move || {
        // A test that is over lets everything go.
        let _ = wait.lock().unwrap().recv();
        None
    });
    (Arc::new(checker), go)
}

fn spawn(request: RequestBuilder) -> JoinHandle<Answer> {
    tokio::spawn(send(request))
}

const IN_FLIGHT: &str = "liveness_checks_in_flight";
const QUEUE: &str = "liveness_queue_depth";
const GONE: &str = "liveness_http_responses_total{route=\"/liveness/\",status=\"499\"}";

async fn is_unavailable(request: RequestBuilder) {
    let answer = send(request).await;
    answer.is_failure(503, "005");
    assert_eq!(answer.headers["retry-after"], "1");
}

fn request(server: &Running) -> RequestBuilder {
    server.post().multipart(file(portrait()))
}

/// A server whose first check is running and goes on when told to.
async fn busy(arguments: &[&str]) -> (Running, JoinHandle<Answer>, Sender<()>) {
    let (checker, go) = gated();
    let server = start_with(arguments, checker).await;
    let running = spawn(request(&server));
    server.until_metric(IN_FLIGHT, 1.0).await;
    (server, running, go)
}

#[tokio::test]
async fn beyond_the_queue_is_503() {
    let (server, running, go) = busy(&["--max-checks", "1", "--queue", "1"]).await;
    let waiting = spawn(request(&server));
    server.until_metric(QUEUE, 1.0).await;
    is_unavailable(request(&server)).await;
    // The rest of the server answers meanwhile.
    assert_eq!(server.get("/readyz").send().await.unwrap().status(), 200);
    go.send(()).unwrap();
    go.send(()).unwrap();
    let expected = expected(&portrait());
    assert_eq!(running.await.unwrap().body, expected);
    assert_eq!(waiting.await.unwrap().body, expected);
    assert_eq!(
        (server.metric(IN_FLIGHT).await, server.metric(QUEUE).await),
        (0.0, 0.0)
    );
    go.send(()).unwrap();
    assert_eq!(send(request(&server)).await.body, expected);
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let (server, running, go) = busy(&["--max-checks", "1", "--queue-timeout", "0.2"]).await;
    is_unavailable(request(&server)).await;
    go.send(()).unwrap();
    assert_eq!(running.await.unwrap().status, 200);
}

#[tokio::test]
async fn who_goes_away_while_waiting_frees_the_place() {
    let (server, running, go) = busy(&["--max-checks", "1", "--queue", "1"]).await;
    let waiting = spawn(request(&server));
    server.until_metric(QUEUE, 1.0).await;
    waiting.abort();
    server.until_metric(QUEUE, 0.0).await;
    server.until_metric(GONE, 1.0).await;
    let next = spawn(request(&server));
    server.until_metric(QUEUE, 1.0).await;
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(running.await.unwrap().status, 200);
    assert_eq!(next.await.unwrap().status, 200);
}

#[tokio::test]
async fn who_goes_away_while_checked_keeps_the_place_until_the_end() {
    let (server, running, go) = busy(&["--max-checks", "1", "--queue", "0"]).await;
    running.abort();
    is_unavailable(request(&server)).await;
    go.send(()).unwrap();
    server.until_metric(IN_FLIGHT, 0.0).await;
    // Nobody has got this verdict.
    server.until_metric(GONE, 1.0).await;
    assert_eq!(
        server.metric("liveness_requests_total{code=\"ok\"}").await,
        0.0
    );
}

#[tokio::test]
async fn uploads_are_counted_too() {
    let server = start(&["--max-uploads", "1"]).await;
    let mut slow = server.connect().await;
    write(
        &mut slow,
        head("Content-Type: application/json\r\nContent-Length: 1000\r\n"),
    )
    .await;
    server.until_metric("liveness_uploads_in_flight", 1.0).await;
    is_unavailable(request(&server)).await;
    drop(slow);
    server.until_metric("liveness_uploads_in_flight", 0.0).await;
    assert_eq!(send(request(&server)).await.status, 200);
}

#[tokio::test]
async fn many_at_once_are_answered_alike() {
    let server = start(&["--queue", "64"]).await;
    let requests: Vec<_> = (0..24).map(|_| spawn(request(&server))).collect();
    let expected = expected(&portrait());
    for request in requests {
        assert_eq!(request.await.unwrap().body, expected);
    }
    assert_eq!(
        server.metric("liveness_requests_total{code=\"ok\"}").await,
        24.0
    );
    assert_eq!(
        server
            .metric("liveness_verdicts_total{verdict=\"live\"}")
            .await,
        24.0
    );
    for stage in [
        "read", "queue", "decode", "detect", "mask", "spoof", "check",
    ] {
        let count = format!("liveness_stage_seconds_count{{stage=\"{stage}\"}}");
        assert_eq!(server.metric(&count).await, 24.0, "{stage}");
    }
}
