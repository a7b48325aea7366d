//! Where things are in the state directory.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use orwd_hub_store::sessions::SessionVersion;
use zeroize::Zeroizing;

/// The state directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

/// Mode of directories: nobody else has access.
const PRIVATE: u32 = 0o700;

impl Layout {
    /// Creates the directories that are missing.
    pub(crate) fn create(root: &Path) -> io::Result<Layout> {
        create_private(root)?;
        let layout = Layout {
            root: root.canonicalize()?,
        };
        for name in [
            "blobs",
            "cache",
            "data",
            "git",
            "home",
            "hooks",
            "instances",
            "keys",
            "temp",
            "versions",
        ] {
            create_private(&layout.root.join(name))?;
        }
        Ok(layout)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("hub.sqlite")
    }

    /// The file that the supervisor locks.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The secret of the link by which the first administrator signs in, until that
    /// has happened.
    pub(crate) fn first_sign_in(&self) -> PathBuf {
        self.root.join("first-sign-in")
    }

    /// Compiled code, which host processes share.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.root.join("git")
    }

    /// The repository of an environment.
    pub(crate) fn repository(&self, environment: &str) -> PathBuf {
        self.repositories().join(format!("{environment}.git"))
    }

    /// The hooks of all repositories.
    pub(crate) fn hooks(&self) -> PathBuf {
        self.root.join("hooks")
    }

    /// An empty home directory, for git.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Files in the making. What a killed process left there is removed.
    pub(crate) fn temp(&self) -> PathBuf {
        self.root.join("temp")
    }

    pub(crate) fn versions(&self) -> PathBuf {
        self.root.join("versions")
    }

    pub(crate) fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }

    pub(crate) fn all_data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The sources of a deployment that was admitted.
    pub(crate) fn version(&self, deployment: &str) -> PathBuf {
        self.versions().join(deployment)
    }

    /// What `orwd inspect` says of the environments of a version.
    pub(crate) fn about(&self, deployment: &str) -> PathBuf {
        self.version(deployment).with_extension("about.json")
    }

    pub(crate) fn data_of(&self, environment: &str) -> PathBuf {
        self.all_data().join(environment)
    }

    /// The files of an environment at a generation.
    pub(crate) fn data(&self, environment: &str, generation: i64) -> PathBuf {
        self.data_of(environment).join(generation.to_string())
    }

    /// The journal of the sessions of a version.
    pub(crate) fn instance(&self, version: &SessionVersion) -> PathBuf {
        self.instances().join(instance_name(version))
    }

    /// The file of the secret by which host processes know the control process.
    pub(crate) fn proxy_key_file(&self) -> PathBuf {
        self.root.join("keys").join("proxy")
    }

    /// Returns a secret of 256 random bits, which is created once.
    pub(crate) fn secret(&self, name: &str) -> io::Result<Zeroizing<String>> {
        let file = self.root.join("keys").join(name);
        if !file.exists() {
            let secret = blake3::Hash::from_bytes(rand::random()).to_hex();
            write_private(&file, secret.as_bytes(), 0o600)?;
        }
        fs::read_to_string(file).map(Zeroizing::new)
    }
}

/// Returns the name of the host process of a version.
pub(crate) fn instance_name(version: &SessionVersion) -> String {
    format!("{}-{}", version.deployment, version.generation)
}

/// Creates a directory that only this user can open.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(path)
}

/// Writes a file as a whole.
pub(crate) fn write_private(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(partial, path)
}
