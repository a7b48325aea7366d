//! Toolsets that clients request by name, with the tools that agents of that name
//! are trained with. An environment includes those that it offers:
//!
//! ```ignore
//! #[tools(toolsets(bash: BashTool, claude_code: ClaudeCode, codex: Codex))]
//! impl Workspace {}
//! ```
//!
//! and lists them in `orwd.toml`: `toolsets = ["claude-code", "codex"]`.

mod claude_code;
mod codex;
mod gemini_cli;
mod hermes;
mod openclaw;
mod workspace;

pub use claude_code::ClaudeCode;
pub use codex::Codex;
pub use gemini_cli::GeminiCli;
pub use hermes::Hermes;
pub use openclaw::OpenClaw;
