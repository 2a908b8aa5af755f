//! Who may call: API keys, of which only hashes are kept.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::Mutex;

use crate::apart::apart;

/// What is kept of a key.
pub(crate) type Hash = [u8; 32];

/// What a request says about who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// No key at all.
    Missing,
    /// So many different keys, none of which is valid.
    Wrong(u8),
    /// A valid key.
    Right(Hash),
}

impl Credentials {
    /// Wrong keys that were tried.
    pub(crate) fn wrong(&self) -> u8 {
        match self {
            Credentials::Wrong(count) => *count,
            Credentials::Missing | Credentials::Right(_) => 0,
        }
    }

    fn and(self, key: Hash, valid: bool) -> Self {
        match self {
            _ if valid => Credentials::Right(key),
            Credentials::Right(_) => self,
            _ => Credentials::Wrong(self.wrong() + 1),
        }
    }
}

/// Why there are no keys. No message holds a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file with the keys cannot be read.
    #[error("the file of API keys, {path}, cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A key that no header can carry.
    #[error(
        "API key {number} of {origin} is unusable: a key consists of visible ASCII characters without spaces or commas"
    )]
    Unusable {
        /// Where it stands.
        origin: String,
        /// Which one it is, counted from 1.
        number: usize,
    },
    /// A file was named, but holds no key.
    #[error("{0} holds no API key: write one per line")]
    Empty(String),
    /// A list was given, but holds no key.
    #[error(
        "LIVENESS_API_KEYS holds no API key: give one, or unset it and the server makes one for this run"
    )]
    EmptyList,
    /// The machine gives no random numbers.
    #[error("no random numbers for an API key: {0}")]
    Random(#[from] getrandom::Error),
}

/// The keys that are valid now.
#[derive(Debug)]
pub struct Keys {
    /// Those that stay as they are.
    fixed: Vec<Hash>,
    source: Source,
    valid: RwLock<Vec<Hash>>,
    /// Held while the file is read: what was read before must not replace what was read after it.
    turn: Mutex<()>,
}

/// Where keys come from besides the list.
#[derive(Debug)]
enum Source {
    Nowhere,
    /// A pipe, for example, which gives its keys once and then waits for a writer.
    Once,
    File(PathBuf),
}

impl Keys {
    /// Keys from a list with commas, from a file with one key per line (empty lines and those that
    /// start with `#` are skipped), or both; `None` where neither is given. What is no regular file is
    /// read here, and never again.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn load(list: Option<&str>, file: Option<&Path>) -> Result<Option<Keys>, KeysError> {
        let mut fixed = hashes(
            list.unwrap_or_default().split(','),
            "the list of the environment",
        )?;
        let Some(path) = file else {
            // A variable that was to be filled in, and was not: a key that nobody knows would keep everybody out.
            if list.is_some() && fixed.is_empty() {
                return Err(KeysError::EmptyList);
            }
            return Ok(list.map(|_| Keys::new(fixed, Source::Nowhere)));
        };
        let (text, again) = first(path).map_err(|cause| unreadable(path, cause))?;
        let listed = listed(&text, path)?;
        if fixed.is_empty() && listed.is_empty() {
            return Err(KeysError::Empty(path.display().to_string()));
        }
        if !again {
            fixed.extend(listed);
            return Ok(Some(Keys::new(fixed, Source::Once)));
        }
        let keys = Keys::new(fixed, Source::File(path.to_owned()));
        keys.replace(listed);
        Ok(Some(keys))
    }

    fn new(fixed: Vec<Hash>, source: Source) -> Keys {
        Keys {
            valid: RwLock::new(fixed.clone()),
            fixed,
            source,
            turn: Mutex::default(),
        }
    }

    /// A new random key; the text of it is nowhere else.
    ///
    /// # Errors
    /// Where the machine gives no random numbers.
    pub fn generate() -> Result<(Keys, String), KeysError> {
        let mut random = [0; 24];
        getrandom::fill(&mut random)?;
        let key = hexadecimal(&random);
        Ok((Keys::new(vec![hash(&key)], Source::Nowhere), key))
    }

    /// Reads the file again, and says whether other keys are valid now. A file that can be read
    /// is taken as it is, even without any key: whoever empties it wants nobody in.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else than keys, leaves the keys as they are.
    pub async fn reload(&self) -> Result<bool, KeysError> {
        let Source::File(path) = &self.source else {
            return Ok(false);
        };
        let _turn = self.turn.lock().await;
        let file = path.clone();
        let text = apart(|| std::fs::read_to_string(file))
            .await
            .map_err(|cause| unreadable(path, cause))?;
        Ok(self.replace(listed(&text, path)?))
    }

    /// Says whether that changes anything.
    fn replace(&self, listed: Vec<Hash>) -> bool {
        let valid = [self.fixed.as_slice(), &listed].concat();
        let mut current = self.valid.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != valid;
        *current = valid;
        changed
    }

    /// How many keys are valid.
    pub fn count(&self) -> usize {
        self.valid
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether keys come from a file, which may change.
    pub(crate) fn may_change(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Whether keys come from what can be read once only.
    pub(crate) fn came_once(&self) -> bool {
        matches!(self.source, Source::Once)
    }

    /// What the request names in `X-API-Key` and as `Authorization: Bearer`. One valid key is
    /// enough.
    pub(crate) fn credentials(&self, headers: &HeaderMap) -> Credentials {
        let named = headers.get("x-api-key").map(hash);
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| token(value.as_bytes()))
            .map(hash)
            // The same key twice is one guess.
            .filter(|bearer| named.as_ref() != Some(bearer));
        named
            .into_iter()
            .chain(bearer)
            .fold(Credentials::Missing, |best, candidate| {
                best.and(candidate, self.knows(&candidate).into())
            })
    }

    /// Compares with every key, in a time that depends neither on how much of one is right nor on
    /// which one it is.
    fn knows(&self, candidate: &Hash) -> Choice {
        let valid = self.valid.read().unwrap_or_else(PoisonError::into_inner);
        valid
            .iter()
            .fold(Choice::from(0), |known, hash| known | hash.ct_eq(candidate))
    }
}

