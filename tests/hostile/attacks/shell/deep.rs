//! Texts that nest deeply, for each parser of the shell and its commands.

use super::Row;

/// The attacks.
pub(super) const TABLE: &[Row] = &[
    // Arithmetic.
    ("assignments", "((a=$(rep 'a=' 4000)1)); echo $?", "0\n"),
    (
        "assignments-in-a-variable",
        "x=$(rep 'a=' 4000)1; echo $((x)); echo $?",
        "1\n0",
    ),
    (
        "assignments-by-let",
        "let \"$(rep 'a=' 4000)1\"; echo $?",
        "0\n",
    ),
    (
        "assignments-in-a-subscript",
        "x=$(rep 'a=' 4000)1; b[x]=5; echo ${b[1]}",
        "5\n",
    ),
    (
        "assignments-of-an-integer",
        "declare -i x; x=$(rep 'a=' 4000)1; echo $?",
        "",
    ),
    (
        "assignments-in-a-slice",
        "x=$(rep 'a=' 4000)1; y=abc; echo ${y:x}",
        "bc\n",
    ),
    (
        "assignments-in-a-condition",
        "x=$(rep 'a=' 4000)1; [[ x -eq 1 ]]; echo $?",
        "",
    ),
    (
        "assignments-in-functions",
        "f() { if (($1)); then f $(($1-1)); else x=$(rep 'a=' 4000)1; echo $((x)); fi; }; f 13",
        "1\n",
    ),
    (
        "conditions-to-the-right",
        "x=$(rep '1?1:' 2000)1; echo $((x))",
        "1\n",
    ),
    (
        "conditions-inside",
        "x=$(rep '1?' 2000)1$(rep ':1' 2000); echo $((x))",
        "1\n",
    ),
    (
        "powers",
        "x=$(rep '2**' 2700)1; echo $((x)); echo $?",
        "recursion level exceeded",
    ),
    (
        "signs",
        "x=$(rep '- ' 4000)1; echo $((x)); echo $?",
        "recursion level exceeded",
    ),
    (
        "arithmetic-parentheses",
        "x=$(rep '(' 3000)1$(rep ')' 3000); echo $((x)); echo $?",
        "recursion level exceeded",
    ),
    (
        "subscripts",
        "x=$(rep 'a[' 3000)0$(rep ']' 3000); echo $((x)); echo $?",
        "recursion level exceeded",
    ),
    // `bc`, which has a parser of its own.
    (
        "bc-parentheses",
        "echo \"$(rep '(' 5000)1$(rep ')' 5000)\" | bc; echo $?",
        "bc: an expression nests too deeply",
    ),
    (
        "bc-functions",
        "echo \"$(rep 's(' 5000)1$(rep ')' 5000)\" | bc -l; echo $?",
        "bc: an expression nests too deeply",
    ),
    (
        "bc-signs",
        "echo \"$(rep '- ' 5000)1\" | bc; echo $?",
        "bc: an expression nests too deeply",
    ),
    (
        "bc-powers",
        "echo \"$(rep '1^' 5000)1\" | bc; echo $?",
        "bc: an expression nests too deeply",
    ),
    (
        "bc-in-a-deep-place",
        "f() { if (($1)); then f $(($1-1)); else echo \"$(rep '(' 99)1$(rep ')' 99)\" | bc; fi; }; f 13",
        "1",
    ),
    // `test` and `[[`.
    (
        "test-and",
        "eval \"[ x $(rep '-a x ' 5000) ]\"; echo $?",
        "nests too deeply",
    ),
    (
        "test-or",
        "eval \"test x $(rep '-o x ' 5000)\"; echo $?",
        "nests too deeply",
    ),
    (
        "test-not",
        "eval \"[ $(rep '! ' 5000) x ]\"; echo $?",
        "nests too deeply",
    ),
    (
        "test-not-parentheses",
        "eval \"[ $(rep '! \\( ' 5000) x $(rep '\\) ' 5000) ]\"; echo $?",
        "nests too deeply",
    ),
    (
        "test-mixed",
        "eval \"[ $(rep '\\( x -a ' 95) x $(rep '-o x \\) ' 95) ]\"; echo $?",
        "0",
    ),
    (
        "condition-and",
        "eval \"[[ x $(rep '&& x ' 3000) ]]\"; echo $?",
        "",
    ),
    (
        "condition-or",
        "eval \"[[ '' $(rep '|| x ' 9000) ]]\"; echo $?",
        "",
    ),
    (
        "condition-not",
        "eval \"[[ $(rep '! ' 9000) x ]]\"; echo $?",
        "nested too deeply",
    ),
    (
        "condition-parentheses",
        "eval \"[[ $(rep '( ' 9000) x $(rep ') ' 9000) ]]\"; echo $?",
        "nested too deeply",
    ),
    (
        "find-not",
        "eval \"find . $(rep '! ' 9000) -true\"; echo $?",
        "1000 parts",
    ),
    (
        "find-or",
        "eval \"find . -true $(rep '-o -true ' 9000)\"; echo $?",
        "1000 parts",
    ),
    (
        "expr-operators",
        "eval \"expr $(rep '1 + ' 9000) 1\"; echo $?",
        "",
    ),
    // The language.
    ("lists", "eval \"true $(rep '&& true ' 9000)\"; echo $?", ""),
    (
        "pipelines",
        "eval \"echo x $(rep '| cat ' 3000)\"; echo $?",
        "",
    ),
    (
        "elifs",
        "eval \"if false; then :; $(rep 'elif false; then :; ' 5000) fi\"; echo $?",
        "",
    ),
    (
        "groups",
        "eval \"$(rep '{ ' 5000) echo x $(rep '; }' 5000)\"; echo $?",
        "AST nesting too deep",
    ),
    (
        "ifs",
        "eval \"$(rep 'if true; then ' 5000) echo x $(rep '; fi' 5000)\"; echo $?",
        "AST nesting too deep",
    ),
    (
        "functions",
        "eval \"$(rep 'f() { ' 5000) echo x $(rep '; }' 5000)\"; echo $?",
        "AST nesting too deep",
    ),
    (
        "cases",
        "eval \"$(rep 'case x in x) ' 5000) echo x $(rep ';; esac' 5000)\"; echo $?",
        "AST nesting too deep",
    ),
    ("negations", "eval \"$(rep '! ' 9000) true\"; echo $?", ""),
    (
        "expansions",
        "eval \"echo $(rep '${x:-' 5000)1$(rep '}' 5000)\"; echo $?",
        "nesting too deep",
    ),
    (
        "process-substitutions",
        "eval \"cat $(rep '<(cat ' 5000)$(rep ')' 5000)\"; echo $?",
        "",
    ),
    ("backquotes", "eval \"echo $(rep '`' 9000)\"; echo $?", ""),
    (
        "braces",
        "eval \"echo $(rep '{b,' 5000)a$(rep '}' 5000)\" | wc -c; echo $?",
        "",
    ),
    (
        "extended-patterns",
        "shopt -s extglob; eval \"case x in $(rep '*(a|' 200)b$(rep ')' 200)) :;; esac\"; echo $?",
        "",
    ),
    (
        "alternatives-in-patterns",
        "shopt -s extglob; x=$(rep a 300); case $x in *(*(a|b)|*(a|b))c) :;; esac; echo $?",
        "0",
    ),
    (
        "here-documents",
        "eval \"$(rep 'cat <<E $(' 500)\n\"; echo $?",
        "",
    ),
    // Commands that run commands.
    (
        "command-of-commands",
        "eval \"$(rep 'command ' 9000) true\"; echo $?",
        "",
    ),
    (
        "env-of-envs",
        "eval \"$(rep 'env ' 9000) true\"; echo $?",
        "",
    ),
    ("eval-of-evals", "$(rep 'eval ' 5000) true; echo $?", ""),
    (
        "xargs-of-xargs",
        "echo | $(rep 'xargs ' 5000) true; echo $?",
        "",
    ),
    (
        "timeout-of-timeouts",
        "$(rep 'timeout 1 ' 5000) true; echo $?",
        "",
    ),
    ("nice-of-nices", "$(rep 'nice ' 5000) true; echo $?", ""),
    (
        "bash-of-bashes",
        "x=true; for i in {1..12}; do x=\"bash -c $(printf %q \"$x\")\"; done; eval \"$x\"; echo $?",
        "maximum nesting depth",
    ),
    // `awk`.
    (
        "awk-parentheses",
        "awk \"BEGIN{print $(rep '(' 5000)1$(rep ')' 5000)}\"; echo $?",
        "nesting too deep",
    ),
    (
        "awk-sums",
        "awk \"BEGIN{print $(rep '1+' 9000)1}\"; echo $?",
        "nesting too deep",
    ),
    (
        "awk-powers",
        "awk \"BEGIN{print $(rep '1^' 9000)1}\"; echo $?",
        "nesting too deep",
    ),
    (
        "awk-conditions",
        "awk \"BEGIN{print $(rep '1?1:' 9000)1}\"; echo $?",
        "nesting too deep",
    ),
    (
        "awk-assignments",
        "awk \"BEGIN{$(rep 'a=' 9000)1}\"; echo $?",
        "nesting too deep",
    ),
    (
        "awk-signs",
        "awk \"BEGIN{print $(rep '!' 9000)1}\"; echo $?",
        "nesting too deep",
    ),
    (
        "awk-blocks",
        "awk \"BEGIN$(rep '{' 9000)$(rep '}' 9000)\"; echo $?",
        "nesting too deep",
    ),
    (
        "awk-ifs",
        "awk \"BEGIN{$(rep 'if(1)' 9000) x=1}\"; echo $?",
        "nesting too deep",
    ),
    (
        "awk-elses",
        "awk \"BEGIN{$(rep 'if(0);else ' 9000) x=1}\"; echo $?",
        "nesting too deep",
    ),
    (
        "awk-calls",
        "awk \"function f(x){return x} BEGIN{print $(rep 'f(' 5000)1$(rep ')' 5000)}\"; echo $?",
        "nesting too deep",
    ),
    // Regular expressions and others.
    (
        "awk-pattern",
        "echo x | awk \"/$(rep '(' 5000)x$(rep ')' 5000)/\"; echo $?",
        "",
    ),
    (
        "sed-blocks",
        "echo x | sed \"$(rep '{' 5000)p$(rep '}' 5000)\"; echo $?",
        "exceeds max depth",
    ),
    (
        "sed-pattern",
        "echo x | sed -E \"s/$(rep '(' 5000)x$(rep ')' 5000)/y/\"; echo $?",
        "",
    ),
    (
        "grep-e",
        "echo x | grep -E \"$(rep '(' 5000)x$(rep ')' 5000)\"; echo $?",
        "nested parentheses",
    ),
    (
        "grep-p",
        "echo x | grep -P \"$(rep '(?=' 5000)x$(rep ')' 5000)\"; echo $?",
        "too deeply nested",
    ),
    (
        "grep-alternatives",
        "echo x | grep -E \"$(rep 'a|' 9000)x\"; echo $?",
        "0",
    ),
    (
        "grep-repetitions",
        "echo x | grep -E 'x{1000}{1000}{1000}'; echo $?",
        "too big",
    ),
    (
        "condition-pattern",
        "r=$(rep '(' 5000)x$(rep ')' 5000); [[ x =~ $r ]]; echo $?",
        "",
    ),
    (
        "tomlq",
        "echo \"a=$(rep '[' 9000)1$(rep ']' 9000)\" > t; tomlq a t; echo $?",
        "",
    ),
    (
        "tomlq-keys",
        "echo \"$(rep 'a.' 9000)a=1\" > t; tomlq a t; echo $?",
        "",
    ),
    (
        "json",
        "echo \"$(rep '[' 9000)1$(rep ']' 9000)\" > j; json get a < j; json pretty < j; json keys < j; echo $?",
        "recursion limit",
    ),
    (
        "json-path",
        "echo '{}' | json set \"$(rep 'a.' 9000)a\" 1 | tail -c 9; echo $?",
        "",
    ),
    (
        "yaml",
        "echo \"$(rep '[' 9000)1$(rep ']' 9000)\" > y; yq . y; echo $?",
        "recursion limit",
    ),
    (
        "yaml-lists",
        "echo \"$(rep '- ' 9000)1\" > y; yq . y; echo $?",
        "recursion limit",
    ),
    (
        "template",
        "echo \"$(rep '{{#if x}}' 5000)$(rep '{{/if}}' 5000)\" > t; template t; echo $?",
        "",
    ),
];
