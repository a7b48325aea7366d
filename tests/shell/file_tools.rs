//! The tools of files, on the same tree as bash.

use serde_json::json;

use crate::support::{bash, output, playground, prints, text};

#[test]
fn files_are_written_read_edited_and_searched() {
    let session = playground();
    let call = |tool: &str, input| text(&session, tool, input);
    let content = "fn main() {\n    todo\n}\n";
    let wrote = call(
        "write_file",
        json!({"path": "src/main.rs", "content": content}),
    );
    assert_eq!(wrote, "wrote 23 bytes to src/main.rs");
    prints(&session, "cat src/main.rs", content, 0);
    let path = "/orwd_data/work/src/main.rs";
    let shown = call("read_file", json!({"path": path, "offset": 2, "limit": 1}));
    assert!(shown.starts_with("     2\t    todo\n"), "{shown}");
    let edit = json!({"path": path, "old_string": "todo", "new_string": "run();"});
    assert_eq!(call("edit_file", edit.clone()), format!("edited {path}"));
    assert!(call("edit_file", edit).starts_with("Error: "));
    let edits = json!([
        {"old_string": "run", "new_string": "walk"},
        {"old_string": "absent", "new_string": ""},
    ]);
    let refused = call("multi_edit", json!({"path": path, "edits": edits}));
    assert!(
        refused.contains("edit 2: old_string is not in the file"),
        "{refused}"
    );
    prints(&session, "grep -c run src/main.rs", "1\n", 0);
    // Each replacement sees the text of the one before.
    let edits = json!([
        {"old_string": "main", "new_string": "start"},
        {"old_string": "fn start", "new_string": "fn main"},
    ]);
    let edited = call("multi_edit", json!({"path": path, "edits": edits}));
    assert_eq!(edited, format!("edited {path}"));
    prints(&session, "head -1 src/main.rs", "fn main() {\n", 0);
    assert_eq!(call("list_dir", json!({})), "src/");
    assert_eq!(call("glob", json!({"pattern": "**/*.rs"})), "src/main.rs");
    let found = call("grep", json!({"pattern": "r[u]n\\(", "glob": "*.rs"}));
    assert_eq!(found, "src/main.rs:2:    run();");
}

#[test]
fn a_path_outside_of_the_folder_is_refused_and_the_session_continues() {
    let session = playground();
    bash(&session, "ln -s .. up");
    for path in [
        "/orwd_data/about.txt",
        "../about.txt",
        "/etc/passwd",
        "up/about.txt",
        "a\0b",
    ] {
        for (tool, input) in [
            ("read_file", json!({"path": path})),
            ("write_file", json!({"path": path, "content": "x"})),
            ("grep", json!({"path": path, "pattern": "x"})),
        ] {
            let said = text(&session, tool, input);
            assert!(said.starts_with("Error: "), "{tool} {path:?}: {said}");
        }
    }
}

#[test]
fn a_picture_is_shown() {
    let session = playground();
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    bash(&session, &format!("echo {png} | base64 -d > dot.png"));
    let shown = output(&session, "read_file", json!({"path": "dot.png"}));
    assert_eq!(shown["blocks"][0]["mimeType"], "image/png");
    assert_eq!(shown["blocks"][0]["data"], png);
}
