//! Long, wide and endless inputs of commands.

use super::Row;

/// The attacks.
pub(super) const TABLE: &[Row] = &[
    // Loops inside of commands.
    (
        "awk-for",
        "awk 'BEGIN{for(;;);}'; echo $?",
        "loop iteration limit",
    ),
    (
        "awk-double",
        "awk 'BEGIN{s=\"x\"; while(1) s=s s}'; echo $?",
        "",
    ),
    ("awk-array", "awk 'BEGIN{while(1) a[i++]=i}'; echo $?", ""),
    (
        "awk-split",
        "awk 'BEGIN{s=sprintf(\"%9999s\",\"\"); while(1) n+=split(s,a,\"\")}'; echo $?",
        "",
    ),
    (
        "awk-gsub",
        "awk 'BEGIN{s=sprintf(\"%9999s\",\"\"); while(1) gsub(/ /,\"xx\",s)}'; echo $?",
        "",
    ),
    (
        "awk-match",
        "awk 'BEGIN{s=sprintf(\"%9999s\",\"\"); for(;;) match(s,/( *)*x/)}'; echo $?",
        "",
    ),
    (
        "awk-substr",
        "awk 'BEGIN{s=sprintf(\"%9999s\",\"\"); for(;;) for(i=1;i<9999;i++) x=substr(s,i)}'; echo $?",
        "",
    ),
    (
        "awk-fields",
        "echo x | awk '{$100000000=1}1' | wc -c; echo x | awk '{NF=1e9}1' | wc -c",
        "field index limit",
    ),
    (
        "awk-width",
        "awk 'BEGIN{printf \"%1000000000d\", 1}' | wc -c",
        "format width",
    ),
    (
        "awk-tree",
        "awk 'function f(x,i){for(i=0;i<9;i++) f(x)} BEGIN{f(1)}'; echo $?",
        "depth limit",
    ),
    (
        "awk-getline",
        "awk 'BEGIN{while((getline l < \"/dev/urandom\")>=0) n++}'; echo $?",
        "",
    ),
    ("sed-grow", "echo xxxx | sed ':a;s/x/xx/g;ta' | wc -c", ""),
    ("sed-hold", "yes | head -9000 | sed 'H;G;H' | wc -c", ""),
    ("sed-append", "yes | sed ':a;N;ba' | wc -c", ""),
    (
        "sed-many",
        "echo x | sed \"$(rep 's/x/xx/g;' 9000)\" | wc -c",
        "",
    ),
    (
        "sed-files",
        "seq 9000 > f; seq 9000 | sed 'r f' | wc -c",
        "",
    ),
    (
        "grep-backtrack",
        "rep a 9000 | grep -P '(a|aa)+\\1b'; echo $?",
        "",
    ),
    (
        "grep-look-ahead",
        "rep a 9000 | grep -P '^(?=(a+)+b)'; echo $?",
        "",
    ),
    (
        "grep-many",
        "seq 20000 > p; seq 20000 | grep -f p | wc -l",
        "",
    ),
    ("grep-parts", "big; grep -o a f | wc -l", ""),
    ("grep-context", "seq 100000 | grep -C 100000 5 | wc -l", ""),
    (
        "condition-backtrack",
        "x=$(rep a 9000); for ((;;)); do [[ $x =~ (a+)+b ]]; done",
        "",
    ),
    (
        "pattern-stars",
        "x=$(rep a 9000); for ((;;)); do y=${x//a*a*a*a*a*a*b/}; done",
        "",
    ),
    (
        "expr-pattern",
        "expr \"$(rep a 9000)\" : '\\(a*\\)*\\(a*\\)*b'; echo $?",
        "",
    ),
    (
        "bc-powers",
        "echo '9^9^9^9' | bc; echo 'scale=100000000; 1/3' | bc | wc -c",
        "scale too large",
    ),
    (
        "factor",
        "while :; do factor 18446744073709551557; done",
        "takes more work",
    ),
    // Widths and counts.
    (
        "printf-width",
        "printf '%1000000000d' 1 | wc -c; printf '%.1000000000f' 1 | wc -c; printf '%*d' 1000000000 1 | wc -c",
        "",
    ),
    ("printf-many", "printf '%9999s%.0s' {1..10000} | wc -c", ""),
    (
        "printf-into-a-variable",
        "for ((;;)); do printf -v x '%9999s%9999s%9999s'; done",
        "",
    ),
    (
        "seq",
        "seq 1e18 | wc -l; seq 1 0.0000001 1e9 | wc -l; seq -f '%1000000000g' 1 3 | wc -c",
        "",
    ),
    (
        "seq-separator",
        "seq -s \"$(rep x 9000)\" 100000 | wc -c",
        "",
    ),
    (
        "brace-product",
        "echo {1..1000}{1..1000}{1..1000} | wc -c",
        "",
    ),
    (
        "brace-steps",
        "echo {1..9223372036854775807} | wc -c; echo {a..z..0} | wc -c",
        "",
    ),
    ("brace-loop", "for ((;;)); do x=({1..100000}); done", ""),
    (
        "tr-sets",
        "echo abc | tr \"$(rep a-z 9000)\" x; echo a | tr a '[b*1000000000]'",
        "",
    ),
    (
        "column",
        "seq 100000 | column -t | wc -l; rep 'a ' 9000 | column -t | wc -c",
        "",
    ),
    (
        "column-wide",
        "(rep a 9000; echo; seq 50000) | column -t | wc -c",
        "",
    ),
    ("fold", "big; fold -w 1 f | wc -l", ""),
    (
        "fmt",
        "big; tr a ' ' < f | fmt | wc -c; seq 100000 | fmt -w 1000000 | wc -c",
        "",
    ),
    ("nl-width", "seq 10000 | nl -w 1000000000 | wc -c", ""),
    (
        "expand",
        "rep '\t' 9000 | expand -t 1000000000 | wc -c",
        "invalid tab size",
    ),
    ("cut", "seq 10000 | cut -c \"$(seq -s, 3000)\" | wc -c", ""),
    ("paste", "seq 100000 > s; paste $(rep 's ' 300) | wc -c", ""),
    ("join", "yes a | head -9000 > x; join x x | wc -l", ""),
    ("pr", "seq 100000 | pr -w 1000000 -40 | wc -c", ""),
    (
        "numfmt",
        "numfmt --padding 1000000000 1 | wc -c",
        "padding too large",
    ),
    (
        "date",
        "date -d \"$(rep '1 day ' 9000)\"; date -d '999999999999 years'; date +%1000000000d | wc -c",
        "",
    ),
    (
        "xxd",
        "big; xxd -c 1 b | wc -l; xxd -c 1000000000 b | wc -c; od b | tail -1",
        "",
    ),
    (
        "base64",
        "big; base64 -w 1 f | wc -l; base64 f | base64 | base64 | wc -c",
        "",
    ),
    (
        "dd",
        "dd if=/dev/zero of=z bs=1G count=100; dd if=/dev/zero of=z bs=1M seek=1000000 count=1; echo $?",
        "",
    ),
    ("split", "seq 100000 > s; split -l 1 s; ls | wc -l", ""),
    (
        "shuf",
        "shuf -i 1-1000000000000 | head -1; shuf -r -n 1000000000 -i 1-2 | wc -l",
        "",
    ),
    (
        "huge-file",
        "truncate -s 1E f; cat f; md5sum f; tail -c 1 f; sort f; cp f g; tar cf t f; wc -c f; echo $?",
        "",
    ),
    (
        "zeros",
        "tr '\\0' x < /dev/zero | head -c 5; cat /dev/zero | wc -c",
        "",
    ),
    (
        "brace-width",
        "x=$(rep 0 9000); eval \"echo {$x$x$x$x$x$x$x$x${x}1..2}\" | wc -c; echo after",
        "too many digits",
    ),
    (
        "brace-width-in-a-script",
        "x=$(rep 0 9000); echo \"echo {$x$x$x$x$x$x$x$x${x}1..2} | wc -c\" > s; bash s; . ./s; echo $?",
        "",
    ),
    (
        "envsubst",
        "export x=$(rep a 9000); rep '$x' 9000 | envsubst | wc -c",
        "the output would be too long",
    ),
    // Comparing and packing.
    (
        "diff",
        "seq 9000 > x; seq 9000 -1 1 > y; diff x y | wc -l",
        "",
    ),
    (
        "diff-random",
        "head -c 8000 /dev/urandom | base64 -w 1 > x; tac x > y; diff x y | wc -l",
        "",
    ),
    (
        "diff-million-lines",
        "lines; sort f > g; diff f g | wc -l",
        "",
    ),
    (
        "patch",
        "printf -- '--- x\\n+++ x\\n@@ -1,999999999999 +1,999999999999 @@\\n x\\n' > p; echo x > x; patch x < p; echo $?",
        "",
    ),
    (
        "patch-fuzz",
        "yes x | head -9000 > x; (echo '--- x'; echo '+++ x'; for i in {1..300}; do printf '@@ -9000,3 +9000,3 @@\\n x\\n-y\\n+z\\n x\\n'; done) > p; patch x < p | tail -1",
        "",
    ),
    (
        "tar-of-itself",
        "echo x > f; for i in {1..40}; do tar cf t .; done; ls -l t | wc -l",
        "",
    ),
    (
        "not-archives",
        "head -c 8000 /dev/urandom > r; tar xf r; tar tzf r; gunzip < r; bunzip2 < r; unzip r; echo $?",
        "",
    ),
    (
        "compressed-zeros",
        "big; gzip -k f; cat f.gz f.gz f.gz f.gz f.gz f.gz > g.gz; gunzip -c g.gz | wc -c; bzip2 f; bunzip2 -c f.bz2 | wc -c",
        "",
    ),
    (
        "compress-for-ever",
        "big; while :; do gzip -9 < f > q; bzip2 < f > q; done",
        "stopped",
    ),
];
