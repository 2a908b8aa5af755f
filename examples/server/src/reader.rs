//! A request's body, read within limits of size and time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::Refusal;

/// What is still read of a refused body, and for how long.
const DRAIN_BYTES: usize = 32 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(3);

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    #[error("the body is larger than any request with an image of the permitted size")]
    TooLarge,
    #[error("the body took too long to arrive")]
    TooSlow,
    #[error("the body ended before it was complete")]
    Broken,
}

impl From<Interruption> for Refusal {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::TooLarge => Refusal::too_large(),
            Interruption::TooSlow => Refusal::too_slow(),
            Interruption::Broken => Refusal::malformed(interruption.to_string()),
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

/// A body of which no more than allowed is read.
pub struct Reader {
    body: BodyDataStream,
    left: usize,
    idle: Duration,
    deadline: Instant,
    /// Whether the sender has asked for permission and not got it yet.
    waits: bool,
}

impl Reader {
    pub fn new(headers: &HeaderMap, body: Body, most: usize, patience: Patience) -> Self {
        Reader {
            body: body.into_data_stream(),
            left: most,
            idle: patience.idle,
            deadline: Instant::now() + patience.whole,
            waits: headers.contains_key(header::EXPECT),
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

    /// The pieces as a stream.
    pub fn pieces(&mut self) -> impl Stream<Item = Result<Bytes, Interruption>> + Send {
        stream::try_unfold(self, |reader| async move {
            Ok(reader.piece().await?.map(|piece| (piece, reader)))
        })
    }

    /// Lets a sender that is still busy finish, within bounds. Were its connection closed while
    /// it sends, it would see a reset instead of the answer.
    pub fn drain(mut self) {
        if self.waits {
            return;
        }
        tokio::spawn(timeout(DRAIN_TIME, async move {
            let mut left = DRAIN_BYTES;
            while let Some(Ok(piece)) = self.body.next().await {
                match left.checked_sub(piece.len()) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        }));
    }
}
