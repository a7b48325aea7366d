//! Patterns that can be matched in many ways on many lines, and programs that come by
//! other ways than the command line.

use super::Row;

/// The attacks.
pub(super) const TABLE: &[Row] = &[
    (
        "grep-perl-lines",
        "rep aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaN 3000 | tr N '\n' | grep -P '(a|aa)+\\1b' 2>&1 | tail -9",
        "tried-in-too-many-ways",
    ),
    (
        "grep-perl-look-ahead-lines",
        "rep aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaN 3000 | tr N '\n' > f; grep -cP '^(?=(a+)+b)' f; echo $?",
        "tried-in-too-many-ways",
    ),
    (
        "grep-back-references",
        "mkdir d; rep aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaN 3000 | tr N '\n' > d/f; grep -rE '((a+)+)+b\\1' d; grep -r '\\(\\(a*\\)*\\)*b\\1' d; echo $?",
        "tried-in-too-many-ways",
    ),
    (
        "egrep-back-references",
        "rep aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaN 3000 | tr N '\n' | egrep '((a+)+)+b\\1'; echo $?",
        "tried-in-too-many-ways",
    ),
    (
        "fgrep-as-perl",
        "rep aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaN 3000 | tr N '\n' | fgrep -P '^(?=(a+)+b)'; echo $?",
        "tried-in-too-many-ways",
    ),
    (
        "rg-perl",
        "echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa > f; rg -P '^(?=(a+)+b)' f; echo $?",
        "",
    ),
    (
        "sed-back-references",
        "rep aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaN 3000 | tr N '\n' > f; sed -E 's/((a+)+)+b\\1/x/' f | wc -l",
        "takes more work",
    ),
    (
        "sed-addresses-with-back-references",
        "rep aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaN 3000 | tr N '\n' > f; sed -n '/\\(\\(a*\\)*\\)*b\\1/p' f | wc -l",
        "takes more work",
    ),
    (
        "sed-back-references-in-a-long-line",
        "big; sed -E 's/(a*)b\\1/x/g' f | wc -c",
        "",
    ),
    (
        "awk-loops-by-other-names",
        "for ((i=0;i<500;i++)); do mawk 'BEGIN{for(;;);}'; nawk 'BEGIN{while(1);}'; done 2>&1 | tail -1",
        "",
    ),
    (
        "xargs-replacements",
        "x=$(rep '{}' 9000); seq 9000 | xargs -I{} echo \"$x\" | wc -c",
        "at most 1024 bytes",
    ),
    // Numbers that the evaluator cannot format, in programs.
    (
        "brace-width-in-a-pipe",
        "x=$(rep 0 9000); x=$x$x$x$x$x$x$x$x; echo \"echo {${x}1..2}\" | bash | wc -c; echo $?",
        "too many digits",
    ),
    (
        "brace-width-in-pieces",
        "x=$(rep 0 9000); (printf 'echo {'; for i in 1 2 3 4 5 6 7 8; do printf $x; done; echo 1..2}) | sh | wc -c",
        "too many digits",
    ),
    (
        "brace-width-in-a-here-string",
        "x=$(rep 0 9000); x=$x$x$x$x$x$x$x$x; bash -s a <<< \"echo {${x}1..2}\" | wc -c",
        "too many digits",
    ),
    (
        "brace-width-by-source",
        "x=$(rep 0 9000); x=$x$x$x$x$x$x$x$x; source <(echo \"echo {${x}1..2}\") | wc -c",
        "too many digits",
    ),
    (
        "brace-width-in-a-trap",
        "x=$(rep 0 9000); x=$x$x$x$x$x$x$x$x; trap \"echo {${x}1..2}\" EXIT",
        "too many digits",
    ),
    (
        "brace-width-in-an-alias",
        "x=$(rep 0 9000); x=$x$x$x$x$x$x$x$x; shopt -s expand_aliases; alias q=\"echo {${x}1..2}\"; eval q | wc -c",
        "too many digits",
    ),
];
