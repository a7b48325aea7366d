//! The module tree of a crate, which resolves paths to the files that define
//! them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::source::{Import, Module, Scope};

/// All modules of a crate.
#[derive(Debug)]
pub(super) struct Tree {
    files: Vec<PathBuf>,
    /// The first one is the crate itself.
    modules: Vec<Node>,
    /// The modules that define exported macros.
    macros: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Node {
    /// Index in `Tree::files`.
    file: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    scope: Scope,
}

/// One file names items that another one defines.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The first line that names one.
    pub(super) line: usize,
    /// The paths as written.
    pub(super) paths: BTreeSet<String>,
}

/// The target of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Module(usize),
    /// An item that this module defines.
    Item(usize),
}

/// The names in the current lookup, which ends imports in a circle.
type Pending = HashSet<(usize, String)>;

impl Tree {
    /// Reads a crate, starting at its root file.
    pub(super) fn read(folder: &Path, root: &Path) -> Result<Self, String> {
        Self::from_root(root, &mut |file| {
            std::fs::read_to_string(folder.join(file)).ok()
        })
    }

    fn from_root(
        root: &Path,
        read: &mut dyn FnMut(&Path) -> Option<String>,
    ) -> Result<Self, String> {
        let mut tree = Self {
            files: Vec::new(),
            modules: Vec::new(),
            macros: BTreeMap::new(),
        };
        let text = read(root).ok_or_else(|| format!("cannot read {}", root.display()))?;
        let scope = parse(root, &text)?;
        tree.files.push(root.to_owned());
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        tree.add(None, 0, &folder, scope, read)?;
        Ok(tree)
    }

    /// Adds a module and those that it declares; `folder` is where their files
    /// are.
    fn add(
        &mut self,
        parent: Option<usize>,
        file: usize,
        folder: &Path,
        mut scope: Scope,
        read: &mut dyn FnMut(&Path) -> Option<String>,
    ) -> Result<usize, String> {
        let declared = std::mem::take(&mut scope.modules);
        let index = self.modules.len();
        let macros = std::mem::take(&mut scope.exported_macros);
        self.macros
            .extend(macros.into_iter().map(|name| (name, index)));
        self.modules.push(Node {
            file,
            parent,
            children: BTreeMap::new(),
            scope,
        });
        for Module { name, path, inline } in declared {
            let below = folder.join(&name);
            let child = if let Some(scope) = inline {
                self.add(Some(index), file, &below, scope, read)?
            } else {
                let beside = self
                    .files
                    .get(file)
                    .and_then(|file| file.parent())
                    .unwrap_or(Path::new(""));
                let candidates = match path {
                    Some(path) => vec![beside.join(path)],
                    None => vec![below.with_extension("rs"), below.join("mod.rs")],
                };
                let Some((path, text)) = candidates
                    .into_iter()
                    .find_map(|path| read(&path).map(|text| (path, text)))
                else {
                    // Generated at build time, or behind a condition.
                    continue;
                };
                let scope = parse(&path, &text)?;
                self.files.push(path);
                self.add(Some(index), self.files.len() - 1, &below, scope, read)?
            };
            if let Some(node) = self.modules.get_mut(index) {
                node.children.insert(name, child);
            }
        }
        Ok(index)
    }

    /// Returns the path of a file by its index.
    pub(super) fn file(&self, index: usize) -> &Path {
        self.files
            .get(index)
            .map_or(Path::new(""), PathBuf::as_path)
    }