/// The content of the file, and whether it can be read again.
fn first(path: &Path) -> io::Result<(String, bool)> {
    let mut file = File::open(path)?;
    let regular = file.metadata()?.is_file();
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((text, regular))
}

fn listed(text: &str, path: &Path) -> Result<Vec<Hash>, KeysError> {
    // Editors of Windows put a byte order mark there, which nobody sees.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    hashes(lines, &path.display().to_string())
}

fn unreadable(path: &Path, cause: io::Error) -> KeysError {
    KeysError::Unreadable {
        path: path.to_owned(),
        cause,
    }
}

fn token(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

fn hashes<'a>(keys: impl Iterator<Item = &'a str>, origin: &str) -> Result<Vec<Hash>, KeysError> {
    let usable = |key: &str| {
        key.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',')
    };
    keys.map(str::trim)
        .filter(|key| !key.is_empty())
        .enumerate()
        .map(|(index, key)| {
            usable(key)
                .then(|| hash(key))
                .ok_or_else(|| KeysError::Unusable {
                    origin: origin.into(),
                    number: index + 1,
                })
        })
        .collect()
}

fn hash(key: impl AsRef<[u8]>) -> Hash {
    Sha256::digest(key).into()
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            header::HeaderName::from_static(name),
            value.parse().unwrap(),
        )])
    }

    fn accepts(keys: &Keys, headers: &HeaderMap) -> bool {
        matches!(keys.credentials(headers), Credentials::Right(_))
    }

    #[test]
    fn both_headers_carry_every_key() {
        let keys = Keys::load(Some("first-key, second-key,"), None)
            .unwrap()
            .unwrap();
        for key in ["first-key", "second-key"] {
            assert!(accepts(&keys, &headers("x-api-key", key)));
            for scheme in ["Bearer", "bearer", "BEARER"] {
                assert!(accepts(
                    &keys,
                    &headers("authorization", &format!("{scheme} {key}"))
                ));
            }
        }
    }

    #[test]
    fn each_key_that_is_tried_counts() {
        let keys = Keys::load(Some("right"), None).unwrap().unwrap();
        let tried = |named: &str, bearer: &str| {
            let mut headers = headers("x-api-key", named);
            let bearer = format!("Bearer {bearer}").parse().unwrap();
            headers.insert(header::AUTHORIZATION, bearer);
            keys.credentials(&headers)
        };
        assert_eq!(tried("wrong", "other"), Credentials::Wrong(2));
        assert_eq!(tried("wrong", "wrong"), Credentials::Wrong(1));
        let right = Credentials::Right(hash("right"));
        for (named, bearer) in [("right", "wrong"), ("wrong", "right"), ("right", "right")] {
            assert_eq!(tried(named, bearer), right, "{named} {bearer}");
        }
    }

    #[test]
    fn nothing_else_is_a_key() {
        let keys = Keys::load(Some("first-key"), None).unwrap().unwrap();
        assert_eq!(keys.credentials(&HeaderMap::new()), Credentials::Missing);
        for key in [
            "",
            "first-ke",
            "first-key2",
            "FIRST-KEY",
            "first-key,second-key",
            "#",
        ] {
            assert!(!accepts(&keys, &headers("x-api-key", key)), "{key}");
        }
        for credentials in [
            "first-key",
            "Basic first-key",
            "Bearer",
            "Bearer ",
            "Bearerfirst-key",
        ] {
            assert!(
                !accepts(&keys, &headers("authorization", credentials)),
                "{credentials}"
            );
        }
    }

    #[tokio::test]
    async fn a_file_replaces_its_keys_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, "# for the app\nold-key\n\n").unwrap();
        let keys = Keys::load(Some("fixed-key"), Some(&path)).unwrap().unwrap();
        let valid = |key: &str| accepts(&keys, &headers("x-api-key", key));
        assert!(valid("old-key") && valid("fixed-key") && !valid("# for the app"));
        assert!(!keys.reload().await.unwrap());
        std::fs::write(&path, "old-key\nnew-key\n").unwrap();
        assert!(keys.reload().await.unwrap() && valid("old-key") && valid("new-key"));
        std::fs::write(&path, "new-key").unwrap();
        assert!(keys.reload().await.unwrap() && !valid("old-key") && valid("new-key"));
        std::fs::write(&path, "two words").unwrap();
        assert!(keys.reload().await.is_err() && valid("new-key"));
        std::fs::remove_file(&path).unwrap();
        assert!(keys.reload().await.is_err() && valid("new-key"));
        std::fs::write(&path, "").unwrap();
        assert!(keys.reload().await.unwrap() && !valid("new-key") && valid("fixed-key"));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        for text in ["\u{feff}first-key\n", "\u{feff}# for the app\nfirst-key"] {
            std::fs::write(&path, text).unwrap();
            let keys = Keys::load(None, Some(&path)).unwrap().unwrap();
            assert!(accepts(&keys, &headers("x-api-key", "first-key")));
            assert_eq!(keys.count(), 1);
        }
    }

    /// A pipe for example: to read it again would wait for a writer, and find nothing or keys of nobody.
    #[tokio::test]
    async fn what_is_no_file_is_read_once() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"first-key\n").unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let keys = Keys::load(None, Some(&path)).unwrap().unwrap();
        assert!(keys.came_once() && !keys.may_change());
        assert!(!keys.reload().await.unwrap());
        assert!(accepts(&keys, &headers("x-api-key", "first-key")));
    }

    #[tokio::test]
    async fn a_linked_file_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["keys", "link"].map(|name| folder.path().join(name));
        std::fs::write(&path, "first-key").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let keys = Keys::load(None, Some(&link)).unwrap().unwrap();
        std::fs::write(&path, "second-key").unwrap();
        assert!(keys.may_change() && keys.reload().await.unwrap());
        assert!(accepts(&keys, &headers("x-api-key", "second-key")));
    }

    #[test]
    fn no_keys_are_told_from_unusable_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert!(Keys::load(None, None).unwrap().is_none());
        for list in ["", " , "] {
            assert!(matches!(
                Keys::load(Some(list), None),
                Err(KeysError::EmptyList)
            ));
        }
        assert!(matches!(
            Keys::load(None, Some(&path)),
            Err(KeysError::Unreadable { .. })
        ));
        std::fs::write(&path, "# none\n").unwrap();
        assert!(matches!(
            Keys::load(None, Some(&path)),
            Err(KeysError::Empty(_))
        ));
        let error = Keys::load(Some("good,s\u{fc}\u{df}"), None).unwrap_err();
        assert!(!error.to_string().contains('\u{fc}') && error.to_string().contains("key 2"));
    }

    #[test]
    fn generated_keys_differ() {
        let (keys, first) = Keys::generate().unwrap();
        let (_, second) = Keys::generate().unwrap();
        assert!(first.len() == 48 && first != second);
        assert!(accepts(&keys, &headers("x-api-key", &first)));
        assert!(!accepts(&keys, &headers("x-api-key", &second)));
    }

    /// Medians of the time that each header takes to be judged, taken in turns.
    fn times<const COUNT: usize>(keys: &Keys, headers: [&HeaderMap; COUNT]) -> [f64; COUNT] {
        let mut times = [const { Vec::new() }; COUNT];
        for _ in 0..400 {
            for (headers, times) in headers.iter().zip(&mut times) {
                let start = std::time::Instant::now();
                for _ in 0..8 {
                    std::hint::black_box(keys.credentials(std::hint::black_box(headers)));
                }
                times.push(start.elapsed().as_secs_f64());
            }
        }
        times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
    }

    /// A comparison that stops at the key that fits would take a fraction of the time for the first
    /// of these; so would one that ends at the first difference, were it of the keys themselves.
    #[test]
    fn the_time_says_nothing_about_the_keys() {
        let long = "k".repeat(4000);
        let keys: Vec<_> = (1000..1500)
            .map(|number| format!("{long}{number}"))
            .collect();
        let [first, last] = [&keys[0], &keys[keys.len() - 1]];
        let wrong_at_once = first.replacen('k', "x", 1);
        let wrong_at_last = format!("{long}9999");
        let list = Keys::load(Some(&keys.join(",")), None).unwrap().unwrap();
        let headers =
            [&wrong_at_once, &wrong_at_last, first, last].map(|key| headers("x-api-key", key));
        assert_eq!(
            headers.each_ref().map(|headers| accepts(&list, headers)),
            [false, false, true, true]
        );
        let times = times(&list, headers.each_ref());
        let shortest = times.iter().copied().fold(f64::INFINITY, f64::min);
        let longest = times.iter().copied().fold(0.0, f64::max);
        assert!(longest < 1.5 * shortest, "{times:?}");
    }
}
