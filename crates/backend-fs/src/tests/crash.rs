//! The story of each test here: the machine stops at some change of the disk, for every change there is. Once
//! only the process dies (what was done stays), once the power goes (what was not synced is forgotten:
//! names, and the bytes of files). The store is opened again, and shows the state before or after, whole.

use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use strongroom_backend::object::{EnvelopeChange, OpenObject};
use strongroom_backend::put::Precondition;
use strongroom_backend::record::RecordName;
use strongroom_backend::upload::UploadId;

use super::harness::*;
use crate::disk::{Change, Watch};
use crate::store::Store;

/// A disk that stops after some changes, and knows how to forget.
struct Machine {
    /// Where names that are about to vanish are kept.
    stash: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Changes until it stops; `None`: it runs.
    left: Option<usize>,
    stopped: bool,
    next_stash: usize,
    stashed: Option<PathBuf>,
    /// What is not on the disk yet, oldest first.
    unsynced: Vec<Unsynced>,
    /// Files whose bytes are not.
    dirty: Vec<PathBuf>,
}

enum Unsynced {
    Made(PathBuf),
    Removed(PathBuf, Option<PathBuf>),
    Renamed {
        from: PathBuf,
        to: PathBuf,
        over: Option<PathBuf>,
    },
}

impl Unsynced {
    /// Whether syncing `folder` makes it durable. Of a rename to elsewhere either folder will do: file systems
    /// with a journal make it whole or not at all, and on others what we move away to `tmp/` is garbage.
    fn is_settled_by(&self, folder: &Path) -> bool {
        match self {
            Self::Made(path) | Self::Removed(path, _) => path.parent() == Some(folder),
            Self::Renamed { from, to, .. } => {
                to.parent() == Some(folder) || from.parent() == Some(folder)
            }
        }
    }
}

impl Watch for Machine {
    fn before(&self, change: Change<'_>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.stopped || state.left == Some(0) {
            state.stopped = true;
            return Err(io::Error::other("the machine has stopped"));
        }
        state.left = state.left.map(|left| left - 1);
        state.stashed = None;
        if let Change::RemoveFile(path) | Change::Rename { to: path, .. } = change
            && path.is_file()
        {
            let stash = self.stash.join(state.next_stash.to_string());
            state.next_stash += 1;
            fs::hard_link(path, &stash).unwrap();
            state.stashed = Some(stash);
        }
        Ok(())
    }

    fn after(&self, change: Change<'_>) {
        let mut state = self.state.lock().unwrap();
        let stashed = state.stashed.take();
        match change {
            Change::CreateFile(path) => {
                state.unsynced.push(Unsynced::Made(path.to_path_buf()));
                state.dirty.push(path.to_path_buf());
            }
            Change::MakeFolder(path) => state.unsynced.push(Unsynced::Made(path.to_path_buf())),
            Change::RemoveFile(path) => {
                state.dirty.retain(|dirty| dirty != path);
                state
                    .unsynced
                    .push(Unsynced::Removed(path.to_path_buf(), stashed));
            }
            Change::RemoveFolder(path) => {
                state
                    .unsynced
                    .push(Unsynced::Removed(path.to_path_buf(), None));
            }
            Change::Rename { from, to } => {
                for dirty in &mut state.dirty {
                    if let Ok(below) = dirty.strip_prefix(from) {
                        *dirty = if below.as_os_str().is_empty() {
                            to.into()
                        } else {
                            to.join(below)
                        };
                    }
                }
                let (from, to) = (from.to_path_buf(), to.to_path_buf());
                state.unsynced.push(Unsynced::Renamed {
                    from,
                    to,
                    over: stashed,
                });
            }
            Change::SyncFile(path) => state.dirty.retain(|dirty| dirty != path),
            Change::SyncFolder(path) => state.unsynced.retain(|change| !change.is_settled_by(path)),
            Change::Write => {}
        }
    }
}

impl Machine {
    fn new(stash: &Path) -> Arc<Self> {
        Arc::new(Self {
            stash: stash.to_path_buf(),
            state: Mutex::default(),
        })
    }

