//! Commands of the evaluator that do not bound what they take from their input, each
//! behind a check of it.

use bashkit::{Bash, Builtin, BuiltinContext as Context, ExecOptions, ExecResult, async_trait};

use crate::guard::{meter, sums};
use crate::limits::ShellLimits;

/// Bytes of the output of `envsubst`.
const MAX_OUTPUT: usize = 4 << 20;

/// Divisors that `factor` tries.
const MAX_DIVISORS: f64 = 1e8;

/// Divisors that take as long as a step of the meter.
const DIVISORS_OF_A_STEP: f64 = 50.0;

/// A command behind a check.
pub(crate) struct Fenced {
    name: &'static str,
    check: Check,
    limits: ShellLimits,
}

type Check = fn(&Context<'_>, &str) -> Result<(), &'static str>;

/// Returns the commands.
pub(crate) fn commands(limits: &ShellLimits) -> [Fenced; 3] {
    let checks: [(&str, Check); 3] = [
        ("bc", is_shallow),
        ("envsubst", is_short),
        ("factor", are_small),
    ];
    checks.map(|(name, check)| Fenced {
        name,
        check,
        limits: *limits,
    })
}

fn is_shallow(ctx: &Context<'_>, input: &str) -> Result<(), &'static str> {
    // Without an input, the arguments are the program.
    sums::check(input)?;
    sums::check(&ctx.args.join(" "))
}

fn is_short(ctx: &Context<'_>, input: &str) -> Result<(), &'static str> {
    let longest = ctx.env.values().map(String::len).max().unwrap_or(0);
    let references = input.matches('$').count();
    match references
        .saturating_mul(longest)
        .saturating_add(input.len())
        > MAX_OUTPUT
    {
        true => Err("the output would be too long: export shorter values"),
        false => Ok(()),
    }
}

fn are_small(ctx: &Context<'_>, input: &str) -> Result<(), &'static str> {
    // It tries each divisor up to the square root.
    let words = ctx.args.iter().map(String::as_str);
    let numbers = words.chain(input.split_whitespace());
    let divisors: f64 = numbers
        .filter_map(|word| word.parse::<f64>().ok())
        .map(f64::sqrt)
        .sum();
    meter::charge((divisors / DIVISORS_OF_A_STEP) as u64);
    match divisors > MAX_DIVISORS {
        true => Err("the numbers are too large"),
        false => Ok(()),
    }
}

impl Fenced {
    /// Returns the name of the command.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

#[async_trait]
impl Builtin for Fenced {
    async fn execute(&self, ctx: Context<'_>) -> bashkit::Result<ExecResult> {
        let name = self.name;
        let input = ctx.stdin_text_lossy().unwrap_or_default();
        if let Err(reason) = (self.check)(&ctx, &input) {
            return Ok(ExecResult::err(format!("{name}: {reason}\n"), 1));
        }
        // The evaluator's command can only be reached in an evaluator of its own.
        let mut builder = Bash::builder().limits(self.limits.execution());
        for (name, value) in ctx.env {
            builder = builder.env(name, value);
        }
        let mut options = ExecOptions::new().positional(ctx.args.iter().cloned());
        if let Some(stdin) = ctx.stdin {
            options = options.stdin(stdin.clone());
        }
        let mut inner = builder.build();
        inner
            .exec_with_options(&format!("{name} \"$@\""), options)
            .await
    }
}
