//! Who tries API keys: wrong ones are counted for each peer, and too many of them are refused
//! before it matters whether the next one is right.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use tracing::warn;

use crate::answer::Refusal;
use crate::keys::{Credentials, Hash};

/// Peers that are remembered, about 100 bytes each and the hashes of their keys.
const MAX_PEERS: usize = 10_000;
/// Keys that are remembered for each of them: the callers behind one address that a stranger among
/// them cannot shut out.
const MAX_PROVEN: usize = 16;
/// The time in which the permitted number of wrong keys is forgotten.
const PERIOD: Duration = Duration::from_secs(60);

/// The wrong keys of each peer.
///
/// A key that a peer has used with success stays usable for it while its other keys are refused:
/// otherwise a stranger behind the same address, or behind the same proxy where the server does
/// not know of it, could shut out everybody else there.
pub struct Guesses {
    /// Wrong keys in a row, and in each [`PERIOD`]; 0 does not limit them.
    most: u32,
    /// Reverse proxies that add their caller's address to `X-Forwarded-For`.
    proxies: usize,
    accounts: Mutex<HashMap<IpAddr, Account>>,
}

struct Account {
    /// Wrong keys that are not forgotten yet.
    wrong: f64,
    /// When that was so.
    at: Instant,
    /// Whether the log tells of them already.
    told: bool,
    /// Keys that were right, the one that was used last first. Whoever has sent none costs nothing here.
    proven: Vec<Hash>,
}

impl Guesses {
    pub fn new(most: u32, proxies: usize) -> Self {
        Guesses {
            most,
            proxies,
            accounts: Mutex::default(),
        }
    }

    /// Whether the peer may go on with these credentials.
    pub fn judge(
        &self,
        socket: Option<SocketAddr>,
        headers: &HeaderMap,
        credentials: &Credentials,
    ) -> Result<(), Refusal> {
        self.judge_at(self.peer(socket, headers), credentials, Instant::now())
    }

    fn judge_at(
        &self,
        peer: IpAddr,
        credentials: &Credentials,
        now: Instant,
    ) -> Result<(), Refusal> {
        // No key is no guess.
        if matches!(credentials, Credentials::Missing) {
            return Err(Refusal::unauthorized());
        }
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MAX_PEERS && !accounts.contains_key(&peer) {
            forget_half(&mut accounts);
        }
        let account = accounts.entry(peer).or_insert_with(|| Account::new(now));
        account.forget(self.rate(), now);
        let wait = self.wait(account);
        match (credentials, wait) {
            (Credentials::Right(key), _) if account.knows(key) => Ok(()),
            (_, Some(wait)) => {
                if !std::mem::replace(&mut account.told, true) {
                    warn!(%peer, "too many wrong API keys: further ones are refused unread");
                }
                Err(Refusal::too_many_keys(wait))
            }
            (Credentials::Right(key), None) => {
                account.prove(*key);
                Ok(())
            }
            (_, None) => {
                account.wrong += f64::from(credentials.wrong());
                Err(Refusal::unauthorized())
            }
        }
    }

    /// Wrong keys that are forgotten in a second.
    fn rate(&self) -> f64 {
        f64::from(self.most) / PERIOD.as_secs_f64()
    }

    /// How long the peer has to wait until it may try another key.
    fn wait(&self, account: &Account) -> Option<Duration> {
        let excess = account.wrong + 1.0 - f64::from(self.most);
        (self.most > 0 && excess > 0.0).then(|| Duration::from_secs_f64(excess / self.rate()))
    }

    /// The address that the request comes from, as far as it can be trusted.
    fn peer(&self, socket: Option<SocketAddr>, headers: &HeaderMap) -> IpAddr {
        let socket = socket.map_or(Ipv6Addr::UNSPECIFIED.into(), |socket| socket.ip());
        let address = self
            .proxies
            .checked_sub(1)
            .and_then(|nearer| forwarded(headers, nearer))
            .unwrap_or(socket);
        match address.to_canonical() {
            // One customer of a provider has at least so many addresses.
            IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
            ip => ip,
        }
    }
}

/// What `X-Forwarded-For` names before the given number of nearer proxies. Only what the nearest
/// proxies have added can be trusted: a caller may send the header too.
fn forwarded(headers: &HeaderMap, nearer: usize) -> Option<IpAddr> {
    let named = headers
        .get_all("x-forwarded-for")
        .iter()
        .rev()
        // Each for itself: what a caller has sent before may be no text.
        .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','))
        .nth(nearer)?;
    let named = std::str::from_utf8(named).ok()?.trim();
    let with_port = || Some(named.parse::<SocketAddr>().ok()?.ip());
    let in_brackets = || {
        let ip: Ipv6Addr = named.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
        Some(ip.into())
    };
    named.parse().ok().or_else(with_port).or_else(in_brackets)
}

