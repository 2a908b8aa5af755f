//! One text for many who ask for it, whether they read it or not.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use axum::body::Bytes;

/// For how long a text is given to others too, for each text that somebody has not read yet.
const SHARED: Duration = Duration::from_secs(1);

/// The texts that answers on their way hold; nothing else holds one.
///
/// A peer of HTTP/2 may ask and never read, and keeps alive what it asked for. So while anybody has
/// not read, others get the same text; and the more texts are kept alive, the older one gets
/// before there is a new one. Whoever asks when all have read gets a new one.
#[derive(Default)]
pub struct Texts {
    unread: Vec<(Instant, Weak<[u8]>)>,
}

impl Texts {
    /// The text to answer with at this time, made where there is none that is young enough.
    pub fn get<E>(
        &mut self,
        now: Instant,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Bytes, E> {
        if let Some(text) = self.shared(now) {
            return Ok(Bytes::from_owner(text));
        }
        let text: Arc<[u8]> = make()?.into();
        self.unread.push((now, Arc::downgrade(&text)));
        Ok(Bytes::from_owner(text))
    }

    fn shared(&mut self, now: Instant) -> Option<Arc<[u8]>> {
        self.unread.retain(|(_, text)| text.strong_count() > 0);
        let age = SHARED * u32::try_from(self.unread.len()).unwrap_or(u32::MAX);
        let (made, text) = self.unread.last()?;
        text.upgrade().filter(|_| now.duration_since(*made) < age)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn get(texts: &mut Texts, now: Instant) -> Bytes {
        let made = texts.get(now, || Ok::<_, Infallible>(b"a text".to_vec()));
        made.unwrap_or_else(|never| match never {})
    }

    fn same(one: &Bytes, other: &Bytes) -> bool {
        one.as_ptr() == other.as_ptr()
    }

    #[test]
    fn who_does_not_read_shares_with_others() {
        let (mut texts, start) = (Texts::default(), Instant::now());
        let first = get(&mut texts, start);
        let soon = start + SHARED / 2;
        assert!((0..100).all(|_| same(&first, &get(&mut texts, soon))));
        let second = get(&mut texts, start + SHARED);
        assert!(!same(&first, &second));
        // Two are kept alive, so the next one takes twice as long.
        assert!(same(&second, &get(&mut texts, start + SHARED * 5 / 2)));
        assert!(!same(&second, &get(&mut texts, start + SHARED * 3)));
    }

    #[test]
    fn who_has_read_keeps_nothing() {
        let (mut texts, start) = (Texts::default(), Instant::now());
        let mut made = 0;
        for _ in 0..3 {
            let text = texts.get(start, || {
                made += 1;
                Ok::<_, Infallible>(vec![0; 10])
            });
            assert_eq!(text.unwrap().len(), 10);
        }
        assert_eq!((made, texts.unread.len()), (3, 1));
        assert_eq!(texts.unread[0].1.strong_count(), 0);
    }

    /// Every second somebody asks who will never read.
    #[test]
    fn the_number_of_texts_grows_with_the_root_of_time() {
        let (mut texts, start) = (Texts::default(), Instant::now());
        let kept: Vec<_> = (0..3600)
            .map(|second| get(&mut texts, start + SHARED * second))
            .collect();
        assert_eq!((kept.len(), texts.unread.len()), (3600, 85));
    }
}
