//! The old value of a key, in a file, while the key is replaced.
//!
//! ```text
//! kes-migrate 1
//! target <digest of its settings> <description of the key store>
//! name <key>
//! <the stored value, to the end of the file>
//! ```
//!
//! The file holds a master key. Its mode is 0600, and it is there for the moment between the deletion of the old value and
//! the proof of the new one; after a crash, until the next run.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use strongroom_kes_api::KeyName;
use strongroom_keystore::migrate::Journal;
use strongroom_keystore::{StoredValue, VALUE_BYTES_MAX};
use zeroize::Zeroizing;

const FIRST_LINE: &str = "kes-migrate 1";
/// Longest text before the value.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A journal in a file.
#[derive(Debug)]
pub(super) struct FileJournal {
    path: PathBuf,
    /// What the target is called …
    target: String,
    /// … and [`strongroom_keystore::KeystoreConfig::place`]: many places are called the same.
    place: String,
}

impl FileJournal {
    pub(super) fn new(path: PathBuf, target: &str, place: String) -> Self {
        let target = target.replace(['\n', '\r'], " ");
        Self {
            path,
            target,
            place,
        }
    }

    /// Where the old value is, should there be one: added to what went wrong.
    pub(super) fn hint(&self) -> String {
        if self.path.exists() {
            format!(" (journal: {})", self.path.display())
        } else {
            String::new()
        }
    }

    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn unusable(&self, why: &str) -> io::Error {
        io::Error::other(format!("{} {why}", self.path.display()))
    }
}

impl Journal for FileJournal {
    fn keep(&self, name: &KeyName, old: &StoredValue) -> io::Result<()> {
        let mut half = self.path.clone().into_os_string();
        half.push(".half");
        let half = PathBuf::from(half);
        // Left by a crash; it never became a journal, so nothing was deleted because of it.
        match std::fs::remove_file(&half) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&half)?;
        let (place, target) = (&self.place, &self.target);
        write!(file, "{FIRST_LINE}\ntarget {place} {target}\nname {name}\n")?;
        file.write_all(old.expose().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&half, &self.path)?;
        self.sync_folder()
    }

    fn kept(&self) -> io::Result<Option<(KeyName, StoredValue)>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Zeroizing::new(String::with_capacity(4096));
        let most = (VALUE_BYTES_MAX + HEAD_BYTES_MAX) as u64;
        file.take(most).read_to_string(&mut text)?;
        let mut parts = text.splitn(4, '\n');
        let mut line = |start: &str| parts.next().and_then(|line| line.strip_prefix(start));
        let (Some(""), Some(target), Some(name)) =
            (line(FIRST_LINE), line("target "), line("name "))
        else {
            return Err(self.unusable("is no journal of a migration; move it away"));
        };
        let (place, target) = target.split_once(' ').unwrap_or((target, ""));
        if place != self.place && target == self.target {
            return Err(self.unusable(&format!(
                "holds a value of {target} as it was configured before, and the settings that say where keys lie there \
                 (engine, prefix, namespace, project, region, path and the like) are others now; put them back as they \
                 were and run the same command again"
            )));
        }
        if place != self.place {
            return Err(self.unusable(&format!(
                "holds a value of another key store ({target}); run the migration to that one again first"
            )));
        }
        let name = KeyName::parse(name).map_err(io::Error::other)?;
        let value = Zeroizing::new(parts.next().unwrap_or_default().to_owned());
        let value = StoredValue::new(value).map_err(io::Error::other)?;
        Ok(Some((name, value)))
    }

    fn forget(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.sync_folder(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_value_is_kept_byte_for_byte_where_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kes.yml.migrate-journal");
        let journal = FileJournal::new(path.clone(), "Filesystem: /keys", "a".repeat(64));
        assert!(journal.kept().unwrap().is_none());
        let name = KeyName::parse("my-key").unwrap();
        let text = "{\"bytes\":\"x\"}\n\nname other\n";
        let value = StoredValue::new(Zeroizing::new(text.to_owned())).unwrap();
        // What a crash left does not get in the way.
        std::fs::write(folder.path().join("kes.yml.migrate-journal.half"), "x").unwrap();
        journal.keep(&name, &value).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let (kept_name, kept) = journal.kept().unwrap().unwrap();
        assert_eq!((kept_name, kept.expose()), (name, text));

        let other = FileJournal::new(path.clone(), "Filesystem: /other", "b".repeat(64));
        let error = other.kept().unwrap_err().to_string();
        assert!(
            error.contains("another key store (Filesystem: /keys)"),
            "{error}"
        );
        assert!(path.exists(), "it stays for the run that it belongs to");
        journal.forget().unwrap();
        journal.forget().unwrap();
        assert!(journal.kept().unwrap().is_none() && journal.hint().is_empty());
    }

    #[test]
    fn a_value_does_not_go_back_to_another_place_of_the_same_server() {
        use strongroom_keystore::KeystoreConfig;
        use strongroom_keystore::config::Aws;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let journal = |region: &str| {
            let config = KeystoreConfig::Aws(Box::new(Aws {
                endpoint: "sm.example".to_owned(),
                region: region.to_owned(),
                kms_key: None,
                credentials: None,
            }));
            FileJournal::new(
                path.clone(),
                "AWS SecretsManager: sm.example",
                config.place(),
            )
        };
        let name = KeyName::parse("my-key").unwrap();
        let value = StoredValue::new(Zeroizing::new("the value".to_owned())).unwrap();
        journal("eu-west-1").keep(&name, &value).unwrap();
        let error = journal("eu-central-1").kept().unwrap_err().to_string();
        for part in ["as it was configured before", "sm.example", "put them back"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("the value"), "{error}");
        let (kept_name, kept) = journal("eu-west-1").kept().unwrap().unwrap();
        assert_eq!((kept_name, kept.expose()), (name, "the value"));
    }

    #[test]
    fn another_file_is_not_taken_for_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        for text in [
            "",
            "kes-migrate 2\ntarget t\nname n\nv",
            "kes-migrate 1\nname n\n",
            "secret",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = FileJournal::new(path.clone(), "t", String::new())
                .kept()
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("is no journal") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
