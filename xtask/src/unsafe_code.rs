//! `unsafe` code stands in one file of the host.

use std::path::Path;

use crate::workspace::{Finding, Result, Workspace};

/// Loads code that this host has compiled, with the argument beside it.
const ALLOWED: &str = "host/engine/src/admission/component.rs";

/// Reports `unsafe` blocks, functions and implementations in product code of
/// the host outside [`ALLOWED`].
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in workspace.files("rs").filter(|file| is_product(file)) {
        let text = workspace.read(file)?;
        findings.extend(lines(&text).map(|line| Finding::new(file, line, "unsafe code")));
    }
    Ok(findings)
}

fn is_product(file: &Path) -> bool {
    let path = file.to_string_lossy();
    path.starts_with("host/") && path.contains("/src/") && path.ends_with(".rs") && path != ALLOWED
}

fn lines(text: &str) -> impl Iterator<Item = usize> {
    const MARKS: [&str; 4] = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
    let code = (1..).zip(text.lines());
    code.filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter(|(_, line)| MARKS.iter().any(|mark| line.contains(mark)))
        .map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_found_outside_comments() {
        let text = "// unsafe {\nlet x = unsafe { f() };\nunsafe fn g() {}\n";
        assert_eq!(lines(text).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn the_host_has_unsafe_code_in_one_file() {
        assert_eq!(check(&Workspace::open().unwrap()).unwrap(), []);
    }
}