    /// Returns each pair of different files once.
    pub(super) fn edges(&self) -> Vec<Edge> {
        let mut edges: BTreeMap<(usize, usize), Edge> = BTreeMap::new();
        for (index, node) in self.modules.iter().enumerate() {
            let mut add_edge = |meaning: Option<Meaning>, path: String, line: usize| {
                let Some(Meaning::Item(module)) = meaning else {
                    return;
                };
                let Some(to) = self.modules.get(module).map(|module| module.file) else {
                    return;
                };
                if to == node.file {
                    return;
                }
                let edge = edges.entry((node.file, to)).or_insert_with(|| Edge {
                    from: node.file,
                    to,
                    line,
                    paths: BTreeSet::new(),
                });
                edge.line = edge.line.min(line);
                edge.paths.insert(path);
            };
            for Import { path, name, line } in &node.scope.imports {
                add_edge(self.resolve(index, path), path.join("::"), *line);
                if name.is_none() {
                    for (name, line) in self.glob_names(index, path) {
                        add_edge(
                            self.find(index, &name, true, &mut Pending::new()),
                            name,
                            line,
                        );
                    }
                }
            }
            for mention in &node.scope.paths {
                add_edge(
                    self.resolve(index, &mention.path),
                    mention.path.join("::"),
                    mention.line,
                );
            }
        }
        let mut edges: Vec<Edge> = edges.into_values().collect();
        edges.sort_by_cached_key(|edge| (self.file(edge.from).to_owned(), edge.line, edge.to));
        edges
    }

    /// Returns the names in a module that only this glob import can define.
    fn glob_names(&self, index: usize, path: &[String]) -> Vec<(String, usize)> {
        let Some(node) = self.modules.get(index) else {
            return Vec::new();
        };
        let Some(Meaning::Module(from)) = self.resolve(index, path) else {
            return Vec::new();
        };
        let own: BTreeSet<&str> = node
            .scope
            .imports
            .iter()
            .filter_map(|import| import.name.as_deref())
            .chain(node.scope.items.iter().map(String::as_str))
            .collect();
        node.scope
            .names
            .iter()
            .filter(|(name, _)| !own.contains(name.as_str()))
            .filter(|(name, _)| self.find(from, name, true, &mut Pending::new()).is_some())
            .map(|(name, line)| (name.clone(), *line))
            .collect()
    }

    /// Resolves a path that is written in a module; `None` for other crates.
    fn resolve(&self, from: usize, path: &[String]) -> Option<Meaning> {
        self.resolve_pending(from, path, &mut Pending::new())
    }

    fn resolve_pending(
        &self,
        from: usize,
        path: &[String],
        pending: &mut Pending,
    ) -> Option<Meaning> {
        let (first, mut rest) = path.split_first()?;
        let mut rooted = true;
        let mut meaning = match first.as_str() {
            "crate" => Meaning::Module(0),
            "self" => Meaning::Module(from),
            "super" => Meaning::Module(self.modules.get(from)?.parent?),
            name => {
                rooted = false;
                self.find(from, name, rest.is_empty(), pending)?
            }
        };
        while let Some((segment, after)) = rest.split_first() {
            let Meaning::Module(module) = meaning else {
                // An associated item or a variant.
                break;
            };
            meaning = if segment == "super" {
                Meaning::Module(self.modules.get(module)?.parent?)
            } else {
                match self.find(module, segment, after.is_empty(), pending) {
                    Some(meaning) => meaning,
                    // Probably generated by a macro.
                    None if rooted => Meaning::Item(module),
                    None => return None,
                }
            };
            rest = after;
        }
        Some(meaning)
    }

    /// Finds a name in a module. A module and a function can share a name:
    /// `last` prefers what is no module.
    fn find(
        &self,
        module: usize,
        name: &str,
        last: bool,
        pending: &mut Pending,
    ) -> Option<Meaning> {
        let node = self.modules.get(module)?;
        let child = node.children.get(name).map(|child| Meaning::Module(*child));
        if !last && child.is_some() {
            return child;
        }
        if node.scope.items.contains(name) {
            return Some(Meaning::Item(module));
        }
        let key = (module, name.to_owned());
        if !pending.insert(key.clone()) {
            return child;
        }
        let named = node
            .scope
            .imports
            .iter()
            .filter(|import| import.name.as_deref() == Some(name))
            .find_map(|import| self.resolve_pending(module, &import.path, pending));
        let found = named.or(child).or_else(|| {
            node.scope
                .imports
                .iter()
                .filter(|import| import.name.is_none())
                .find_map(
                    |import| match self.resolve_pending(module, &import.path, pending)? {
                        Meaning::Module(from) if from != module => {
                            self.find(from, name, last, pending)
                        }
                        Meaning::Module(_) | Meaning::Item(_) => None,
                    },
                )
        });
        pending.remove(&key);
        let exported = || match module {
            0 => self.macros.get(name).map(|module| Meaning::Item(*module)),
            _ => None,
        };
        found.or_else(exported)
    }

