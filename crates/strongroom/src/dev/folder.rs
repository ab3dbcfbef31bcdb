//! What `strongroom dev` keeps from one start to the next: an authority, credentials, keys and objects.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use strongroom_kes_api::ApiKey;
use strongroom_transport::issue::{self, Issued};
use zeroize::Zeroizing;

use crate::random;

/// The authority stays as long as the folder does: clients were told to trust it.
const AUTHORITY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
const ROOT_USER: &str = "strongroom-dev";
/// 32 characters of five bits: 160 bits.
const PASSWORD_CHARS: usize = 32;

/// The folder, opened and completed.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) authority: Issued,
    pub(super) credentials: Credentials,
    /// The credentials were made just now, and nobody has seen them yet.
    pub(super) is_new: bool,
}

/// Who may ask which server.
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: Zeroizing<String>,
    /// For the person: may do everything with keys.
    pub(super) admin_api_key: Zeroizing<String>,
    /// For the object server: may use its one key.
    pub(super) app_api_key: Zeroizing<String>,
}

impl Folder {
    /// Opens a folder, making what is missing. What is there is kept, or refused if it cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let cannot = || format!("{} cannot be used", path.display());
        make_private_dir(path).with_context(cannot)?;
        let path = path.canonicalize().with_context(cannot)?;
        for sub in ["data", "kes"] {
            make_private_dir(&path.join(sub)).with_context(cannot)?;
        }
        let (credentials, is_new) = Credentials::load_or_make(&path.join("credentials"))?;
        let authority = load_or_make_authority(&path)?;
        Ok(Self {
            path,
            authority,
            credentials,
            is_new,
        })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.path.join("kes")
    }

    pub(super) fn authority_path(&self) -> PathBuf {
        self.path.join("ca.crt")
    }

    pub(super) fn env_path(&self) -> PathBuf {
        self.path.join("env")
    }

    /// Writes the file that a shell sources.
    pub(super) fn write_env(&self, s3: SocketAddr, kes: SocketAddr) -> Result<()> {
        let authority = self.authority_path();
        let authority = authority.to_string_lossy();
        let (s3, kes) = (format!("https://{s3}"), format!("https://{kes}"));
        let variables = [
            ("AWS_ENDPOINT_URL", s3.as_str()),
            ("AWS_ACCESS_KEY_ID", &self.credentials.user),
            ("AWS_SECRET_ACCESS_KEY", &self.credentials.password),
            ("AWS_REGION", "us-east-1"),
            // Older versions of the AWS command line read only this one.
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_CA_BUNDLE", &authority),
            ("KES_SERVER", &kes),
            ("KES_API_KEY", &self.credentials.admin_api_key),
            ("KES_CA_CERT", &authority),
        ];
        let mut text = Zeroizing::new(String::new());
        for (name, value) in variables {
            *text += &format!("export {name}={}\n", quoted(value));
        }
        write_private(&self.env_path(), &text)
    }
}

impl Credentials {
    fn load_or_make(path: &Path) -> Result<(Self, bool)> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&Zeroizing::new(text))
                .with_context(|| format!("{} is damaged", path.display()))
                .map(|credentials| (credentials, false)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::make()?;
                write_private(path, &made.to_text())?;
                Ok((made, true))
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn make() -> Result<Self> {
        let api_key = || -> Result<Zeroizing<String>> {
            let mut seed = Zeroizing::new([0; 32]);
            random::fill(seed.as_mut_slice()).map_err(anyhow::Error::msg)?;
            Ok(ApiKey::from_seed(seed)?.expose())
        };
        Ok(Self {
            user: ROOT_USER.to_owned(),
            password: Zeroizing::new(random::text(PASSWORD_CHARS)?),
            admin_api_key: api_key()?,
            app_api_key: api_key()?,
        })
    }

    fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "user={}\npassword={}\nadmin-api-key={}\napp-api-key={}\n",
            self.user, *self.password, *self.admin_api_key, *self.app_api_key
        ))
    }

    fn parse(text: &str) -> Result<Self> {
        let lines: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let value = |name: &str| match lines.get(name) {
            Some(value) => Ok((*value).to_owned()),
            None => bail!("it has no line {name}=…"),
        };
        Ok(Self {
            user: value("user")?,
            password: value("password")?.into(),
            admin_api_key: value("admin-api-key")?.into(),
            app_api_key: value("app-api-key")?.into(),
        })
    }
}

fn load_or_make_authority(folder: &Path) -> Result<Issued> {
    let [certificate, private_key] = ["ca.crt", "ca.key"].map(|name| folder.join(name));
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    // The key is written first: a certificate without it is of no use, and is made anew.
    if certificate.exists() && private_key.exists() {
        return Ok(Issued {
            certificate: read(&certificate)?,
            private_key: read(&private_key)?.into(),
        });
    }
    let made = issue::authority(
        "Strongroom development authority",
        SystemTime::now(),
        AUTHORITY,
    )?;
    write_private(&private_key, &made.private_key)?;
    write_private(&certificate, &made.certificate)?;
    Ok(made)
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let unfinished = path.with_extension("unfinished");
    // Made anew, so that the mode is ours and no link is followed.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(cannot);
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(cannot)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(cannot)?;
    fs::rename(&unfinished, path).with_context(cannot)
}

/// For a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_opened_again_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/dev");
        let first = Folder::open(&path).unwrap();
        let again = Folder::open(&path).unwrap();
        assert!(first.is_new && !again.is_new);
        assert_eq!(*first.credentials.to_text(), *again.credentials.to_text());
        assert_eq!(first.authority.certificate, again.authority.certificate);
        assert_eq!(*first.authority.private_key, *again.authority.private_key);
    }

    #[test]
    fn everything_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("dev")).unwrap();
        let address = "127.0.0.1:9000".parse().unwrap();
        folder.write_env(address, address).unwrap();
        for name in ["credentials", "ca.key", "ca.crt", "env", "data", "kes", ""] {
            let mode = fs::metadata(folder.path.join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
        }
    }

    #[test]
    fn damaged_credentials_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev");
        Folder::open(&path).unwrap();
        fs::write(path.join("credentials"), "user=strongroom-dev\n").unwrap();
        let Err(error) = Folder::open(&path) else {
            panic!("damaged credentials were accepted")
        };
        assert!(format!("{error:#}").contains("damaged"), "{error:#}");
    }

    #[test]
    fn values_are_quoted_for_a_shell() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
