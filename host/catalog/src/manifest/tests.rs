//! Whole manifests, and the errors of wrong ones.

use orwd_model::{DataMode, LimitSet as _, OnConflict, PublishRules, SessionLimits};

use super::table::MAX_LIST;
use super::*;

#[test]
fn a_whole_manifest() {
    let manifest = Manifest::parse(
        r#"
        name = "Gsm8k"
        description = "Maths"
        version = "1.2.0"
        data = "data"
        data-mode = "shared"
        secrets = ["B", "A"]
        clock = "real"
        seed = 0xff

        [build]
        command = ["make", "x"]
        component = "out/x.wasm"

        [shared]
        publish = ["results/", "logs/runs"]
        on-conflict = "replace"

        [limits]
        files = 12
        memory = "64MiB"
        result-limit = 2048
        call-cpu = "500ms"
        "#,
    )
    .unwrap();
    let mut limits = LimitOverrides::default();
    for (name, amount) in [
        ("files", "12"),
        ("memory", "64MiB"),
        ("result-limit", "2KiB"),
        ("call-cpu", "500ms"),
    ] {
        let limit = SessionLimits::spec(name).unwrap();
        limits.set(limit, limit.parse(amount).unwrap());
    }
    let (expected, _) = limits.apply(SessionLimits::default());
    let (got, capped) = manifest.limits.apply(SessionLimits::default());
    assert_eq!((got, capped.len()), (expected, 0));
    assert_eq!(manifest.name.as_str(), "gsm8k");
    assert_eq!(manifest.description.as_deref(), Some("Maths"));
    assert_eq!(manifest.version.as_deref(), Some("1.2.0"));
    assert_eq!(manifest.data, Some(PathBuf::from("data")));
    assert_eq!(
        manifest.mode,
        DataMode::Shared(PublishRules {
            folders: vec!["results".to_owned(), "logs/runs".to_owned()],
            on_conflict: OnConflict::Replace,
        })
    );
    assert_eq!(manifest.secrets, ["B", "A"]);
    assert_eq!(manifest.clock, ClockMode::Real);
    assert_eq!(manifest.seed, Some(Seed::new(255)));
    assert_eq!(
        manifest.build,
        BuildRule::Command {
            command: vec!["make".to_owned(), "x".to_owned()],
            component: PathBuf::from("out/x.wasm"),
        }
    );
}

#[test]
fn lists_are_bounded() {
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("'n{number}'")).collect();
        names.join(",")
    };
    for list in ["secrets", "data-mode = 'shared'\nshared.publish"] {
        let parsed = |count| {
            let text = format!("name = 'abc'\n{list} = [{}]", names(count));
            Manifest::parse(&text).map_err(|error| error.to_string())
        };
        assert!(parsed(MAX_LIST).is_ok(), "{list}");
        let refused = parsed(MAX_LIST + 1).unwrap_err();
        assert!(refused.contains("more than 256"), "{refused}");
    }
}

#[test]
fn a_name_suffices() {
    let manifest = Manifest::parse("name = 'abc'").unwrap();
    assert_eq!(manifest, Manifest::bare(EnvName::new("abc").unwrap()));
}

