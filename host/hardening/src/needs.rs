//! What a process needs of the machine from now on.

use std::path::{Path, PathBuf};

/// The whole list: whatever is not in it is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    work: Work,
    places: Vec<(PathBuf, Access)>,
}

/// What the process is going to do, which decides on its system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Accept connections on sockets that it has, read and write files, run
    /// threads.
    Serve,
    /// Read from pipes that it has, compute on threads, write to pipes.
    Compute,
}

/// What is done at a place, which is a directory, and below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Files and directories are read.
    Read,
    /// Files whose names are known are read.
    ReadFiles,
    /// Files and directories are read and made, files replaced and removed.
    Write,
    /// Files are made, used and removed again.
    Scratch,
    /// Empty directories are removed.
    RemoveFolders,
}

impl Needs {
    /// Nothing but the work itself.
    pub fn of(work: Work) -> Needs {
        Needs {
            work,
            places: Vec::new(),
        }
    }

    /// Adds a place. A place may be there several times, for different things.
    #[must_use]
    pub fn and(mut self, path: impl AsRef<Path>, access: Access) -> Needs {
        self.places.push((path.as_ref().to_owned(), access));
        self
    }

    /// What the process is going to do.
    pub fn work(&self) -> Work {
        self.work
    }

    /// The places.
    pub fn places(&self) -> impl Iterator<Item = (&Path, Access)> {
        self.places
            .iter()
            .map(|(path, access)| (path.as_path(), *access))
    }
}
