//! Discovery of environments, also of hostile authors.

use std::fs;
use std::os::unix::fs::symlink;

use orwd_config::{DataMapping, NetworkFlags};

use super::*;
use crate::testing::Folder;

fn config() -> Paths {
    Paths {
        data: Vec::new(),
        writable_data: false,
        network: NetworkFlags::default(),
        cache: PathBuf::from("/nowhere"),
        wheel_index: None,
        build: BuildMode::Never,
        created_folders: None,
        private: Vec::new(),
    }
}

fn mapped(name: Option<&str>, path: PathBuf) -> DataMapping {
    DataMapping {
        name: name.map(|name| EnvName::new(name).unwrap()),
        path,
    }
}

/// Manifest of an environment that needs no build.
fn prebuilt(name: &str, more: &str) -> String {
    format!("name = '{name}'\n{more}\nbuild.component = 'x.wasm'\n")
}

fn discovered(folder: &Folder, paths: &[&str], config: &Paths) -> Vec<String> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
    let limits = AdmissionLimits::default();
    let discovered = discover(&paths, config, &[], &limits, &|_| {}).unwrap();
    let sources = discovered.sources.iter().map(|source| {
        let mut line = format!("{} = {}", source.name, source.component.path().display());
        if let Some(data) = &source.data {
            let mode = source.mode.as_str();
            line.push_str(&format!(" with {} {mode}", data.path().display()));
        }
        line
    });
    let problems = discovered.problems.iter().map(SourceProblem::to_string);
    sources
        .chain(problems)
        .map(|line| line.replace(&*folder.path().to_string_lossy(), "F"))
        .collect()
}

#[test]
fn finds_files_folders_and_folders_of_those() {
    let folder = Folder::with(&[
        ("one/orwd.toml", &prebuilt("one", "")),
        ("one/x.wasm", "w"),
        ("many/b/orwd.toml", &prebuilt("bee", "")),
        ("many/b/x.wasm", "w"),
        ("many/a-file.wasm", "w"),
        ("many/c/deeper/orwd.toml", &prebuilt("deep", "")),
        ("many/notes.txt", ""),
        ("My File.v2.wasm", "w"),
    ]);
    assert_eq!(
        discovered(&folder, &["one", "many", "My File.v2.wasm"], &config()),
        [
            "one = F/one/x.wasm",
            "a-file = F/many/a-file.wasm",
            "bee = F/many/b/x.wasm",
            "my-file-v2 = F/My File.v2.wasm",
        ]
    );
}

#[test]
fn problems_do_not_affect_other_environments() {
    let folder = Folder::with(&[
        ("good/orwd.toml", &prebuilt("good", "")),
        ("good/x.wasm", "w"),
        ("again/orwd.toml", &prebuilt("GOOD", "")),
        ("again/x.wasm", "w"),
        ("typo/orwd.toml", "nmae = 'x'"),
        ("unbuilt/orwd.toml", &prebuilt("unbuilt", "")),
        ("nodata/orwd.toml", &prebuilt("nodata", "data = 'gone'")),
        ("empty/readme", ""),
        ("ab.wasm", "w"),
    ]);
    let paths = [
        "gone",
        "good",
        "again",
        "typo",
        "unbuilt",
        "nodata",
        "empty",
        "ab.wasm",
        "good/orwd.toml",
    ];
    assert_eq!(
        discovered(&folder, &paths, &config()),
        [
            "good = F/good/x.wasm",
            "F/gone: No such file or directory (os error 2)",
            "F/typo/orwd.toml:1:1: unknown key `nmae`; did you mean `name`?",
            "F/empty: no environment found; expected orwd.toml, folders with orwd.toml, or .wasm files",
            "F/ab.wasm: invalid environment name \"ab\": expected 3 to 64 letters, digits, '-' or '_'; rename the file",
            "F/good/orwd.toml: this is a manifest; pass its folder",
            "F/again: duplicate name \"good\", also used by F/good",
            "F/nodata: the data directory F/nodata/gone cannot be used: No such file or directory (os error 2)",
            "F/unbuilt: there is no component at F/unbuilt/x.wasm; check `build.component` in orwd.toml",
        ]
    );
}

