//! Lays out a built environment for serving elsewhere: a folder with its
//! manifest, its component and its data, and nothing to build.
//!
//! Everything is written below the author's folder, which no link leaves. A new
//! folder is completed under another name and then takes the place of the last
//! one, so that a folder of this name is always complete.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use toml::{Table, Value};

use super::error::BuildError;
use super::job::BuildJob;
use super::last_build::DIST;
use crate::files::AuthorFolder;
use crate::manifest::{FILE_NAME, Manifest};

/// First line of a manifest that is written here. Only a folder with it is
/// replaced.
const HEADER: &str = "# Written by `orwd build`. This folder can be served anywhere.\n";

/// Levels of directories that are copied, as deep as sessions can see.
const MAX_DEPTH: usize = 64;

/// A folder that can be served anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The folder.
    pub folder: PathBuf,
    /// Its component.
    pub component: PathBuf,
    /// Links and special files of the data that it does not contain.
    pub left_out: Vec<PathBuf>,
}

/// One environment of a package.
#[derive(Clone, Copy, Debug)]
pub struct PackageMember<'a> {
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// The text of its manifest.
    pub text: &'a str,
}

/// Writes the folder `dist` of a built environment.
pub fn write_package(job: BuildJob<'_>, component: &[u8]) -> Result<Package, BuildError> {
    let read = Manifest::text(job.folder).map_err(io::Error::other);
    let text = read.map_err(|reason| BuildError::Write {
        path: job.folder.path().join(FILE_NAME),
        reason,
    })?;
    let member = PackageMember {
        manifest: job.manifest,
        text: &text,
    };
    write_members(job.folder, &[member], component)
}

