//! A request's body, read within limits of size and time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::header;
use axum::http::request::Parts;
use futures_util::{Stream, StreamExt, stream};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::admission::Draining;
use crate::answer::Refusal;
use crate::connections::Running;

/// What is still read of a refused body where too many others are, and for how long.
const DRAIN_BYTES: usize = 32 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(3);

/// Bytes after which a parser that takes all it can get has to look at what it has.
const BURST: usize = 16 << 10;
/// The most that a parser may take without finding anything; more than a burst and a piece.
const MAX_SEARCHED: usize = 128 << 10;

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    #[error("the body is larger than any request with an image of the permitted size")]
    TooLarge,
    #[error("the body took too long to arrive")]
    TooSlow,
    #[error("the body ended before it was complete")]
    Broken,
    #[error("the form has no boundary, or a part with too long a header")]
    Shapeless,
}

impl From<Interruption> for Refusal {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::TooLarge => Refusal::too_large(),
            Interruption::TooSlow => Refusal::too_slow(),
            Interruption::Broken | Interruption::Shapeless => {
                Refusal::malformed(interruption.to_string())
            }
        }
    }
}

/// Times within which a body has to arrive.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Between two pieces.
    pub idle: Duration,
    /// For the whole.
    pub whole: Duration,
}

/// What a parser has taken since it last found something.
#[derive(Debug, Default)]
pub struct Progress(AtomicUsize);

impl Progress {
    /// The parser has found something.
    pub fn made(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn took(&self, bytes: usize) -> Result<(), Interruption> {
        match self.0.fetch_add(bytes, Ordering::Relaxed) {
            0..MAX_SEARCHED => Ok(()),
            _ => Err(Interruption::Shapeless),
        }
    }
}

/// A body of which no more than allowed is read.
pub struct Reader {
    body: BodyDataStream,
    left: usize,
    idle: Duration,
    deadline: Instant,
    /// Whether the sender has asked for permission and not got it yet.
    waits: bool,
    /// Keeps the connection open while the rest of a refused body arrives.
    _running: Option<Running>,
}

impl Reader {
    pub fn new(parts: &Parts, body: Body, most: usize, patience: Patience) -> Self {
        Reader {
            body: body.into_data_stream(),
            left: most,
            idle: patience.idle,
            deadline: Instant::now() + patience.whole,
            waits: parts.headers.contains_key(header::EXPECT),
            _running: parts.extensions.get().cloned(),
        }
    }

    /// The next piece; `None` at the end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Interruption> {
        // To ask for a piece gives the permission.
        self.waits = false;
        let until = self.deadline.min(Instant::now() + self.idle);
        let next = timeout_at(until, self.body.next())
            .await
            .map_err(|_| Interruption::TooSlow)?;
        let Some(piece) = next else { return Ok(None) };
        let piece = piece.map_err(|_| Interruption::Broken)?;
        self.left = self
            .left
            .checked_sub(piece.len())
            .ok_or(Interruption::TooLarge)?;
        Ok(Some(piece))
    }

    /// The pieces as a stream for a parser that tells of its progress.
    ///
    /// A parser which looks for something from the start of what it has, each time that more is
    /// there, needs a time that grows with the square of it: so what it may have is bounded.
    pub fn pieces<'a>(
        &'a mut self,
        progress: &'a Progress,
    ) -> impl Stream<Item = Result<Bytes, Interruption>> + Send + 'a {
        stream::try_unfold((self, 0), move |(reader, mut burst)| async move {
            if burst >= BURST {
                yield_now().await;
                burst = 0;
            }
            let Some(piece) = reader.piece().await? else {
                return Ok(None);
            };
            progress.took(piece.len())?;
            burst += piece.len();
            Ok(Some((piece, (reader, burst))))
        })
    }

    /// Lets a sender that is still busy finish, within bounds. Were its connection closed while
    /// it sends, it would see a reset instead of the answer.
    pub fn drain(mut self, place: Option<Draining>) {
        if self.waits {
            return;
        }
        let soon = Instant::now() + DRAIN_TIME;
        (self.left, self.deadline) = match &place {
            // A body that took too long is past its deadline.
            Some(_) => (usize::MAX, self.deadline.max(soon)),
            None => (DRAIN_BYTES, soon),
        };
        tokio::spawn(async move {
            let _place = place;
            while let Ok(Some(_)) = self.piece().await {}
        });
    }
}