#[test]
fn data_is_shared_only_if_manifest_and_operator_permit_it() {
    let folder = Folder::with(&[
        (
            "asks/orwd.toml",
            &prebuilt(
                "asks",
                "data = 'd'\ndata-mode = 'shared'\nshared.publish = ['r']",
            ),
        ),
        ("asks/x.wasm", "w"),
        ("asks/d/file", ""),
        ("not/orwd.toml", &prebuilt("not", "data = 'd'")),
        ("not/x.wasm", "w"),
        ("not/d/file", ""),
        ("other/file", ""),
        ("plain.wasm", "w"),
    ]);
    let allowed = |writable_data| Paths {
        writable_data,
        ..config()
    };
    let given = Paths {
        data: vec![mapped(None, folder.path().join("other"))],
        ..allowed(true)
    };
    for (path, config, expected) in [
        (
            "asks",
            allowed(false),
            "asks = F/asks/x.wasm with F/asks/d session",
        ),
        (
            "asks",
            allowed(true),
            "asks = F/asks/x.wasm with F/asks/d shared",
        ),
        (
            "not",
            allowed(true),
            "not = F/not/x.wasm with F/not/d session",
        ),
        (
            "asks",
            given.clone(),
            "asks = F/asks/x.wasm with F/other shared",
        ),
        (
            "plain.wasm",
            given,
            "plain = F/plain.wasm with F/other session",
        ),
    ] {
        assert_eq!(discovered(&folder, &[path], &config), [expected]);
    }
}

#[test]
fn data_by_flag_is_for_the_only_environment_or_for_the_named_one() {
    let folder = Folder::with(&[
        ("one.wasm", "w"),
        ("two.wasm", "w"),
        ("data/file", ""),
        ("else/file", ""),
    ]);
    let at = |path: &str| folder.path().join(path);
    let check = |data: Vec<DataMapping>| {
        let config = Paths { data, ..config() };
        let limits = AdmissionLimits::default();
        let paths = [at("one.wasm"), at("two.wasm")];
        discover(&paths, &config, &[], &limits, &|_| {}).map(|found| {
            let path = |source: &EnvironmentSource| {
                let data = source.data.as_ref()?.path().strip_prefix(folder.path());
                Some(data.unwrap().to_owned())
            };
            found.sources.iter().map(path).collect::<Vec<_>>()
        })
    };
    let (data, other) = (at("data"), at("else"));
    assert_eq!(
        check(vec![mapped(None, data.clone())]),
        Err(DataFlagError::Several(2))
    );
    let two = mapped(Some("TWO"), data.clone());
    assert_eq!(
        check(vec![two.clone()]),
        Ok(vec![None, Some("data".into())])
    );
    let one = mapped(Some("one"), other.clone());
    assert_eq!(
        check(vec![two.clone(), one]),
        Ok(vec![Some("else".into()), Some("data".into())])
    );
    assert_eq!(
        check(vec![two.clone(), mapped(Some("two"), other)]),
        Err(DataFlagError::Twice("two".into()))
    );
    assert_eq!(
        check(vec![mapped(Some("three"), data)]),
        Err(DataFlagError::Unknown("three".into()))
    );
}

/// Environments whose `data` is not theirs, and the part of the refusal.
#[test]
fn data_that_leads_out_of_the_authors_folder_is_refused() {
    let folder = Folder::with(&[("home/.ssh/id_ed25519", "OPERATOR"), ("w.wasm", "w")]);
    let at = |path: &str| folder.path().join(path);
    let ssh = at("home/.ssh");
    for (name, data) in [
        ("absolute-path", ssh.to_str().unwrap()),
        ("parent-folder", "../home"),
        ("parents-in-between", "a/../../home"),
        ("link-to-home", "data"),
        ("link-within-path", "data/.ssh"),
        ("link-to-link", "again"),
        ("magic-link", "proc/root"),
    ] {
        let text = prebuilt(name, &format!("data = {data:?}"));
        folder.write(&format!("{name}/orwd.toml"), &text);
        folder.write(&format!("{name}/x.wasm"), "w");
        symlink(at("home"), at(name).join("data")).unwrap();
        symlink("data", at(name).join("again")).unwrap();
        symlink("/proc/self", at(name).join("proc")).unwrap();
        let found = discovered(&folder, &[name], &config());
        let [refused] = found.as_slice() else {
            panic!("one line expected: {found:?}");
        };
        let parts = ["leads out", "in this folder"];
        assert!(parts.iter().any(|part| refused.contains(part)), "{refused}");
        // The operator may map the very same directory.
        let config = Paths {
            data: vec![mapped(Some(name), ssh.clone())],
            ..config()
        };
        let found = discovered(&folder, &[name], &config);
        if !found[0].contains("in this folder") {
            let expected = format!("{name} = F/{name}/x.wasm with F/home/.ssh session");
            assert_eq!(found, [expected]);
        }
    }
}

