//! The names of a tree in the byte order of their keys, from any point on.
//!
//! Within a folder, children sort by the piece of key they stand for, `/` appended to folders; a child
//! that is a folder holds exactly the keys that begin with that. No two children interleave (the proof
//! is how `layout` cuts segments), so a walk of the tree is a walk of the keys. Of each folder only a
//! bounded run of names is in memory.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Fault;
use crate::layout::{self, NameKind};

/// Most names of one folder held at once: a page of a listing and one.
const RUN_MAX: usize = 1001;
/// Folders nested deeper than this share memory: a bucket of deep and wide folders is no way to it.
const FULL_RUNS_DEPTH: usize = 8;

/// From where on names are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Start {
    /// From the first.
    #[default]
    First,
    /// Greater than this key.
    After(Vec<u8>),
    /// Greater than every key that begins with this.
    AfterAll(Vec<u8>),
}

impl Start {
    /// Whether the single key is wanted.
    fn wants(&self, key: &[u8]) -> bool {
        match self {
            Self::First => true,
            Self::After(after) => key > after.as_slice(),
            Self::AfterAll(prefix) => key > prefix.as_slice() && !key.starts_with(prefix),
        }
    }

    /// Whether any key that begins with `start` may be wanted.
    fn may_want_below(&self, start: &[u8]) -> bool {
        match self {
            Self::First => true,
            Self::After(after) => start >= after.as_slice() || after.starts_with(start),
            Self::AfterAll(prefix) => {
                !start.starts_with(prefix)
                    && (start >= prefix.as_slice() || prefix.starts_with(start))
            }
        }
    }
}

/// A child of a folder: what its keys begin with, or its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Child {
    /// Sorts children.
    pub(crate) start: Vec<u8>,
    pub(crate) kind: NameKind,
    pub(crate) path: PathBuf,
}

#[derive(Debug)]
struct Frame {
    folder: PathBuf,
    /// What all keys in the folder begin with.
    start: Vec<u8>,
    /// Children to come, last one first.
    run: Vec<Child>,
    /// The run ended before the folder did, with this child.
    rest_after: Option<Vec<u8>>,
}

/// A walk below one prefix.
#[derive(Debug)]
pub(crate) struct Walk {
    prefix: Vec<u8>,
    from: Start,
    frames: Vec<Frame>,
}

impl Walk {
    /// All keys of the tree `base` that begin with `prefix`, from `from` on. A base that is not there
    /// has none.
    pub(crate) fn new(base: &Path, prefix: &str, from: Start) -> Result<Self, Fault> {
        let (folder, told) = layout::folder_of_prefix(base, prefix);
        let mut walk = Self {
            prefix: prefix.as_bytes().to_vec(),
            from,
            frames: Vec::new(),
        };
        let start = walk.prefix[..told].to_vec();
        walk.enter(folder, start)?;
        Ok(walk)
    }

    /// Skips everything before a new, greater bound. What lies in memory is skipped as it comes up.
    pub(crate) fn skip_to(&mut self, from: Start) {
        self.from = from;
    }

    /// The next object or folder. A folder's contents follow only when it is [entered](Self::enter_child).
    pub(crate) fn next_child(&mut self) -> Result<Option<Child>, Fault> {
        loop {
            let depth = self.frames.len();
            let Some(frame) = self.frames.last_mut() else {
                return Ok(None);
            };
            let Some(child) = frame.run.pop() else {
                let rest_after = frame.rest_after.take();
                match rest_after {
                    Some(after) => {
                        let (folder, start) = (frame.folder.clone(), frame.start.clone());
                        let (run, rest_after) =
                            self.read_run(&folder, &start, Some(&after), depth)?;
                        if let Some(frame) = self.frames.last_mut() {
                            frame.run = run;
                            frame.rest_after = rest_after;
                        }
                    }
                    None => {
                        self.frames.pop();
                    }
                }
                continue;
            };
            if is_wanted(&self.prefix, &self.from, &child) {
                return Ok(Some(child));
            }
        }
    }

    /// Goes into a folder that [`next_child`](Self::next_child) gave.
    pub(crate) fn enter_child(&mut self, child: Child) -> Result<(), Fault> {
        self.enter(child.path, child.start)
    }

    fn enter(&mut self, folder: PathBuf, start: Vec<u8>) -> Result<(), Fault> {
        let (run, rest_after) = self.read_run(&folder, &start, None, self.frames.len() + 1)?;
        self.frames.push(Frame {
            folder,
            start,
            run,
            rest_after,
        });
        Ok(())
    }

    /// The smallest wanted children of a folder that are greater than `after`, greatest first.
    fn read_run(
        &self,
        folder: &Path,
        start: &[u8],
        after: Option<&[u8]>,
        depth: usize,
    ) -> Result<(Vec<Child>, Option<Vec<u8>>), Fault> {
        let run_max = if depth <= FULL_RUNS_DEPTH {
            RUN_MAX
        } else {
            RUN_MAX / depth + 1
        };
        let mut smallest: BinaryHeap<Child> = BinaryHeap::new();
        let mut left_out = false;
        for name in names_in(folder)? {
            let name = name?;
            let Some((piece, kind)) = name.to_str().and_then(layout::parse_name) else {
                continue;
            };
            let mut child_start = start.to_vec();
            child_start.extend(piece);
            if kind == NameKind::Folder {
                child_start.push(b'/');
            }
            if after.is_some_and(|after| child_start.as_slice() <= after) {
                continue;
            }
            let child = Child {
                start: child_start,
                kind,
                path: folder.join(&name),
            };
            if !is_wanted(&self.prefix, &self.from, &child) {
                continue;
            }
            if smallest.len() < run_max {
                smallest.push(child);
            } else {
                left_out = true;
                if let Some(mut greatest) = smallest.peek_mut()
                    && child.cmp(&greatest) == Ordering::Less
                {
                    *greatest = child;
                }
            }
        }
        let rest_after = smallest
            .peek()
            .filter(|_| left_out)
            .map(|child| child.start.clone());
        let mut run = smallest.into_sorted_vec();
        run.reverse();
        Ok((run, rest_after))
    }
}

fn is_wanted(prefix: &[u8], from: &Start, child: &Child) -> bool {
    match child.kind {
        NameKind::Object => child.start.starts_with(prefix) && from.wants(&child.start),
        NameKind::Folder | NameKind::Continued => {
            (child.start.starts_with(prefix) || prefix.starts_with(&child.start))
                && from.may_want_below(&child.start)
        }
    }
}

/// Names in a folder; none when it is gone, which a folder may be at any time.
fn names_in(
    folder: &Path,
) -> Result<impl Iterator<Item = Result<std::ffi::OsString, Fault>>, Fault> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Fault::new("read folder", folder, error)),
    };
    let folder = folder.to_path_buf();
    Ok(entries.into_iter().flatten().map(move |entry| {
        entry
            .map(|entry| entry.file_name())
            .map_err(|source| Fault::new("read folder", &folder, source))
    }))
}

/// Whether any object lies below a folder. Goes down the first folder it finds: folders without objects
/// are rare and do not last.
pub(crate) fn holds_an_object(folder: &Path) -> Result<bool, Fault> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for name in names_in(&folder)? {
            let name = name?;
            match name.to_str().and_then(layout::parse_name) {
                Some((_, NameKind::Object)) => return Ok(true),
                Some((_, NameKind::Folder | NameKind::Continued)) => {
                    folders.push(folder.join(&name))
                }
                None => {}
            }
        }
    }
    Ok(false)
}