/// Makes room. Who is forgotten may try again, which needs as many addresses as are remembered.
fn forget_half(accounts: &mut HashMap<IpAddr, Account>) {
    let mut times: Vec<_> = accounts.values().map(|account| account.at).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    accounts.retain(|_, account| account.at > median);
}

impl Account {
    fn new(now: Instant) -> Self {
        Account {
            wrong: 0.0,
            at: now,
            told: false,
            proven: Vec::new(),
        }
    }

    fn forget(&mut self, rate: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.wrong = (self.wrong - passed * rate).max(0.0);
        self.told &= self.wrong > 0.0;
        self.at = now;
    }

    /// Whether the key was right before. It is then the last one to be forgotten.
    fn knows(&mut self, key: &Hash) -> bool {
        let place = self.proven.iter().position(|proven| proven == key);
        if let Some(place) = place {
            self.proven[..=place].rotate_right(1);
        }
        place.is_some()
    }

    fn prove(&mut self, key: Hash) {
        self.proven.truncate(MAX_PROVEN - 1);
        self.proven.insert(0, key);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, StatusCode};
    use clap::CommandFactory;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const RIGHT: Credentials = Credentials::Right([1; 32]);
    const RIGHT_TOO: Credentials = Credentials::Right([2; 32]);

    /// The status of the refusal, 200 for none.
    fn status(guesses: &Guesses, peer: IpAddr, credentials: &Credentials, now: Instant) -> u16 {
        match guesses.judge_at(peer, credentials, now) {
            Ok(()) => 200,
            Err(refusal) => refusal.response(false).status().as_u16(),
        }
    }

    #[test]
    fn wrong_keys_are_limited_and_forgotten() {
        let guesses = Guesses::new(3, 0);
        let start = Instant::now();
        let judge = |peer, credentials, seconds| {
            status(
                &guesses,
                peer,
                credentials,
                start + Duration::from_secs(seconds),
            )
        };
        for _ in 0..10 {
            assert_eq!(judge(PEER, &Credentials::Missing, 0), 401);
        }
        for _ in 0..3 {
            assert_eq!(judge(PEER, &Credentials::Wrong(1), 0), 401);
        }
        // From here on it cannot be told whether a key is right.
        assert_eq!(judge(PEER, &Credentials::Wrong(1), 0), 429);
        assert_eq!(judge(PEER, &RIGHT, 0), 429);
        assert_eq!(judge(OTHER, &RIGHT, 0), 200);
        assert_eq!(judge(PEER, &RIGHT, 19), 429);
        assert_eq!(judge(PEER, &RIGHT, 21), 200);
    }

    #[test]
    fn two_keys_at_once_are_two() {
        let guesses = Guesses::new(4, 0);
        let now = Instant::now();
        for expected in [401, 401, 429] {
            assert_eq!(
                status(&guesses, PEER, &Credentials::Wrong(2), now),
                expected
            );
        }
        assert_eq!(status(&guesses, PEER, &RIGHT, now), 429);
    }

    #[test]
    fn a_proven_key_stays_usable() {
        let guesses = Guesses::new(1, 0);
        let now = Instant::now();
        for (credentials, expected) in [
            (RIGHT, 200),
            (Credentials::Wrong(1), 401),
            (Credentials::Wrong(1), 429),
            (RIGHT, 200),
            (RIGHT_TOO, 429),
        ] {
            assert_eq!(status(&guesses, PEER, &credentials, now), expected);
        }
        assert_eq!(status(&guesses, OTHER, &Credentials::Wrong(1), now), 401);
        assert_eq!(status(&guesses, OTHER, &RIGHT, now), 429);
    }

    #[test]
    fn the_keys_that_were_used_last_stay_usable() {
        let guesses = Guesses::new(1, 0);
        let now = Instant::now();
        let key = |number: usize| Credentials::Right([number as u8; 32]);
        for number in 0..MAX_PROVEN {
            assert_eq!(status(&guesses, PEER, &key(number), now), 200);
        }
        // The first one is used again, so the second one makes room.
        for number in [0, MAX_PROVEN] {
            assert_eq!(status(&guesses, PEER, &key(number), now), 200);
        }
        assert_eq!(status(&guesses, PEER, &Credentials::Wrong(1), now), 401);
        assert_eq!(status(&guesses, PEER, &key(1), now), 429);
        for number in (0..=MAX_PROVEN).filter(|number| *number != 1) {
            assert_eq!(status(&guesses, PEER, &key(number), now), 200, "{number}");
        }
    }

