//! The commands `jq` and `yq`, in place of the evaluator's.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bashkit::{
    Builtin, BuiltinContext as Context, ExecResult, async_trait, normalize_path, vfs_join,
};

use crate::guard::Guard;
use crate::jq::{self, Arguments, Files, Outcome, Refusal};
use crate::yaml;

/// The command `jq`.
pub(crate) struct Jq(pub(crate) Arc<Guard>);

/// The command `yq`: a program of `jq` on YAML.
pub(crate) struct Yq(pub(crate) Arc<Guard>);

/// Reads a file of a command line, as text.
async fn read(ctx: &Context<'_>, name: &str) -> Result<String, String> {
    let joined = match Path::new(name) {
        path if path.is_absolute() => path.to_owned(),
        path => vfs_join(ctx.cwd, path),
    };
    match ctx.fs.read_file(&normalize_path(&joined)).await {
        Ok(content) => Ok(text(content)),
        Err(error) => {
            let error = error.to_string();
            Err(match error.to_lowercase() {
                lower if lower.contains("not found") => "No such file or directory".to_owned(),
                lower if lower.contains("is a directory") => "Is a directory".to_owned(),
                _ => error,
            })
        }
    }
}

async fn read_all(ctx: &Context<'_>, names: Vec<String>) -> Files {
    let mut files = HashMap::new();
    for name in names {
        let text = read(ctx, &name).await;
        files.insert(name, text);
    }
    files
}

fn text(content: Vec<u8>) -> String {
    match String::from_utf8(content) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Returns the variables of the shell, which the program finds as its environment.
fn environment(ctx: &Context<'_>) -> Vec<(String, String)> {
    let all = ctx.variables.iter().chain(ctx.env);
    let all: std::collections::BTreeMap<_, _> = all.collect();
    let all = all.into_iter();
    all.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn finished(outcome: Outcome) -> ExecResult {
    ExecResult {
        stdout: outcome.stdout.into(),
        stderr: outcome.stderr.into(),
        exit_code: outcome.code,
        ..ExecResult::default()
    }
}

#[async_trait]
impl Builtin for Jq {
    async fn execute(&self, ctx: Context<'_>) -> bashkit::Result<ExecResult> {
        let names = match Arguments::parse(ctx.args) {
            Ok(arguments) => arguments.all_files(),
            Err(Refusal::Help(text)) => return Ok(ExecResult::ok(text)),
            Err(Refusal::Usage(text)) => return Ok(ExecResult::err(text, 2)),
        };
        let files = read_all(&ctx, names).await;
        let env = environment(&ctx);
        let stdin = ctx.stdin_text_lossy().unwrap_or_default();
        // Values cannot wait for files: they belong to one thread.
        let outcome = match Arguments::parse(ctx.args) {
            Ok(arguments) => jq::run(arguments, &files, &stdin, &env, self.0.allowance()),
            Err(_) => Outcome::default(),
        };
        Ok(finished(outcome))
    }
}

#[async_trait]
impl Builtin for Yq {
    async fn execute(&self, ctx: Context<'_>) -> bashkit::Result<ExecResult> {
        let request = match yaml::Request::parse(ctx.args) {
            Ok(request) => request,
            Err(message) => return Ok(ExecResult::err(format!("yq: {message}\n"), 2)),
        };
        let mut inputs = Vec::new();
        for name in &request.files {
            match read(&ctx, name).await {
                Ok(text) => inputs.push((name.clone(), text)),
                Err(reason) => {
                    return Ok(ExecResult::err(format!("yq: {name}: {reason}\n"), 2));
                }
            }
        }
        if request.files.is_empty() && !request.is_null {
            let stdin = ctx.stdin_text_lossy().unwrap_or_default().into_owned();
            inputs.push(("-".to_owned(), stdin));
        }
        let env = environment(&ctx);
        let outcome = yaml::run(&request, &inputs, &env, || self.0.allowance());
        if let (true, Some(name)) = (
            request.is_in_place && outcome.code == 0,
            request.files.first(),
        ) {
            let path = normalize_path(&vfs_join(ctx.cwd, Path::new(name)));
            ctx.fs.write_file(&path, outcome.stdout.as_bytes()).await?;
            return Ok(ExecResult::err(outcome.stderr, 0));
        }
        Ok(finished(outcome))
    }
}