#[test]
fn errors_name_the_key_and_the_position() {
    for (text, expected) in [
        (
            "",
            "orwd.toml: `name` is missing; add name = \"…\", the name that clients use",
        ),
        (
            "nmae = 'abc'",
            "orwd.toml:1:1: unknown key `nmae`; did you mean `name`?",
        ),
        (
            "name = 'abc'\nfoo = 1",
            "orwd.toml:2:1: unknown key `foo`; expected `name`, `description`, `version`, `build`, `data`, `data-mode`, `shared`, `clock`, `seed`, `limits`, `secrets`, `network` or `toolsets`",
        ),
        (
            "name = 'abc'\n[limit]\nmemory = 1",
            "orwd.toml:2:2: unknown key `limit`; did you mean `limits`?",
        ),
        (
            "name = 'abc'\n[limits]\n  call_cpu = '1s'",
            "orwd.toml:3:3: unknown key `limits.call_cpu`; did you mean `limits.call-cpu`?",
        ),
        (
            "name = 'abc'\n[build]\ncomand = ['x']",
            "orwd.toml:3:1: unknown key `build.comand`; did you mean `build.command`?",
        ),
        (
            "name = 3",
            "orwd.toml:1:8: `name`: expected a string, found a number",
        ),
        (
            "name = 'ab'",
            "orwd.toml:1:8: `name`: invalid environment name \"ab\": expected 3 to 64 letters, digits, '-' or '_'",
        ),
        (
            "name = 'health'",
            "orwd.toml:1:8: `name`: \"health\" is a route of the protocol and cannot be the name of an environment",
        ),
        (
            "name = 'abc'\ndata = ''",
            "orwd.toml:2:8: `data`: expected the path of a directory",
        ),
        (
            "name = 'abc'\ndata = '/home/me/.ssh'",
            "orwd.toml:2:8: `data`: expected the path of a directory in this folder; the operator can map another one with --data NAME=DIR",
        ),
        (
            "name = 'abc'\ndata = 'a/../../b'",
            "orwd.toml:2:8: `data`: expected the path of a directory in this folder; the operator can map another one with --data NAME=DIR",
        ),
        (
            "name = 'abc'\nbuild.component = '../x.wasm'",
            "orwd.toml:2:19: `build.component`: expected the path of a file in this folder; copy the component into it",
        ),
        (
            "name = 'abc'\ndata-mode = 'rw'",
            "orwd.toml:2:13: `data-mode`: expected \"read-only\", \"session\" or \"shared\"",
        ),
        (
            "name = 'abc'\ndata-mode = 'shared'",
            "orwd.toml:2:13: `data-mode`: requires a table [shared] with the folders to publish, such as publish = [\"results/\"]",
        ),
        (
            "name = 'abc'\ndata-mode = 'read-only'\nshared.publish = ['a']",
            "orwd.toml:3:1: `shared` requires data-mode = \"shared\"",
        ),
        (
            "name = 'abc'\ndata-mode = 'shared'\nshared.publish = ['a/../b']",
            "orwd.toml:3:19: `shared.publish`: expected folders of the data directory, such as \"results/\"",
        ),
        (
            "name = 'abc'\ndata-mode = 'shared'\nshared.publish = []",
            "orwd.toml:3:18: `shared.publish` is empty; list the folders to publish, such as [\"results/\"]",
        ),
        (
            "name = 'abc'\ndata-mode = 'shared'\nshared.publish = ['a']\nshared.on-conflict = 'drop'",
            "orwd.toml:4:22: `shared.on-conflict`: expected \"keep\" or \"replace\"",
        ),
        (
            "name = 'abc'\nclock = 'slow'",
            "orwd.toml:2:9: `clock`: expected \"virtual\" or \"real\"",
        ),
        (
            "name = 'abc'\nseed = -1",
            "orwd.toml:2:8: `seed`: a seed is a whole number from 0 to 18446744073709551615, or the same as 0x and hex digits",
        ),
        (
            "name = 'abc'\nseed = 1.5",
            "orwd.toml:2:8: `seed`: expected a whole number, found a number",
        ),
        (
            "name = 'abc'\nlimits.open-files = '12'\nlimits.files = -1",
            "orwd.toml:3:16: `limits.files`: invalid count \"-1\": expected a whole number",
        ),
        (
            "name = 'abc'\nlimits = 1",
            "orwd.toml:2:10: `limits`: expected a table, found a number",
        ),
        (
            "name = 'abc'\nlimits.memory = true",
            "orwd.toml:2:17: `limits.memory`: expected a size such as \"64MiB\", found true or false",
        ),
        (
            "name = 'abc'\nlimits.memory = -1",
            "orwd.toml:2:17: `limits.memory`: invalid count \"-1\": expected a whole number",
        ),
        (
            "name = 'abc'\nlimits.memory = 1",
            "orwd.toml:2:17: `limits.memory`: 1B is out of range: expected 2MiB to 4GiB",
        ),
        (
            "name = 'abc'\nlimits.call-cpu = 5",
            "orwd.toml:2:19: `limits.call-cpu`: expected a time such as \"5s\", found a number",
        ),
        (
            "name = 'abc'\nlimits.call-cpu = '5'",
            "orwd.toml:2:19: `limits.call-cpu`: a time needs a unit: 5s for seconds, 5ms for milliseconds",
        ),
        (
            "name = 'abc'\nsecrets = 'KEY'",
            "orwd.toml:2:11: `secrets`: expected a list of strings, found a string",
        ),
        (
            "name = 'abc'\nsecrets = ['KEY', 1]",
            "orwd.toml:2:19: `secrets`: expected a list of strings, found a number",
        ),
        (
            "name = 'abc'\ntoolsets = ['codex', 'vim']",
            "orwd.toml:2:22: `toolsets`: unknown toolset; expected one of `backsearch`, `claude-code`, `cli`, `codex`, `gemini-cli`, `hermes`, `openclaw`, `web`",
        ),
        (
            "name = 'abc'\ntoolsets = ['codex', 'codex']",
            "orwd.toml:2:22: `toolsets`: \"codex\" occurs twice",
        ),
        (
            "name = 'abc'\n[network]\nallow = ['https://a.com', 'a.com']",
            "orwd.toml:3:27: `network.allow`: the URL does not begin with http:// or https://; expected a rule such as \"https://api.example.com\", \"https://*.example.com/search\" or \"GET,POST http://127.0.0.1:9009\"",
        ),
        (
            "name = 'abc'\n[network]\nalow = ['https://a.com']",
            "orwd.toml:3:1: unknown key `network.alow`; did you mean `network.allow`?",
        ),
        (
            "name = 'abc'\n[network]\nallow = ['https://a.com']\nsecrets-in-guest = 'yes'",
            "orwd.toml:4:20: `network.secrets-in-guest`: expected true or false, found a string",
        ),
        (
            "name = 'abc'\n[network]\nallow = ['https://a.com']\nretry = 'always'",
            "orwd.toml:4:9: `network.retry`: expected \"safe\", or no key",
        ),
        (
            "name = 'abc'\nnetwork.allow = []",
            "orwd.toml:2:17: `network.allow` is empty; list what the environment requests, such as [\"https://api.example.com\"]",
        ),
        (
            "name = 'abc'\nsecrets = ['KEY', 'KEY']",
            "orwd.toml:2:19: `secrets`: \"KEY\" occurs twice",
        ),
        (
            "name = 'abc'\nbuild.command = []\nbuild.component = 'x'",
            "orwd.toml:2:17: `build.command` is empty; list the program and its arguments, such as [\"make\", \"component\"]",
        ),
        (
            "name = 'abc'\nbuild.command = ['make']",
            "orwd.toml:2:17: `build.command` requires `build.component`, the file that it creates",
        ),
        ("name = 'abc'\nname = 'abd'", "orwd.toml:2:1: duplicate key"),
        (
            "name = abc",
            "orwd.toml:1:8: string values must be quoted, expected literal string",
        ),
    ] {
        let got = match Manifest::parse(text) {
            Ok(manifest) => format!("{manifest:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{text}");
    }
}