/// Writes the folder `dist` of a component with one or several environments. Each
/// of several has a folder of its own in it.
pub fn write_members(
    author: &AuthorFolder,
    members: &[PackageMember<'_>],
    component: &[u8],
) -> Result<Package, BuildError> {
    let folder = author.path().join(DIST);
    let left_out = replace(author, members, component).map_err(|reason| BuildError::Write {
        path: folder.clone(),
        reason,
    })?;
    let component = match members {
        [only] => folder.join(component_name(only.manifest)),
        _ => folder.clone(),
    };
    Ok(Package {
        component,
        folder,
        left_out,
    })
}

fn replace(
    folder: &AuthorFolder,
    members: &[PackageMember<'_>],
    component: &[u8],
) -> io::Result<Vec<PathBuf>> {
    let author = folder.dir();
    check_replaceable(author)?;
    let draft = format!(".{DIST}.{}", std::process::id());
    remove(author, &draft)?;
    author.create_dir(&draft)?;
    let written = author.open_dir(&draft).and_then(|dir| match members {
        [only] => {
            dir.write(component_name(only.manifest), component)?;
            write(folder, *only, &dir)
        }
        several => {
            let mut first = None;
            several.iter().try_fold(Vec::new(), |_, member| {
                let name = member.manifest.name.as_str();
                dir.create_dir(name)?;
                let file = Path::new(name).join(component_name(member.manifest));
                share(&dir, &file, component, &mut first)?;
                // All of them have the same data.
                write(folder, *member, &dir.open_dir(name)?)
            })
        }
    });
    let left_out = match written {
        Ok(left_out) => left_out,
        Err(error) => {
            remove(author, &draft).ok();
            return Err(error);
        }
    };
    remove(author, DIST)?;
    author.rename(&draft, author, DIST)?;
    Ok(left_out)
}

/// Refuses to replace what is not a folder of an earlier build.
fn check_replaceable(author: &Dir) -> io::Result<()> {
    match author.symlink_metadata(DIST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if found.is_dir() => {
            if is_written_here(author, Path::new(DIST)) {
                return Ok(());
            }
            // Several environments have a folder each.
            let mut members = author.open_dir(DIST)?.entries()?.peekable();
            let is_member = |entry: io::Result<cap_std::fs::DirEntry>| {
                entry.is_ok_and(|entry| {
                    is_written_here(author, &Path::new(DIST).join(entry.file_name()))
                })
            };
            if members.peek().is_some() && members.all(is_member) {
                return Ok(());
            }
        }
        Ok(_) => {}
    }
    Err(io::Error::other(
        "it exists and was not made by `orwd build`; move it away",
    ))
}

/// Returns whether a folder has a manifest that was written here.
fn is_written_here(author: &Dir, folder: &Path) -> bool {
    let mut options = OpenOptions::new();
    // A pipe in its place is opened without waiting for its other end.
    options
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let mut begin = vec![0; HEADER.len()];
    let read = author
        .open_with(folder.join(FILE_NAME), &options)
        .and_then(|mut file| file.read_exact(&mut begin));
    read.is_ok() && begin == HEADER.as_bytes()
}

fn remove(author: &Dir, name: &str) -> io::Result<()> {
    match author.remove_dir_all(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a component that several environments share: as another name of the
/// first file where the file system has hard links, since a component has tens of
/// megabytes.
fn share(dir: &Dir, file: &Path, component: &[u8], first: &mut Option<PathBuf>) -> io::Result<()> {
    if let Some(first) = first
        && dir.hard_link(first, dir, file).is_ok()
    {
        return Ok(());
    }
    dir.write(file, component)?;
    *first = Some(file.to_owned());
    Ok(())
}

/// Writes the manifest of an environment and its data.
fn write(folder: &AuthorFolder, member: PackageMember<'_>, to: &Dir) -> io::Result<Vec<PathBuf>> {
    to.write(FILE_NAME, manifest(member.text, member.manifest)?)?;
    let mut left_out = Vec::new();
    if let Some(data) = &member.manifest.data {
        let from = match folder.open_dir(data) {
            Ok(from) => from,
            // The operator may map another directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                left_out.push(data.clone());
                return Ok(left_out);
            }
            Err(error) => return Err(error),
        };
        let plain: PathBuf = data
            .components()
            .filter(|part| *part != std::path::Component::CurDir)
            .collect();
        if plain.as_os_str().is_empty() {
            return Err(io::Error::other(
                "the environment's data is its whole folder; move the data into a folder of its own",
            ));
        }
        to.create_dir_all(&plain)?;
        copy(
            &from,
            &to.open_dir(&plain)?,
            &plain,
            MAX_DEPTH,
            &mut left_out,
        )?;
    }
    Ok(left_out)
}

/// Returns the manifest with the component in place of its build.
fn manifest(text: &str, manifest: &Manifest) -> io::Result<String> {
    let mut table: Table = text.parse().map_err(io::Error::other)?;
    let component = Value::String(component_name(manifest));
    let build = Table::from_iter([("component".to_owned(), component)]);
    table.insert("build".to_owned(), Value::Table(build));
    Ok(format!("{HEADER}{table}"))
}

fn component_name(manifest: &Manifest) -> String {
    format!("{}.wasm", manifest.name)
}

/// Lays out a directory again. Relative links stay as they are; absolute ones,
/// and what is neither a file nor a directory, are left out.
fn copy(
    from: &Dir,
    to: &Dir,
    path: &Path,
    levels: usize,
    left_out: &mut Vec<PathBuf>,
) -> io::Result<()> {
    for entry in from.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let path = path.join(&name);
        let kind = entry.file_type()?;
        if kind.is_dir() && levels > 1 {
            to.create_dir(&name)?;
            let inner = to.open_dir(&name)?;
            copy(&entry.open_dir()?, &inner, &path, levels - 1, left_out)?;
        } else if kind.is_file() {
            copy_file(from, to, Path::new(&name))?;
        } else if kind.is_symlink()
            && let Ok(target) = from.read_link_contents(&name)
            && target.is_relative()
        {
            to.symlink_contents(target, &name)?;
        } else {
            left_out.push(path);
        }
    }
    Ok(())
}

/// Links a file, so that large data takes no time and no space; copies it where
/// the file system has no hard links.
fn copy_file(from: &Dir, to: &Dir, name: &Path) -> io::Result<()> {
    if from.hard_link(name, to, name).is_ok() {
        return Ok(());
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let mut source = from.open_with(name, &options)?.into_std();
    if !source.metadata()?.is_file() {
        return Err(io::Error::other("a file of the data is none any more"));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut target = to.open_with(name, &options)?.into_std();
    io::copy(&mut source, &mut target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::files::AuthorFolder;
    use crate::testing::Folder;

    fn packaged(tree: &Folder) -> Result<Package, String> {
        let folder = AuthorFolder::open(&tree.path().join("env")).unwrap();
        let manifest = Manifest::read(&folder).unwrap();
        let job = BuildJob {
            folder: &folder,
            manifest: &manifest,
        };
        write_package(job, b"wasm").map_err(|error| error.to_string())
    }

    #[test]
    fn a_package_has_manifest_component_and_data_and_replaces_the_last_one() {
        let text = "name = 'abc'\ndata = 'data'\n[build]\ncommand = ['make']\ncomponent = 'o/x'\n[limits]\nmemory = '64MiB'\n";
        let tree = Folder::with(&[
            ("env/orwd.toml", text),
            ("env/data/deep/file", "text"),
            ("env/src/lib.rs", ""),
        ]);
        let data = tree.path().join("env/data");
        symlink("deep/file", data.join("inner")).unwrap();
        symlink("/etc/passwd", data.join("absolute")).unwrap();
        tree.pipe("env/data/pipe");
        for _ in 0..2 {
            let package = packaged(&tree).unwrap();
            assert_eq!(package.left_out.len(), 2, "{:?}", package.left_out);
        }
        let dist = AuthorFolder::open(&tree.path().join("env/dist")).unwrap();
        let manifest = Manifest::read(&dist).unwrap();
        let original = Manifest::parse(text).unwrap();
        assert_eq!(
            manifest,
            Manifest {
                build: crate::manifest::BuildRule::Prebuilt("abc.wasm".into()),
                ..original
            }
        );
        assert_eq!(dist.read(Path::new("abc.wasm"), 9).unwrap(), b"wasm");
        assert_eq!(dist.read(Path::new("data/inner"), 9).unwrap(), b"text");
        let names = |path: &str| {
            let entries = fs::read_dir(tree.path().join(path)).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name());
            let mut names: Vec<String> = names.map(|n| n.into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names("env/dist"), ["abc.wasm", "data", "orwd.toml"]);
        assert_eq!(names("env"), ["data", "dist", "orwd.toml", "src"]);
    }

    #[test]
    fn what_orwd_did_not_write_is_not_replaced() {
        let tree = Folder::with(&[
            ("env/orwd.toml", "name = 'abc'"),
            ("env/dist/thesis.tex", "years of work"),
            ("home/orwd.toml", HEADER),
        ]);
        let refused = packaged(&tree).unwrap_err();
        assert!(refused.contains("not made by `orwd build`"), "{refused}");
        // Nor what a link leads to.
        fs::rename(tree.path().join("env/dist"), tree.path().join("env/mine")).unwrap();
        symlink("../home", tree.path().join("env/dist")).unwrap();
        assert!(packaged(&tree).is_err());
        assert!(tree.path().join("home/orwd.toml").exists());
    }

    #[test]
    fn data_that_is_the_folder_itself_is_not_packaged() {
        let tree = Folder::with(&[("env/orwd.toml", "name = 'abc'\ndata = '.'")]);
        let refused = packaged(&tree).unwrap_err();
        assert!(refused.contains("folder of its own"), "{refused}");
    }
}
