//! Folders inside each other, and links that lead back to a folder above.

use super::Row;

/// The attacks.
pub(super) const TABLE: &[Row] = &[
    (
        "folders",
        "mkdir -p $(rep d/ 3000); echo $?; find . | wc -l",
        "File name too long",
    ),
    (
        "folders-one-by-one",
        "for i in {1..300}; do mkdir d && cd d || break; done; pwd | wc -c",
        "File name too long",
    ),
    ("find", "mkdir -p $(rep d/ 63); find . | wc -l", "64"),
    (
        "find-delete",
        "mkdir -p $(rep d/ 63); find . -delete; ls | wc -l",
        "0",
    ),
    ("ls", "mkdir -p $(rep d/ 63); ls -laR | wc -l", ""),
    (
        "grep",
        "mkdir -p $(rep d/ 62); echo x > $(rep d/ 62)f; grep -r x . | wc -l",
        "1",
    ),
    ("rm", "mkdir -p $(rep d/ 63); rm -r d; ls | wc -l", "0"),
    (
        "cp",
        "mkdir -p $(rep d/ 62); cp -r d e; find e | wc -l",
        "62",
    ),
    ("mv", "mkdir -p $(rep d/ 62); mv d e; find e | wc -l", "62"),
    ("du", "mkdir -p $(rep d/ 63); du -a . | wc -l", "64"),
    (
        "tree",
        "mkdir -p $(rep d/ 63); tree | tail -1",
        "directories",
    ),
    (
        "tar",
        "mkdir -p $(rep d/ 61); tar cf t d; mkdir o; tar xf t -C o; find o | wc -l",
        "",
    ),
    (
        "zip",
        "mkdir -p $(rep d/ 61); zip -r z d | wc -l; mkdir o; cd o; unzip ../z | wc -l; echo $?",
        "",
    ),
    (
        "chmod",
        "mkdir -p $(rep d/ 63); chmod -R 700 d; echo $?",
        "",
    ),
    (
        "rg",
        "mkdir -p $(rep d/ 62); echo x > $(rep d/ 62)f; rg x . | wc -l",
        "",
    ),
    (
        "any-level",
        "mkdir -p $(rep d/ 62); echo x > $(rep d/ 62)f; shopt -s globstar; echo **/f | wc -c",
        "126",
    ),
    (
        "levels-of-a-pattern",
        "mkdir -p $(rep d/ 62); echo $(rep '*/' 62) | wc -c",
        "125",
    ),
    (
        "links-pattern",
        "for l in a b c d e; do ln -s . $l; done; echo */*/*/*/*/*/*/*/* | wc -c",
        "takes more work than fits",
    ),
    (
        "links-up",
        "mkdir -p x/y; for l in a b c d; do ln -s .. x/$l; ln -s ../.. x/y/$l; done; echo */*/*/*/*/*/*/*/* | wc -c",
        "takes more work than fits",
    ),
    (
        "links-any-level",
        "shopt -s globstar; for l in a b c d e; do ln -s . $l; done; echo **/*/**/*/** | wc -c",
        "",
    ),
    (
        "links-find",
        "for l in a b c d e; do ln -s . $l; done; find -L . | wc -l",
        "",
    ),
    (
        "links-ls",
        "for l in a b c d e; do ln -s . $l; done; ls -RL . | wc -l; echo $?",
        "",
    ),
    (
        "links-grep",
        "for l in a b c d e; do ln -s . $l; done; grep -R x . | wc -l; echo $?",
        "",
    ),
    (
        "links-cp",
        "for l in a b c d e; do ln -s . $l; done; cp -rL . /tmp/x; echo $?",
        "",
    ),
    (
        "links-du",
        "for l in a b c d e; do ln -s . $l; done; du -L . | wc -l; echo $?",
        "",
    ),
    (
        "links-tar",
        "for l in a b c d e; do ln -s . $l; done; tar chf /tmp/t .; echo $?",
        "",
    ),
    (
        "links-tree",
        "for l in a b c d e; do ln -s . $l; done; tree -l | tail -1; echo $?",
        "",
    ),
    (
        "links-rm",
        "for l in a b c d e; do ln -s . $l; done; rm -r */*/*/*/*/*/*; echo $?",
        "",
    ),
    (
        "links-many-parts",
        "ln -s . a; cat $(rep a/ 2000)x; echo $?",
        "1",
    ),
    (
        "copy-into-itself",
        "mkdir d; echo x > d/f; cp -r d d/e; cp -r . d/g; find . | wc -l",
        "",
    ),
    ("move-into-itself", "mkdir -p d/e; mv d d/e/f; echo $?", ""),
];
