//! `orwd completions`: prints a completion script for a shell.

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

use crate::console::{CommandError, CommandStatus, terminal};

/// Print a completion script for a shell
///
/// bash reads it from ~/.local/share/bash-completion/completions/orwd, zsh from
/// the file _orwd in a directory of $fpath, and fish from
/// ~/.config/fish/completions/orwd.fish.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  source <(orwd completions bash)
  orwd completions zsh > ~/.zfunc/_orwd
  orwd completions fish > ~/.config/fish/completions/orwd.fish")]
pub(crate) struct Completions {
    /// Shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: CompletionShell,
}

/// Shells with completions.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompletionShell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
}

impl Completions {
    /// Prints the script for this command line.
    pub(crate) fn run(self, command: &Command) -> Result<CommandStatus, CommandError> {
        let shell = match self.shell {
            CompletionShell::Bash => Shell::Bash,
            CompletionShell::Zsh => Shell::Zsh,
            CompletionShell::Fish => Shell::Fish,
        };
        terminal::print(&script(shell, command)?)?;
        Ok(CommandStatus::Success)
    }
}

/// Returns the script, without the hidden commands.
fn script(shell: Shell, command: &Command) -> Result<String, CommandError> {
    let name = command.get_name().to_owned();
    let mut visible = Command::new(name.clone())
        .args(command.get_arguments().cloned())
        .subcommands(
            command
                .get_subcommands()
                .filter(|command| !command.is_hide_set())
                .cloned(),
        );
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut visible, name, &mut bytes);
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_have_the_commands_and_flags_but_nothing_hidden() {
        let command = Command::new("orwd")
            .subcommand(Command::new("shown").arg(clap::Arg::new("x").long("flag-of-shown")))
            .subcommand(Command::new("__secret").hide(true));
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell, &command).unwrap();
            assert!(script.contains("shown"), "{shell}: {script}");
            assert!(script.contains("flag-of-shown"), "{shell}: {script}");
            assert!(!script.contains("__secret"), "{shell}: {script}");
        }
    }
}