    fn stop_after(&self, changes: usize) {
        self.state.lock().unwrap().left = Some(changes);
    }

    fn has_stopped(&self) -> bool {
        self.state.lock().unwrap().stopped
    }

    /// Undoes all that was not synced.
    fn cut_power(&self) {
        let mut state = self.state.lock().unwrap();
        for dirty in std::mem::take(&mut state.dirty) {
            if let Ok(file) = fs::OpenOptions::new().write(true).open(&dirty) {
                let half = file.metadata().unwrap().len() / 2;
                file.set_len(half).unwrap();
            }
        }
        while let Some(change) = state.unsynced.pop() {
            match change {
                Unsynced::Made(path) if path.is_dir() => fs::remove_dir_all(path).unwrap(),
                Unsynced::Made(path) => drop(fs::remove_file(path)),
                Unsynced::Removed(path, Some(stash)) => drop(fs::hard_link(stash, path)),
                Unsynced::Removed(path, None) => drop(fs::create_dir(path)),
                Unsynced::Renamed { from, to, over } => {
                    if to.exists() {
                        fs::rename(&to, &from).unwrap();
                    }
                    if let Some(over) = over {
                        fs::hard_link(over, to).unwrap();
                    }
                }
            }
        }
    }
}

/// Runs `act` on the store that `prepare` made, once for every change at which the machine can stop, and
/// shows what is there afterwards to `check`, with what `act` said.
fn at_every_step<P, PF, A, AF, C, CF, T>(prepare: P, act: A, check: C)
where
    P: Fn(Arc<Store>) -> PF,
    PF: Future<Output = T>,
    A: Fn(Arc<Store>, T) -> AF,
    AF: Future<Output = bool>,
    C: Fn(Arc<Store>, T, bool) -> CF,
    CF: Future<Output = ()>,
    T: Clone,
{
    for power_fails in [false, true] {
        // Every step of the first hundred; what goes on longer repeats itself, file by file.
        for changes in (0..100).chain((100..).step_by(37)) {
            assert!(changes < 5000, "the operation never ends");
            let dir = temp_dir();
            let path = dir.path().join("store");
            fs::create_dir(dir.path().join("stash")).unwrap();
            let machine = Machine::new(&dir.path().join("stash"));
            // A runtime of its own: dropping it waits for every blocking task.
            let runtime = runtime();
            let (prepared, succeeded) = runtime.block_on(async {
                let store = open(&path, Some(Arc::clone(&machine) as _));
                store.create_bucket(BUCKET).await.unwrap();
                let prepared = prepare(Arc::clone(&store)).await;
                // What was there before is old and safe.
                let state = || machine.state.lock().unwrap();
                state().unsynced.clear();
                assert_eq!(state().dirty, Vec::<PathBuf>::new());
                machine.stop_after(changes);
                let succeeded = act(store, prepared.clone()).await;
                (prepared, succeeded)
            });
            drop(runtime);
            let has_stopped = machine.has_stopped();
            if power_fails {
                machine.cut_power();
            }
            runtime_block(async {
                let store = open(&path, None);
                check(Arc::clone(&store), prepared, succeeded).await;
                let report = store.sweep().await.unwrap();
                assert_eq!(report.damaged, 0);
                assert_eq!(fs::read_dir(path.join("tmp")).unwrap().count(), 0);
                // Everything listed can be read, after the sweep too.
                for key in keys(&store).await {
                    get(&store, &key).await.unwrap();
                }
            });
            if !has_stopped {
                assert!(succeeded, "nothing failed, and yet it did");
                break;
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn runtime_block(future: impl Future<Output = ()>) {
    runtime().block_on(future);
}

/// The object is `old` or `new`, and `new` if the client was told so.
async fn is_old_or_new(
    store: &Arc<Store>,
    key: &str,
    old: Option<&[u8]>,
    new: Option<&[u8]>,
    told: bool,
) {
    let found = match get(store, key).await {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            assert_eq!(code(error), "NoSuchKey");
            None
        }
    };
    assert_eq!(keys(store).await.contains(&key.to_owned()), found.is_some());
    if told {
        assert_eq!(found.as_deref(), new, "answered, and not there");
    } else {
        assert!(
            found.as_deref() == old || found.as_deref() == new,
            "neither old nor new"
        );
    }
}

#[test]
fn put_of_a_new_key_in_new_folders() {
    for length in [100, 400_000] {
        let bytes = pattern(length, 1);
        at_every_step(
            |_| async {},
            |store, ()| {
                let bytes = bytes.clone();
                async move { store.put(put_of("a/b/c", &bytes)).await.is_ok() }
            },
            |store, (), told| {
                let bytes = bytes.clone();
                async move { is_old_or_new(&store, "a/b/c", None, Some(&bytes), told).await }
            },
        );
    }
}

#[test]
fn put_over_another_object() {
    for (before, after) in [(100, 400_000), (400_000, 100), (400_000, 300_000)] {
        let (old, new) = (pattern(before, 1), pattern(after, 2));
        at_every_step(
            |store| {
                let old = old.clone();
                async move { drop(put(&store, "k", &old).await) }
            },
            |store, ()| {
                let new = new.clone();
                async move { store.put(put_of("k", &new)).await.is_ok() }
            },
            |store, (), told| {
                let (old, new) = (old.clone(), new.clone());
                async move { is_old_or_new(&store, "k", Some(&old), Some(&new), told).await }
            },
        );
    }
}

#[test]
fn two_puts_share_a_new_folder() {
    // The second finds a folder that the first made, and must not lean on the first to sync it.
    at_every_step(
        |_| async {},
        |store, ()| async move {
            let first = tokio::spawn({
                let store = Arc::clone(&store);
                async move { store.put(put_of("a/b/1", b"one")).await.is_ok() }
            });
            let second = store.put(put_of("a/b/2", b"two")).await.is_ok();
            first.await.unwrap() && second
        },
        |store, (), told| async move {
            is_old_or_new(&store, "a/b/1", None, Some(b"one"), told).await;
            is_old_or_new(&store, "a/b/2", None, Some(b"two"), told).await;
        },
    );
}

#[test]
fn delete() {
    let old = pattern(400_000, 1);
    at_every_step(
        |store| {
            let old = old.clone();
            async move { drop(put(&store, "a/b/k", &old).await) }
        },
        |store, ()| async move { store.delete(&at("a/b/k"), Precondition::None).await.is_ok() },
        |store, (), told| {
            let old = old.clone();
            async move { is_old_or_new(&store, "a/b/k", Some(&old), None, told).await }
        },
    );
}

#[test]
fn replacing_an_envelope() {
    let bytes = pattern(100_000, 1);
    at_every_step(
        |store| {
            let bytes = bytes.clone();
            async move { put(&store, "k", &bytes).await.generation }
        },
        |store, generation| async move {
            let envelope = Some(Bytes::from_static(b"new"));
            let change = EnvelopeChange {
                envelope,
                ..EnvelopeChange::default()
            };
            store
                .replace_envelope(&at("k"), &generation, change)
                .await
                .is_ok()
        },
        |store, _, told| {
            let bytes = bytes.clone();
            async move {
                assert_eq!(get(&store, "k").await.unwrap(), bytes);
                let object = store.open_object(&at("k")).await.unwrap();
                assert!(object.stat().envelope.is_some() || !told);
            }
        },
    );
}

/// Two parts, more than fit in a root with `tiny` others, and an attempt that is not chosen.
async fn prepare_upload(store: &Arc<Store>, tiny: u32) -> (UploadId, Vec<String>) {
    put(store, "k", &pattern(90_000, 7)).await;
    let upload = begin_upload(store, "k").await;
    put_part(store, "k", &upload, 1, b"not chosen").await;
    let mut chosen = vec![
        put_part(store, "k", &upload, 1, &pattern(70_000, 1))
            .await
            .attempt,
    ];
    for number in 0..tiny {
        chosen.push(
            put_part(store, "k", &upload, number + 2, b"tiny")
                .await
                .attempt,
        );
    }
    (upload, chosen)
}

fn whole(tiny: u32) -> Vec<u8> {
    [
        pattern(70_000, 1),
        b"tiny".repeat(tiny as usize),
        b"footer".to_vec(),
    ]
    .concat()
}

#[test]
fn complete() {
    // The second has a page.
    for tiny in [1, 110] {
        at_every_step(
            |store| async move { prepare_upload(&store, tiny).await },
            |store, (upload, attempts)| async move {
                let mut complete = complete_of("k", &upload, &[]);
                complete.attempts = attempts;
                complete.footer = Bytes::from_static(b"footer");
                store.complete_upload(complete).await.is_ok()
            },
            |store, (upload, attempts), told| async move {
                is_old_or_new(
                    &store,
                    "k",
                    Some(&pattern(90_000, 7)),
                    Some(&whole(tiny)),
                    told,
                )
                .await;
                let object = store.open_object(&at("k")).await.unwrap();
                let is_done = object.stat().upload_id.as_ref() == Some(&upload.0);
                let still_there = store.upload(&at("k"), &upload).await.is_ok();
                assert_eq!(is_done, !still_there, "either the object or the upload");
                if still_there {
                    let mut again = complete_of("k", &upload, &[]);
                    again.attempts = attempts;
                    again.footer = Bytes::from_static(b"footer");
                    store.complete_upload(again).await.unwrap();
                }
                assert_eq!(get(&store, "k").await.unwrap(), whole(tiny));
            },
        );
    }
}

#[test]
fn put_part_and_abort() {
    at_every_step(
        |store| async move { begin_upload(&store, "k").await },
        |store, upload| async move {
            store
                .put_part(part_of("k", &upload, 1, &pattern(300_000, 1)))
                .await
                .is_ok()
        },
        |store, upload, told| async move {
            let attempts = store.part_attempts(&at("k"), &upload).await.unwrap();
            assert!(attempts.len() == 1 || (attempts.is_empty() && !told));
            if let [attempt] = attempts.as_slice() {
                store
                    .complete_upload(complete_of("k", &upload, &[attempt]))
                    .await
                    .unwrap();
                assert_eq!(get(&store, "k").await.unwrap(), pattern(300_000, 1));
            }
        },
    );
    at_every_step(
        |store| async move { prepare_upload(&store, 1).await.0 },
        |store, upload| async move { store.abort_upload(&at("k"), &upload).await.is_ok() },
        |store, upload, told| async move {
            match store.part_attempts(&at("k"), &upload).await {
                Ok(attempts) => assert!(attempts.len() == 3 && !told),
                Err(error) => assert_eq!(code(error), "NoSuchUpload"),
            }
        },
    );
}

#[test]
fn buckets_uploads_and_records() {
    at_every_step(
        |_| async {},
        |store, ()| async move { store.create_bucket("another").await.is_ok() },
        |store, (), told| async move {
            let there = store.bucket("another").await.unwrap().is_some();
            assert!(there || !told);
            if !there {
                store.create_bucket("another").await.unwrap();
            }
        },
    );
    at_every_step(
        |store| async move { drop(begin_upload(&store, "k").await) },
        |store, ()| async move { store.delete_bucket(BUCKET).await.is_ok() },
        |store, (), told| async move {
            assert!(!told || store.bucket(BUCKET).await.unwrap().is_none());
            // The check after this one lists the bucket.
            let _ = store.create_bucket(BUCKET).await;
        },
    );
    let name = RecordName::new("a/b").unwrap();
    at_every_step(
        |store| {
            let name = name.clone();
            async move {
                store
                    .write_record(&name, None, Bytes::from_static(b"1"))
                    .await
                    .unwrap()
            }
        },
        |store, seen| {
            let name = name.clone();
            async move {
                store
                    .write_record(&name, Some(&seen), Bytes::from_static(b"2"))
                    .await
                    .is_ok()
            }
        },
        |store, _, told| {
            let name = name.clone();
            async move {
                let bytes = store.read_record(&name).await.unwrap().unwrap().bytes;
                assert!(bytes == "2" || (bytes == "1" && !told));
            }
        },
    );
}
