//! Command lines that hold much, and loops that make it grow.

use super::Row;

/// The attacks.
pub(super) const TABLE: &[Row] = &[
    (
        "cat-many",
        "big; cat f f f f f f f f f f f f f f f f f f f f f f f f f f f f f f | wc -c",
        "",
    ),
    (
        "pipe-many",
        "big; cat f f f f f f | tr a b | tr b c | tr c d | wc -c",
        "",
    ),
    ("sort-many", "lines; sort f f f f f f | wc -l", ""),
    (
        "awk-many",
        "lines; awk '{a[NR]=$0} END{print NR}' f f f f f",
        "",
    ),
    (
        "sed-in-one",
        "lines; sed -n 'H;${x;s/\\n/,/g;p}' f | wc -c",
        "",
    ),
    (
        "substitute-many",
        "big; x=$(cat f); y=$x$x$x; echo ${#y}",
        "",
    ),
    ("words", "lines; for w in $(cat f); do :; done; echo $?", ""),
    (
        "read-lines",
        "lines; while read x; do :; done < f; echo $?",
        "",
    ),
    ("mapfile", "lines; mapfile x < f; echo ${#x[@]}", ""),
    (
        "xargs-many",
        "lines; xargs -n 100000 echo < f | wc -c; xargs -n 1 true < f; echo $?",
        "",
    ),
    (
        "xargs-replace",
        "big; xargs -I% echo %%%%%%%%%%%%%%%%%%%% < f | wc -c",
        "",
    ),
    (
        "double-a-file",
        "echo x > f; for ((;;)); do cat f f > g; mv g f; done",
        "",
    ),
    (
        "double-a-substitution",
        "x=x; for ((;;)); do x=$(echo $x$x); done",
        "",
    ),
    (
        "sparse-array",
        "a[9999999999]=1; for ((i=0;;i++)); do a[i*1000000]=1; done",
        "",
    ),
    (
        "array-copies",
        "a=({1..100000}); for ((;;)); do b=(\"${a[@]/1/2}\"); x=\"${a[*]}\"; done",
        "stopped",
    ),
    (
        "array-print",
        "a=({1..100000}); for ((;;)); do declare -p a > /dev/null; done",
        "stopped",
    ),
    (
        "variables",
        "for ((i=0;;i++)); do declare v$i=$i; export w$i=$i; done",
        "",
    ),
    (
        "functions",
        "for ((i=0;;i++)); do eval \"f$i() { :; }\"; done",
        "",
    ),
    (
        "arguments",
        "f() { set -- \"$@\" \"$@\"; f \"$@\"; }; f x",
        "",
    ),
    (
        "shift",
        "set -- {1..100000}; while (($#)); do shift; done; echo $#",
        "",
    ),
    (
        "word-splitting",
        "IFS=a; x=$(rep ab 9000); for ((;;)); do set -- $x; done",
        "stopped",
    ),
    (
        "case-of-letters",
        "x=$(rep a 9000)$(rep b 9000); for ((;;)); do y=${x^^}; z=${y@Q}; done",
        "stopped",
    ),
    (
        "references",
        "declare -n a=b b=c c=a; echo $a; x=y; y=x; echo ${!x} $((x))",
        "",
    ),
    ("files", "for ((i=0;;i++)); do mktemp; done > /dev/null", ""),
    ("folders", "mkdir {1..100000}; ls | wc -l", ""),
    (
        "read-folder",
        "touch {1..3000}; for ((;;)); do ls -la > /dev/null; done",
        "stopped",
    ),
    ("jobs", "for ((;;)); do sleep 1000 & done", "stopped"),
    ("coprocess", "coproc yes; sleep 1000; echo $?", ""),
    (
        "traps",
        "trap 'kill -USR1 $$' USR1; kill -USR1 $$; echo $?",
        "",
    ),
    ("tee", "yes | tee f{1..300} | wc -c", ""),
    (
        "history",
        "for ((i=0;i<9000;i++)); do history -s x$i; done; history | wc -l",
        "",
    ),
    (
        "options",
        "while getopts abc x -abc -abc; do OPTIND=1; done",
        "stopped",
    ),
    (
        "random",
        "while :; do cat /dev/urandom > /dev/null; done",
        "stopped",
    ),
    ("checksums", "big; while :; do sha512sum f; done", "stopped"),
    (
        "tsort",
        "for ((i=0;i<3000;i++)); do echo $i $((i+1)); done > e; tsort e | wc -l; (cat e; echo 3000 0) | tsort | wc -l",
        "",
    ),
    (
        "yaml-aliases",
        "(echo 'a: &a [x,x,x,x,x,x,x,x,x]'; p=a; for i in b c d e f g h i; do echo \"$i: &$i [*$p,*$p,*$p,*$p,*$p,*$p,*$p,*$p]\"; p=$i; done) > y; yq . y | wc -c",
        "repetition limit",
    ),
];
