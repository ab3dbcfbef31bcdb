//! Data files: immutable, named at random, held by readers, removed when nobody needs them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::error::StoreError;
use crate::id::Id;
use crate::store::Store;

/// A file under `data/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DataFile {
    /// Bytes of a body.
    Bytes(Id),
    /// A page of a layout.
    Page(Id),
}

impl DataFile {
    pub(crate) fn id(self) -> Id {
        match self {
            Self::Bytes(id) | Self::Page(id) => id,
        }
    }

    /// Path below `data/`.
    pub(crate) fn path(self) -> PathBuf {
        let id = self.id().to_string();
        let folder = PathBuf::from(&id[..2]);
        match self {
            Self::Bytes(_) => folder.join(id),
            Self::Page(_) => folder.join(id + PAGE_SUFFIX),
        }
    }

    /// Reads a file name below `data/xx/`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.strip_suffix(PAGE_SUFFIX) {
            Some(id) => Id::parse(id).map(Self::Page),
            None => Id::parse(name).map(Self::Bytes),
        }
    }
}

const PAGE_SUFFIX: &str = ".page";

/// What this process knows of data files that roots do not tell.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    state: Mutex<State>,
    /// Read: a file gets a reference. Write: a sweep begins. So each reference is either there before the
    /// sweep looks, or told to it.
    edge: RwLock<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Bodies held open by readers, by the name of the body.
    pinned: HashMap<Id, Pinned>,
    /// Files being written, which nothing refers to yet.
    drafts: HashSet<Id>,
    /// While a sweep looks around: what got a reference meanwhile, perhaps behind its back.
    referred_since: Option<HashSet<Id>>,
}

#[derive(Debug, Default)]
struct Pinned {
    pins: usize,
    /// To be removed with the last pin.
    doomed: Vec<DataFile>,
}

impl Bodies {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pin(&self, body: Id) {
        self.state().pinned.entry(body).or_default().pins += 1;
    }

    /// Lets go of a body; gives the files that can be removed now.
    pub(crate) fn unpin(&self, body: Id) -> Vec<DataFile> {
        let mut state = self.state();
        let Some(pinned) = state.pinned.get_mut(&body) else {
            return Vec::new();
        };
        pinned.pins -= 1;
        if pinned.pins > 0 {
            return Vec::new();
        }
        state
            .pinned
            .remove(&body)
            .map(|pinned| pinned.doomed)
            .unwrap_or_default()
    }

    /// Gives up a body that no root refers to any more; gives the files that can be removed now.
    pub(crate) fn doom(&self, body: Id, files: Vec<DataFile>) -> Vec<DataFile> {
        match self.state().pinned.get_mut(&body) {
            Some(pinned) => {
                pinned.doomed.extend(files);
                Vec::new()
            }
            None => files,
        }
    }

    /// Runs `act`, which makes a root or an attempt refer to `ids`; a sweep under way is told before.
    pub(crate) fn referring<T>(
        &self,
        ids: impl FnOnce() -> Result<Vec<Id>, StoreError>,
        act: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _edge = self.edge.read().unwrap_or_else(PoisonError::into_inner);
        if self.state().referred_since.is_some() {
            let ids = ids()?;
            if let Some(since) = &mut self.state().referred_since {
                since.extend(ids);
            }
        }
        act()
    }

    /// Begins a sweep; `false` when one is under way.
    pub(crate) fn begin_sweep(&self) -> bool {
        let _edge = self.edge.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        let begins = state.referred_since.is_none();
        if begins {
            state.referred_since = Some(HashSet::new());
        }
        begins
    }

    pub(crate) fn end_sweep(&self) {
        self.state().referred_since = None;
    }

    /// Whether a file is in use in a way that no root tells.
    pub(crate) fn is_held(&self, file: DataFile) -> bool {
        let state = self.state();
        state.drafts.contains(&file.id())
            || state
                .referred_since
                .as_ref()
                .is_some_and(|since| since.contains(&file.id()))
            || state
                .pinned
                .values()
                .any(|pinned| pinned.doomed.contains(&file))
    }
}

/// A data file that nothing refers to yet. Dropped without [`keep`](Self::keep), it is removed.
#[derive(Debug)]
pub(crate) struct Draft {
    store: Arc<Store>,
    pub(crate) file: DataFile,
    kept: AtomicBool,
}

impl Draft {
    pub(crate) fn new(store: &Arc<Store>, file: DataFile) -> Self {
        store.bodies.state().drafts.insert(file.id());
        Self {
            store: Arc::clone(store),
            file,
            kept: AtomicBool::new(false),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.store.data_path(self.file)
    }

    /// A root or an attempt refers to the file now.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Acquire) {
            self.store.remove_data(vec![self.file]);
        }
        self.store.bodies.state().drafts.remove(&self.file.id());
    }
}

/// Keeps the files of a body readable while it lives, whatever happens to the object.
#[derive(Debug)]
pub(crate) struct Pin {
    store: Arc<Store>,
    body: Id,
}

impl Pin {
    pub(crate) fn new(store: &Arc<Store>, body: Id) -> Self {
        store.bodies.pin(body);
        Self {
            store: Arc::clone(store),
            body,
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.store.remove_data(self.store.bodies.unpin(self.body));
    }
}
