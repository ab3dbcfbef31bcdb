//! Environment variables, the environment file, and files that hold a value.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Where container runtimes mount secrets.
const SECRETS: &str = "/run/secrets";
/// The largest file that a value is read from.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Names that we know, of those families in which every name must be known: a setting that is overlooked here would mean
/// objects stored in another way than the operator thinks.
const KNOWN: &[&str] = &[
    "MINIO_KMS_API_KEY",
    "MINIO_KMS_AUTO_ENCRYPTION",
    "MINIO_KMS_AUTO_ENCRYPTION_MODE",
    "MINIO_KMS_ENCLAVE",
    "MINIO_KMS_KES_API_KEY",
    "MINIO_KMS_KES_BULK_API_BATCH_SIZE",
    "MINIO_KMS_KES_CAPATH",
    "MINIO_KMS_KES_CA_PATH",
    "MINIO_KMS_KES_CERT_FILE",
    "MINIO_KMS_KES_ENCLAVE",
    "MINIO_KMS_KES_ENDPOINT",
    "MINIO_KMS_KES_KEY_FILE",
    "MINIO_KMS_KES_KEY_NAME",
    "MINIO_KMS_KES_KEY_PASSWORD",
    "MINIO_KMS_KEY_CACHE_INTERVAL",
    "MINIO_KMS_MASTER_KEY",
    "MINIO_KMS_MASTER_KEY_FILE",
    "MINIO_KMS_REPLICATE_KEYID",
    "MINIO_KMS_SECRET_KEY",
    "MINIO_KMS_SECRET_KEY_FILE",
    "MINIO_KMS_SERVER",
    "MINIO_KMS_SSE_KEY",
    "MINIO_SSE_AUTO_ENCRYPTION",
    "MINIO_SSE_MASTER_KEY",
    "MINIO_SSE_MASTER_KEY_FILE",
    "STRONGROOM_ALLOW_PUBLIC_KEYS",
    "STRONGROOM_BUCKET_KEY_WINDOW",
    "STRONGROOM_DATA_KEY_CACHE",
    "STRONGROOM_KMS_START_TIMEOUT",
    "STRONGROOM_LOG",
];
/// Families in which every name must be known.
const FAMILIES: [&str; 3] = ["MINIO_KMS_", "MINIO_SSE_", "STRONGROOM_"];
/// Known as a family, and refused as one.
pub(super) const VAULT_FAMILIES: [&str; 2] = ["MINIO_SSE_VAULT_", "MINIO_KMS_VAULT_"];

type Read = Box<dyn Fn(&Path) -> io::Result<String> + Send + Sync>;

/// The variables of the process with those of the environment file over them, and the means to read files that they name.
pub(crate) struct Environment {
    values: BTreeMap<String, String>,
    /// Names whose value came from the environment file.
    in_file: BTreeSet<String>,
    read: Read,
}

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Result<Self> {
        Self::new(std::env::vars_os(), Box::new(read_bounded))
    }

    /// An environment of these variables, in which files are read by `read`.
    pub(crate) fn new(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        read: Read,
    ) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => drop(values.insert(name, value)),
                Err(_) if is_ours(&name) => bail!("{name} is not valid UTF-8"),
                Err(_) => {}
            }
        }
        let mut env = Self {
            values,
            in_file: BTreeSet::new(),
            read,
        };
        if let Some(path) = env.get("MINIO_CONFIG_ENV_FILE").map(PathBuf::from) {
            env.read_file(&path)?;
        }
        Ok(env)
    }

    fn read_file(&mut self, path: &Path) -> Result<()> {
        let text = match (self.read)(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("MINIO_CONFIG_ENV_FILE: cannot read {}", path.display())
                });
            }
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((name, value)) = line.split_once('=') else {
                // The line itself may be a secret that lost its name.
                bail!(
                    "{}, line {}: NAME=value is expected",
                    path.display(),
                    index + 1
                );
            };
            let (name, value) = (name.trim().to_owned(), unquoted(value.trim()).to_owned());
            self.in_file.insert(name.clone());
            self.values.insert(name, value);
        }
        Ok(())
    }

    /// A variable's value; an empty one is as good as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The names of a family that have a value.
    pub(super) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.values
            .iter()
            .filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty())
            .map(|(name, _)| name.as_str())
    }

    /// Whether the environment file says it, which is the last word.
    pub(super) fn is_from_file(&self, name: &str) -> bool {
        self.in_file.contains(name)
    }

    /// A switch: on or off, in any of the spellings that were ever accepted.
    pub(super) fn switch(&self, name: &str) -> Result<Option<bool>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "t" | "1" | "enabled" => Ok(Some(true)),
            "off" | "false" | "f" | "0" | "disabled" => Ok(Some(false)),
            _ => bail!("{name} is {text:?}: it must be on or off"),
        }
    }

    /// The trimmed text of the file that a variable names, first of `places` to exist. `None`: the variable is not set, or it
    /// names `preset` (which container images set without asking) and there is no such file.
    pub(super) fn value_in_file(
        &self,
        name: &str,
        places: Places,
        presets: &[&str],
    ) -> Result<Option<String>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let path = PathBuf::from(value);
        // Joining an absolute path gives that path.
        let secret = Path::new(SECRETS).join(value);
        let candidates = match places {
            Places::SecretThenPath => [secret, path],
            Places::PathThenSecret => [path, secret],
        };
        for candidate in &candidates {
            match (self.read)(candidate) {
                Ok(text) if text.trim().is_empty() => {
                    bail!("{name}: the file {} is empty", candidate.display())
                }
                Ok(text) => return Ok(Some(text.trim().to_owned())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("{name}: cannot read {}", candidate.display()));
                }
            }
        }
        if presets.contains(&value) {
            return Ok(None);
        }
        bail!(
            "{name} names {value:?}: there is no such file, neither as a path nor under {SECRETS}"
        )
    }

    /// Reads a file that a variable names as a path.
    pub(super) fn file(&self, name: &str, path: &Path) -> Result<String> {
        (self.read)(path).with_context(|| format!("{name}: cannot read {}", path.display()))
    }

    /// Refuses names that look like settings of ours and are none.
    pub(super) fn refuse_unknown(&self) -> Result<()> {
        for (name, value) in &self.values {
            let is_vault = VAULT_FAMILIES.iter().any(|family| name.starts_with(family));
            if value.is_empty() || !is_ours(name) || is_vault || KNOWN.contains(&name.as_str()) {
                continue;
            }
            match nearest(name) {
                Some(known) => bail!("{name} is not a setting: did you mean {known}?"),
                None => bail!("{name} is not a setting; remove it"),
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Environment {
    /// Names only: values are secrets more often than not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.values.keys().filter(|name| is_ours(name)))
            .finish()
    }
}

/// In which order a name is looked up as a mounted secret and as a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Places {
    SecretThenPath,
    PathThenSecret,
}

fn is_ours(name: &str) -> bool {
    FAMILIES.iter().any(|family| name.starts_with(family))
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

fn read_bounded(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    let count = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if count as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it has more than 1 MiB",
        ));
    }
    Ok(text)
}

/// The known name that differs least, if it is near enough to be meant.
fn nearest(name: &str) -> Option<&'static str> {
    KNOWN
        .iter()
        .map(|known| (distance(name, known), *known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 4)
        .map(|(_, known)| known)
}

/// Edits between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
