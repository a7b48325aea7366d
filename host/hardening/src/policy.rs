//! What a process may still do after hardening.

use std::path::{Path, PathBuf};

/// Everything that the process keeps; the rest is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    workload: Workload,
    paths: Vec<(PathBuf, PathAccess)>,
    ports: Vec<u16>,
}

/// Work of the process, which decides its system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Accept connections on open sockets, read and write files, run threads.
    Serve,
    /// Read from open pipes, compute on threads, write to pipes.
    Compute,
    /// Connect to the TCP ports of the policy, and ask name servers.
    Connect,
}

/// Permitted access to a directory and to everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathAccess {
    /// Read and list files and directories.
    Read,
    /// Read files whose names are known.
    ReadFiles,
    /// Read, create and list files and directories; replace and remove files.
    Write,
    /// Create, use and remove files.
    TempFiles,
    /// Remove empty directories.
    RemoveDirs,
}

impl Policy {
    /// Creates a policy that permits the work and no path.
    pub fn of(workload: Workload) -> Policy {
        Policy {
            workload,
            paths: Vec::new(),
            ports: Vec::new(),
        }
    }

    /// Permits access to a path, in addition to what is permitted already.
    #[must_use]
    pub fn and(mut self, path: impl AsRef<Path>, access: PathAccess) -> Policy {
        self.paths.push((path.as_ref().to_owned(), access));
        self
    }

    /// Permits connections to a TCP port, of work that connects.
    #[must_use]
    pub fn and_port(mut self, port: u16) -> Policy {
        self.ports.push(port);
        self
    }

    /// Returns the TCP ports that may be connected to.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Returns the work of the process.
    pub fn workload(&self) -> Workload {
        self.workload
    }

    /// Returns the permitted paths.
    pub fn paths(&self) -> impl Iterator<Item = (&Path, PathAccess)> {
        self.paths
            .iter()
            .map(|(path, access)| (path.as_path(), *access))
    }
}
