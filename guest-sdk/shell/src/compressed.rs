//! The command `zcat`, which the evaluator does not have.

use bashkit::{
    Builtin, BuiltinContext as Context, ExecResult, ExecutionPlan, SubCommand, async_trait,
};

/// The command: `gunzip -c`.
pub(crate) struct Zcat;

#[async_trait]
impl Builtin for Zcat {
    async fn execute(&self, _ctx: Context<'_>) -> bashkit::Result<ExecResult> {
        Ok(ExecResult::default())
    }

    async fn execution_plan(&self, ctx: &Context<'_>) -> bashkit::Result<Option<ExecutionPlan>> {
        let mut args = vec!["-c".to_owned()];
        args.extend(ctx.args.iter().cloned());
        let command = SubCommand {
            name: "gunzip".to_owned(),
            args,
            stdin: ctx.stdin.cloned(),
            assignments: Vec::new(),
        };
        Ok(Some(ExecutionPlan::Batch {
            commands: vec![command],
        }))
    }
}