    #[test]
    fn how_many_keys_stay_usable_is_said() {
        let help = crate::Options::command().render_long_help().to_string();
        for text in [
            &help,
            include_str!("../openapi.json"),
            include_str!("../../../docs/server-security.md"),
            include_str!("../../../docs/privacy.md"),
        ] {
            assert!(text.contains(&format!(" {MAX_PROVEN} keys")), "{text}");
        }
    }

    #[test]
    fn it_is_said_how_long_to_wait() {
        let guesses = Guesses::new(2, 0);
        let now = Instant::now();
        for _ in 0..2 {
            let _ = guesses.judge_at(PEER, &Credentials::Wrong(1), now);
        }
        let refusal = guesses.judge_at(PEER, &RIGHT, now).unwrap_err();
        let response = refusal.response(false);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "30");
    }

    #[test]
    fn zero_does_not_limit() {
        let guesses = Guesses::new(0, 0);
        for _ in 0..100 {
            assert_eq!(
                status(&guesses, PEER, &Credentials::Wrong(1), Instant::now()),
                401
            );
        }
        assert_eq!(status(&guesses, PEER, &RIGHT, Instant::now()), 200);
    }

    #[test]
    fn memory_is_bounded() {
        let guesses = Guesses::new(1, 0);
        let start = Instant::now();
        for number in 0..3 * MAX_PEERS as u32 {
            let peer = IpAddr::V4(number.into());
            let now = start + Duration::from_micros(number.into());
            let _ = guesses.judge_at(peer, &Credentials::Wrong(1), now);
            assert!(guesses.accounts.lock().unwrap().len() <= MAX_PEERS);
        }
        // The latest are remembered.
        let latest = IpAddr::V4((3 * MAX_PEERS as u32 - 1).into());
        assert_eq!(status(&guesses, latest, &RIGHT, start), 429);
        assert!(size_of::<(IpAddr, Account)>() <= 100);
    }

    #[test]
    fn equal_times_make_room_too() {
        let guesses = Guesses::new(1, 0);
        let now = Instant::now();
        for number in 0..2 * MAX_PEERS as u32 {
            let _ = guesses.judge_at(IpAddr::V4(number.into()), &Credentials::Wrong(1), now);
        }
        assert!(guesses.accounts.lock().unwrap().len() <= MAX_PEERS);
    }

    #[test]
    fn only_known_proxies_are_believed() {
        let socket = Some("198.51.100.1:1234".parse().unwrap());
        let peer_of = |proxies, forwarded: &[&[u8]]| {
            let headers = forwarded
                .iter()
                .map(|value| {
                    let name = axum::http::HeaderName::from_static("x-forwarded-for");
                    (name, HeaderValue::from_bytes(value).unwrap())
                })
                .collect();
            Guesses::new(1, proxies).peer(socket, &headers).to_string()
        };
        let peer = |proxies, forwarded: &[&str]| {
            let forwarded: Vec<_> = forwarded.iter().map(|value| value.as_bytes()).collect();
            peer_of(proxies, &forwarded)
        };
        assert_eq!(peer(0, &["192.0.2.1"]), "198.51.100.1");
        assert_eq!(peer(1, &[]), "198.51.100.1");
        assert_eq!(peer(1, &["192.0.2.1"]), "192.0.2.1");
        // What stands before the proxy's own entry may be anybody's.
        assert_eq!(peer(1, &["1.1.1.1, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(peer(1, &["1.1.1.1", "192.0.2.1"]), "192.0.2.1");
        assert_eq!(peer(2, &["1.1.1.1, 192.0.2.1,10.0.0.1"]), "192.0.2.1");
        assert_eq!(peer(2, &["192.0.2.1"]), "198.51.100.1");
        assert_eq!(peer(1, &["unknown"]), "198.51.100.1");
        assert_eq!(peer(1, &["192.0.2.1:5000"]), "192.0.2.1");
        assert_eq!(peer(1, &["::ffff:192.0.2.1"]), "192.0.2.1");
        for ip in [
            "2001:db8:1:2::1",
            "[2001:db8:1:2:3:4:5:6]:5000",
            "[2001:db8:1:2::1]",
        ] {
            assert_eq!(peer(1, &[ip]), "2001:db8:1:2::");
        }
        for odd in ["[192.0.2.1]", "[2001:db8:1:2::1", "2001:db8:1:2::1]", "[]"] {
            assert_eq!(peer(1, &[odd]), "198.51.100.1", "{odd}");
        }
        // Nor does it matter what stands there.
        assert_eq!(peer_of(1, &[b"\xfc, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(peer_of(2, &[b"\xfc,192.0.2.1, 10.0.0.1"]), "192.0.2.1");
        assert_eq!(peer_of(1, &[b"192.0.2.1, \xfc"]), "198.51.100.1");
    }
}