#[test]
fn the_hosts_own_places_are_no_data_of_an_author_or_of_the_operator() {
    let folder = Folder::with(&[
        ("env/orwd.toml", &prebuilt("env", "data = 'data'")),
        ("env/x.wasm", "w"),
        ("env/data/state/receipts.key", "k"),
        ("cache/key", "k"),
        ("keys/keys.toml", "k"),
    ]);
    let at = |path: &str| folder.path().join(path);
    for (private, data) in [
        ("env/data/state", None),
        ("env/data", None),
        ("env", None),
        ("env/data/not/yet", None),
        ("cache", Some("cache")),
        ("cache/key", Some("cache")),
        ("keys/keys.toml", Some("keys")),
    ] {
        let config = Paths {
            private: vec![at(private)],
            data: data
                .map(|data| mapped(None, at(data)))
                .into_iter()
                .collect(),
            ..config()
        };
        let found = discovered(&folder, &["env"], &config);
        assert!(
            found[0].contains("state, cache or keys"),
            "{private} {data:?}: {found:?}"
        );
    }
}

#[test]
fn manifests_and_components_that_are_no_files_are_refused_at_once() {
    let folder = Folder::with(&[("many/ok-one.wasm", "w"), ("secret.wasm", "s")]);
    let at = |path: &str| folder.path().join(path);
    for name in ["device", "pipe", "huge", "outside"] {
        fs::create_dir(at(name)).unwrap();
    }
    symlink("/dev/zero", at("device/orwd.toml")).unwrap();
    folder.pipe("pipe/orwd.toml");
    let huge = fs::File::create(at("huge/orwd.toml")).unwrap();
    huge.set_len(1 << 40).unwrap();
    folder.write("real.toml", &prebuilt("real", ""));
    symlink("../real.toml", at("outside/orwd.toml")).unwrap();
    for (path, part) in [
        ("device", "leads out"),
        ("pipe", "not a regular file"),
        ("huge", "too large"),
        ("outside", "leads out"),
    ] {
        let found = discovered(&folder, &[path], &config());
        assert!(found[0].contains(part), "{path}: {found:?}");
    }
    // In a folder of environments, a link out of it is another's file.
    symlink("../secret.wasm", at("many/evil.wasm")).unwrap();
    folder.write("other/orwd.toml", &prebuilt("other", ""));
    symlink("../other", at("many/other")).unwrap();
    let found = discovered(&folder, &["many"], &config());
    assert_eq!(found[0], "ok-one = F/many/ok-one.wasm");
    for (line, path) in found[1..].iter().zip(["F/many/evil.wasm", "F/many/other"]) {
        assert!(line.contains(path) && line.contains("leads out"), "{line}");
    }
    assert_eq!(found.len(), 3);
}

/// A build command that leaves a trace.
fn with_command(tree: &Folder, name: &str) {
    let manifest = format!(
        "name = '{name}'\n[build]\ncommand = ['touch', 'ran', 'x.wasm']\ncomponent = 'x.wasm'\n"
    );
    tree.write(&format!("{name}/orwd.toml"), &manifest);
}

#[test]
fn only_folders_of_the_user_are_built_unasked() {
    for (build, created, in_own, ran) in [
        (BuildMode::Never, true, true, false),
        (BuildMode::Own, false, false, false),
        (BuildMode::Own, true, false, true),
        (BuildMode::Own, false, true, true),
        (BuildMode::All, false, false, true),
    ] {
        let tree = Folder::with(&[]);
        with_command(&tree, "stranger");
        let path = tree.path().join("stranger");
        let noted = tree.path().join("config/created");
        if created {
            build::note_created(&noted, &path).unwrap();
        }
        let config = Paths {
            build,
            created_folders: Some(noted),
            ..config()
        };
        let own = if in_own {
            vec![tree.path().to_owned()]
        } else {
            Vec::new()
        };
        let limits = AdmissionLimits::default();
        let found = discover(std::slice::from_ref(&path), &config, &own, &limits, &|_| {}).unwrap();
        assert_eq!(
            path.join("ran").exists(),
            ran,
            "{build:?} {created} {in_own}"
        );
        assert_eq!(found.sources.len(), usize::from(ran));
        if !ran {
            let refused = found.problems[0].to_string();
            assert!(refused.contains("orwd build"), "{refused}");
        }
    }
}

#[test]
fn a_folder_that_was_not_created_here_serves_its_last_build_and_says_so() {
    let tree = Folder::with(&[("stranger/x.wasm", "w")]);
    with_command(&tree, "stranger");
    let path = tree.path().join("stranger");
    let config = Paths {
        build: BuildMode::Own,
        ..config()
    };
    let said = std::cell::RefCell::new(Vec::new());
    let progress = |text: &str| said.borrow_mut().push(text.to_owned());
    let limits = AdmissionLimits::default();
    let found = discover(
        std::slice::from_ref(&path),
        &config,
        &[],
        &limits,
        &progress,
    )
    .unwrap();
    assert_eq!(found.sources.len(), 1);
    assert!(!path.join("ran").exists());
    let said = said.take();
    assert!(
        said[0].contains("last build") && said[0].contains("--build"),
        "{said:?}"
    );
}