    /// Builds a crate from texts; the first one is its root.
    #[cfg(test)]
    pub(super) fn of(texts: &[(&str, &str)]) -> Self {
        Self::from_root(Path::new(texts[0].0), &mut |file| {
            texts
                .iter()
                .find(|(name, _)| Path::new(name) == file)
                .map(|(_, text)| (*text).to_owned())
        })
        .unwrap()
    }
}

fn parse(file: &Path, text: &str) -> Result<Scope, String> {
    Scope::read(text).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[(&str, &str)], expected: &[&str]) {
        let tree = Tree::of(texts);
        let edges: Vec<String> = tree
            .edges()
            .iter()
            .map(|edge| {
                format!(
                    "{} -> {}",
                    tree.file(edge.from).display(),
                    tree.file(edge.to).display()
                )
            })
            .collect();
        assert_eq!(edges, expected);
    }

    #[test]
    fn an_edge_leads_through_re_exports_to_the_definition() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                (
                    "a/mod.rs",
                    "mod leaf; pub use leaf::Leaf; pub use self::leaf::work as job;",
                ),
                ("a/leaf.rs", "pub struct Leaf; pub fn work() {}"),
                ("b.rs", "use crate::a::{self, Leaf}; fn f() { a::job() }"),
            ],
            &["a/mod.rs -> a/leaf.rs", "b.rs -> a/leaf.rs"],
        );
    }

    #[test]
    fn a_parent_with_code_is_defined_where_it_is() {
        check(
            &[
                ("lib.rs", "mod a;"),
                ("a.rs", "mod child; struct A; fn f() { child::g() }"),
                (
                    "a/child.rs",
                    "use super::A; pub fn g() { super::super::a::f() }",
                ),
            ],
            &["a/child.rs -> a.rs", "a.rs -> a/child.rs"],
        );
    }

    #[test]
    fn glob_imports_bring_the_names_that_are_used() {
        check(
            &[
                ("lib.rs", "mod a; mod b; mod c;"),
                ("a.rs", "pub use crate::b::*;"),
                ("b.rs", "pub struct B; pub struct Unused;"),
                (
                    "c.rs",
                    "use crate::a::*; fn f(_: B, it: Other) { it.Unused }",
                ),
            ],
            &["c.rs -> b.rs"],
        );
    }

    #[test]
    fn an_exported_macro_is_an_item_of_the_root() {
        check(
            &[
                ("lib.rs", "mod a; mod b; a::f();"),
                (
                    "a.rs",
                    "#[macro_export] macro_rules! m { () => {} } pub fn f() {}",
                ),
                ("b.rs", "crate::m!();"),
            ],
            &["b.rs -> a.rs", "lib.rs -> a.rs"],
        );
    }

    #[test]
    fn imports_in_a_circle_end() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "pub use crate::b::X; pub use crate::b::*;"),
                ("b.rs", "pub use crate::a::X; pub use crate::a::*;"),
            ],
            &["a.rs -> b.rs", "b.rs -> a.rs"],
        );
    }

    #[test]
    fn other_crates_and_inline_modules_make_no_edges() {
        check(
            &[(
                "lib.rs",
                "use std::mem; mod a { pub struct A; } use a::A; use tokio::a::A as B;",
            )],
            &[],
        );
    }
}
