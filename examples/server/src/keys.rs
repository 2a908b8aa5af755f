//! Who may call: API keys, of which only hashes are kept.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What is kept of a key.
pub(crate) type Hash = [u8; 32];

/// What a request says about who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// No key at all.
    Missing,
    /// Keys, none of which is valid.
    Wrong,
    /// A valid key.
    Right(Hash),
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
        cause: std::io::Error,
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
    /// A file or list was named, but holds no key.
    #[error("{0} holds no API key: write one per line")]
    Empty(String),
    /// The machine gives no random numbers.
    #[error("no random numbers for an API key: {0}")]
    Random(#[from] getrandom::Error),
}

/// The keys that are valid now.
#[derive(Debug)]
pub struct Keys {
    fixed: Vec<Hash>,
    file: Option<PathBuf>,
    valid: RwLock<Vec<Hash>>,
}

impl Keys {
    /// Keys from a list with commas, from a file with one key per line (empty lines and those that
    /// start with `#` are skipped), or both; `None` where neither is given.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn load(list: Option<&str>, file: Option<&Path>) -> Result<Option<Keys>, KeysError> {
        let fixed = hashes(
            list.unwrap_or_default().split(','),
            "the list of the environment",
        )?;
        if fixed.is_empty() && file.is_none() {
            return Ok(None);
        }
        let keys = Keys {
            fixed,
            file: file.map(Path::to_owned),
            valid: RwLock::default(),
        };
        keys.reload()?;
        match file {
            Some(path) if keys.count() == 0 => Err(KeysError::Empty(path.display().to_string())),
            _ => Ok(Some(keys)),
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
        let keys = Keys {
            fixed: vec![hash(&key)],
            file: None,
            valid: RwLock::new(vec![hash(&key)]),
        };
        Ok((keys, key))
    }

    /// Reads the file again, and says whether other keys are valid now. A file that can be read
    /// is taken as it is, even without any key: whoever empties it wants nobody in.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else than keys, leaves the keys as they are.
    pub fn reload(&self) -> Result<bool, KeysError> {
        let mut valid = self.fixed.clone();
        if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path).map_err(|cause| KeysError::Unreadable {
                path: path.clone(),
                cause,
            })?;
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            valid.extend(hashes(lines, &path.display().to_string())?);
        }
        let mut current = self.valid.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != valid;
        *current = valid;
        Ok(changed)
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
        self.file.is_some()
    }

    /// What the request names in `X-API-Key` and as `Authorization: Bearer`. One valid key is
    /// enough.
    pub(crate) fn credentials(&self, headers: &HeaderMap) -> Credentials {
        let named = headers.get("x-api-key").map(|value| value.as_bytes());
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| token(value.as_bytes()));
        named
            .into_iter()
            .chain(bearer)
            .map(hash)
            .fold(Credentials::Missing, |best, candidate| {
                match bool::from(self.knows(&candidate)) {
                    true => Credentials::Right(candidate),
                    false if best == Credentials::Missing => Credentials::Wrong,
                    false => best,
                }
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

    #[test]
    fn a_file_replaces_its_keys_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, "# for the app\nold-key\n\n").unwrap();
        let keys = Keys::load(Some("fixed-key"), Some(&path)).unwrap().unwrap();
        let valid = |key: &str| accepts(&keys, &headers("x-api-key", key));
        assert!(valid("old-key") && valid("fixed-key") && !valid("# for the app"));
        assert!(!keys.reload().unwrap());
        std::fs::write(&path, "old-key\nnew-key\n").unwrap();
        assert!(keys.reload().unwrap() && valid("old-key") && valid("new-key"));
        std::fs::write(&path, "new-key").unwrap();
        assert!(keys.reload().unwrap() && !valid("old-key") && valid("new-key"));
        std::fs::write(&path, "two words").unwrap();
        assert!(keys.reload().is_err() && valid("new-key"));
        std::fs::remove_file(&path).unwrap();
        assert!(keys.reload().is_err() && valid("new-key"));
        std::fs::write(&path, "").unwrap();
        assert!(keys.reload().unwrap() && !valid("new-key") && valid("fixed-key"));
    }

    #[test]
    fn no_keys_are_told_from_unusable_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert!(Keys::load(None, None).unwrap().is_none());
        assert!(Keys::load(Some(" , "), None).unwrap().is_none());
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
