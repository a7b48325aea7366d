;; A complete environment in text format, with placeholders.
;;
;; `wat_guest.rs` fills the placeholders, which are names in braces: each has a
;; harmless default, and an attack puts its own text into some of them. Layout
;; of the first page of memory: texts from 1024, results from 2048, data of
;; attacks from 16384; the heap starts at the second page.
(component $environment
  (type $shape (instance
    (type $a0 (enum "train" "validation" "test"))
    (export "split-kind" (type $split-kind (eq $a0)))
    (type $a1 (record (field "name" string) (field "kind" $split-kind)))
    (export "split" (type $split (eq $a1)))
    (type $a2 (record (field "text" string) (field "detail" (option string))))
    (export "text-block" (type $text-block (eq $a2)))
    (type $a3 (record
      (field "data" (list u8)) (field "mime-type" string) (field "detail" (option string))))
    (export "image-block" (type $image-block (eq $a3)))
    (type $a4 (variant (case "text" $text-block) (case "image" $image-block)))
    (export "block" (type $block (eq $a4)))
    (type $a5 (record
      (field "text" string) (field "signature" (option string)) (field "detail" (option string))))
    (export "reasoning-block" (type $reasoning-block (eq $a5)))
    (type $a6 (record
      (field "id" string) (field "name" string) (field "input" string)
      (field "detail" (option string))))
    (export "tool-call-block" (type $tool-call-block (eq $a6)))
    (type $a7 (record
      (field "tool-call-id" string) (field "blocks" (list $block)) (field "is-error" bool)
      (field "detail" (option string))))
    (export "tool-result-block" (type $tool-result-block (eq $a7)))
    (type $a8 (variant
      (case "text" $text-block) (case "image" $image-block) (case "reasoning" $reasoning-block)
      (case "tool-call" $tool-call-block) (case "tool-result" $tool-result-block)))
    (export "message-block" (type $message-block (eq $a8)))
    (type $a9 (enum "system" "user" "assistant"))
    (export "role" (type $role (eq $a9)))
    (type $a10 (record
      (field "role" $role) (field "blocks" (list $message-block))
      (field "detail" (option string))))
    (export "message" (type $message (eq $a10)))
    (type $a11 (enum "serial" "concurrent" "exclusive"))
    (export "access" (type $access (eq $a11)))
    (type $a12 (variant (case "listed") (case "unlisted") (case "terminal" (option string))))
    (export "visibility" (type $visibility (eq $a12)))
    (type $a13 (record
      (field "name" string) (field "description" string) (field "input-schema" (option string))
      (field "access" $access) (field "visibility" $visibility)
      (field "toolset" (option string))))
    (export "tool" (type $tool (eq $a13)))
    (type $a14 (record
      (field "name" string) (field "description" string)
      (field "input-schema" (option string))))
    (export "task-tool" (type $task-tool (eq $a14)))
    (type $a15 (flags "prompts" "messages" "task-tools" "score-group" "listing"))
    (export "support" (type $support (eq $a15)))
    (type $a16 (record
      (field "name" string) (field "version" string) (field "splits" (list $split))
      (field "tools" (list $tool)) (field "supports" $support)))
    (export "description" (type $description (eq $a16)))
    (type $a17 (record
      (field "blocks" (list $block)) (field "metadata" (option string))
      (field "reward" (option f64)) (field "finished" bool)))
    (export "tool-output" (type $tool-output (eq $a17)))
    (type $a18 (variant
      (case "not-found") (case "invalid-input" string) (case "collision" string)
      (case "failed" string)))
    (export "tool-error" (type $tool-error (eq $a18)))
    (type $a19 (record
      (field "messages" (list $message)) (field "metadata" (option string))))
    (export "candidate" (type $candidate (eq $a19)))
    (type $a20 (record (field "reward" f64) (field "metadata" (option string))))
    (export "score" (type $score (eq $a20)))
    (type $a21 (record (field "name" string) (field "value" string)))
    (export "secret" (type $secret (eq $a21)))
    (type $a22 (variant (case "invalid-split") (case "invalid-index") (case "failed" string)))
    (export "task-error" (type $task-error (eq $a22)))
  ))
  (import "orwd:environment/types@0.1.0" (instance $types (type $shape)))
  (alias export $types "block" (type $block))
  (alias export $types "message" (type $message))
  (alias export $types "task-tool" (type $task-tool))
  (alias export $types "description" (type $description))
  (alias export $types "tool-output" (type $tool-output))
  (alias export $types "tool-error" (type $tool-error))
  (alias export $types "candidate" (type $candidate))
  (alias export $types "score" (type $score))
  (alias export $types "secret" (type $secret))
  (alias export $types "task-error" (type $task-error))

  ;; Memory and its bump allocator, which never frees, come first, so that the
  ;; imports below can be lowered with them.
  (core module $heap
    (memory (export "memory") {pages})
    (global $end (mut i32) (i32.const 65536))
    (func $allocate (export "allocate") (param $want i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $end) (i32.const 7)) (i32.const -8)))
      (global.set $end (i32.add (local.get $at) (local.get $want)))
      (block $enough
        (br_if $enough (i32.le_u (global.get $end) (i32.shl (memory.size) (i32.const 16))))
        (br_if $enough (i32.ne (i32.const -1) (memory.grow
          (i32.add (i32.shr_u (local.get $want) (i32.const 16)) (i32.const 1)))))
        unreachable)
      (local.get $at))
    (func (export "spare") (param i32 i32 i32 i32) (result i32)
      {spare}
      (call $allocate (local.get 3))))
  (core instance $heap (instantiate $heap))
  (alias core export $heap "memory" (core memory $memory))
  (alias core export $heap "spare" (core func $spare))

  {before}

  (type $session (resource (rep i32) {destructor}))
  (core func $new (canon resource.new $session))
  (core func $rep (canon resource.rep $session))
  (core func $drop (canon resource.drop $session))

  (core module $main
    (import "orwd" "new" (func $new (param i32) (result i32)))
    (import "orwd" "rep" (func $rep (param i32) (result i32)))
    (import "orwd" "drop" (func $drop (param i32)))
    (import "heap" "allocate" (func $allocate (param i32) (result i32)))
    (import "heap" "memory" (memory 1))
    {imports}
    {module}

    ;; Allocates from the heap, which never frees.
    (func $realloc (export "realloc")
      (param $old i32) (param $was i32) (param $align i32) (param $want i32) (result i32)
      {realloc}
      (call $allocate (local.get $want)))

    ;; Parses the only digits of a text as a number.
    (func $number (param $at i32) (param $left i32) (result i32)
      (local $sum i32) (local $digit i32)
      (block $end (loop $next
        (br_if $end (i32.eqz (local.get $left)))
        (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
        (if (i32.lt_u (local.get $digit) (i32.const 10)) (then
          (local.set $sum
            (i32.add (i32.mul (local.get $sum) (i32.const 10)) (local.get $digit)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
      (local.get $sum))

    ;; Returns an output of one block with this number.
    (func $tell (param $n i32) (result i32)
      (local $at i32)
      (local.set $at (i32.const 5632))
      (loop $next
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (i32.store8 (local.get $at)
          (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
        (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
        (br_if $next (local.get $n)))
      (memory.copy (i32.const 5120) (i32.const 3072) (i32.const 56))
      (memory.copy (i32.const 5248) (i32.const 3200) (i32.const 32))
      (i32.store (i32.const 5128) (i32.const 5248))
      (i32.store (i32.const 5252) (local.get $at))
      (i32.store (i32.const 5256) (i32.sub (i32.const 5632) (local.get $at)))
      (i32.const 5120))

    ;; Results without a value or with one text share the same bytes.
    (data (i32.const 1024) "actfinetraindone{}0.1.0{\"type\":\"object\"}")
    ;; 2048: the description: names, one split, one tool, supports prompts.
    (data (i32.const 2048)
      "\00\04\00\00\03\00\00\00" "\12\04\00\00\05\00\00\00"
      "\00\09\00\00\01\00\00\00" "\80\09\00\00\02\00\00\00" "\11\00\00\00")
    ;; 2304: the split.
    (data (i32.const 2304) "\07\04\00\00\05\00\00\00" "\00\00\00\00")
    ;; 2432: the tools.
    (data (i32.const 2432)
      "\00\04\00\00\03\00\00\00" "\03\04\00\00\04\00\00\00"
      "\01\00\00\00\17\04\00\00\11\00\00\00" "\00\00\00\00"
      "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
      "\00\00\00\00\00\00\00\00\00\00\00\00"
      "\03\04\00\00\04\00\00\00" "\03\04\00\00\04\00\00\00"
      "\00\00\00\00\00\00\00\00\00\00\00\00" "\00\00\00\00"
      "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
      "\00\00\00\00\00\00\00\00\00\00\00\00")
    ;; 3072: an output of one block `fine`, and the block at 3200.
    (data (i32.const 3072)
      "\00\00\00\00\00\00\00\00" "\80\0c\00\00\01\00\00\00"
      "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
      "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
      "\00\00\00\00\00\00\00\00")
    (data (i32.const 3200)
      "\00\00\00\00" "\03\04\00\00\04\00\00\00"
      "\00\00\00\00\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
    {data}

    (func (export "describe") (result i32) {describe} (i32.const 2048))
    (func (export "num-tasks") (param i32 i32) (result i32)
      (i64.store (i32.const 4096) (i64.const 0))
      (i64.store (i32.const 4104) (i64.const 1))
      {num-tasks}
      (i32.const 4096))
    (func (export "tasks") (param i32 i32 i64 i64) (result i32)
      (i32.store (i32.const 4096) (i32.const 0))
      (i32.store (i32.const 4100) (i32.const 3344))
      (i32.store (i32.const 4104) (i32.const 1))
      (i32.store (i32.const 3344) (i32.const 1040))
      (i32.store (i32.const 3348) (i32.const 2))
      {tasks}
      (i32.const 4096))
    (func (export "task") (param i32 i32 i64) (result i32)
      (i32.store (i32.const 4096) (i32.const 0))
      (i32.store (i32.const 4100) (i32.const 1040))
      (i32.store (i32.const 4104) (i32.const 2))
      {task}
      (i32.const 4096))
    (func (export "open") (param i32 i32 i32 i32 i64) (result i32)
      {open}
      (i32.store (i32.const 4096) (i32.const 0))
      (i32.store (i32.const 4100) (call $new (i32.const 7)))
      (i32.const 4096))
    (func (export "setup") (param i32) (result i32)
      (i32.store (i32.const 4096) (i32.const 0))
      {setup}
      (i32.const 4096))
    (func (export "prompt") (param i32) (result i32)
      (i32.store (i32.const 4096) (i32.const 0))
      (i32.store (i32.const 4100) (i32.const 3200))
      (i32.store (i32.const 4104) (i32.const 1))
      {prompt}
      (i32.const 4096))
    (func (export "empty") (param i32) (result i32)
      (i32.store (i32.const 4096) (i32.const 0))
      (i32.store (i32.const 4100) (i32.const 0))
      (i32.store (i32.const 4104) (i32.const 0))
      (i32.const 4096))
    ;; `fine` returns the output at 3072, `act` performs the attack with the
    ;; number in $n.
    (func (export "call")
      (param $self i32) (param $tool i32) (param $length i32) (param $input i32) (param $size i32)
      (result i32)
      (local $n i32) (local $i i32) (local $j i32) (local $l i64) (local $m i64)
      (if (i32.eq (local.get $length) (i32.const 4)) (then (return (i32.const 3072))))
      (local.set $n (call $number (local.get $input) (local.get $size)))
      {call}
      (i32.const 3072))
    (func (export "score-group") (param i32 i32 i32) (result i32)
      (i32.store (i32.const 4096) (i32.const 0))
      (i32.store (i32.const 4100) (i32.const 0))
      (i32.store (i32.const 4104) (i32.const 0))
      (i32.const 4096))
    (func (export "teardown") (param i32) (result i32)
      (i32.store (i32.const 4096) (i32.const 0))
      {teardown}
      (i32.const 4096))
    (func (export "post") (param i32) {post})
    {start}
  )
  (core instance $main (instantiate $main
    (with "orwd" (instance
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))
    (with "heap" (instance $heap))
    (with "host" (instance {lent}))
    {with}))

  {after}

  (alias core export $main "realloc" (core func $realloc))
  (alias core export $main "post" (core func $post))
  (func $describe (result $description)
    (canon lift (core func $main "describe") (memory $memory) {encoding}))
  (func $num-tasks (param "split" string) (result (result u64 (error $task-error)))
    (canon lift (core func $main "num-tasks") (memory $memory) (realloc $realloc)))
  (func $tasks (param "split" string) (param "start" u64) (param "stop" u64)
    (result (result (list string) (error $task-error)))
    (canon lift (core func $main "tasks") (memory $memory) (realloc $realloc)))
  (func $task (param "split" string) (param "index" s64)
    (result (result string (error $task-error)))
    (canon lift (core func $main "task") (memory $memory) (realloc $realloc)))
  (instance $catalog
    (export "describe" (func $describe))
    (export "num-tasks" (func $num-tasks))
    (export "tasks" (func $tasks))
    (export "task" (func $task)))
  (export "orwd:environment/orwd-catalog@0.1.0" (instance $catalog))

  (func $open (param "task" string) (param "secrets" (list $secret)) (param "seed" u64)
    (result (result (own $session) (error string)))
    (canon lift (core func $main "open") (memory $memory) (realloc $realloc)))
  (func $setup (param "self" (borrow $session)) (result (result (error string)))
    (canon lift (core func $main "setup") (memory $memory) (realloc $realloc)))
  (func $prompt (param "self" (borrow $session)) (result (result (list $block) (error string)))
    (canon lift (core func $main "prompt") (memory $memory) (realloc $realloc)))
  (func $messages (param "self" (borrow $session))
    (result (result (list $message) (error string)))
    (canon lift (core func $main "empty") (memory $memory) (realloc $realloc)))
  (func $task-tools (param "self" (borrow $session))
    (result (result (list $task-tool) (error string)))
    (canon lift (core func $main "empty") (memory $memory) (realloc $realloc)))
  (func $call (param "self" (borrow $session)) (param "tool" string) (param "input" string)
    (result (result $tool-output (error $tool-error)))
    (canon lift (core func $main "call") (memory $memory) (realloc $realloc)
      (post-return $post) {call-encoding}))
  (func $score-group (param "self" (borrow $session)) (param "candidates" (list $candidate))
    (result (result (list $score) (error string)))
    (canon lift (core func $main "score-group") (memory $memory) (realloc $realloc)))
  (func $teardown (param "self" (borrow $session)) (result (result (error string)))
    (canon lift (core func $main "teardown") (memory $memory) (realloc $realloc)))

  ;; A method is named after a resource, which must be named first; only a
  ;; component can do that.
  (component $named
    (alias outer $environment $shape (type $shape))
    (import "types" (instance $types (type $shape)))
    (alias export $types "block" (type $block))
    (alias export $types "message" (type $message))
    (alias export $types "task-tool" (type $task-tool))
    (alias export $types "tool-output" (type $tool-output))
    (alias export $types "tool-error" (type $tool-error))
    (alias export $types "candidate" (type $candidate))
    (alias export $types "score" (type $score))
    (alias export $types "secret" (type $secret))
    (import "session" (type $inner (sub resource)))
    (import "open" (func $open
      (param "task" string) (param "secrets" (list $secret)) (param "seed" u64) (result (result (own $inner) (error string)))))
    (import "setup" (func $setup
      (param "self" (borrow $inner)) (result (result (error string)))))
    (import "prompt" (func $prompt
      (param "self" (borrow $inner)) (result (result (list $block) (error string)))))
    (import "messages" (func $messages
      (param "self" (borrow $inner)) (result (result (list $message) (error string)))))
    (import "task-tools" (func $task-tools
      (param "self" (borrow $inner)) (result (result (list $task-tool) (error string)))))
    (import "call" (func $call
      (param "self" (borrow $inner)) (param "tool" string) (param "input" string) (result (result $tool-output (error $tool-error)))))
    (import "score-group" (func $score-group
      (param "self" (borrow $inner)) (param "candidates" (list $candidate)) (result (result (list $score) (error string)))))
    (import "teardown" (func $teardown
      (param "self" (borrow $inner)) (result (result (error string)))))
    (export $session "session" (type $inner))
    (export "[static]session.open" (func $open) (func
      (param "task" string) (param "secrets" (list $secret)) (param "seed" u64) (result (result (own $session) (error string)))))
    (export "[method]session.setup" (func $setup) (func
      (param "self" (borrow $session)) (result (result (error string)))))
    (export "[method]session.prompt" (func $prompt) (func
      (param "self" (borrow $session)) (result (result (list $block) (error string)))))
    (export "[method]session.messages" (func $messages) (func
      (param "self" (borrow $session)) (result (result (list $message) (error string)))))
    (export "[method]session.task-tools" (func $task-tools) (func
      (param "self" (borrow $session)) (result (result (list $task-tool) (error string)))))
    (export "[method]session.call" (func $call) (func
      (param "self" (borrow $session)) (param "tool" string) (param "input" string) (result (result $tool-output (error $tool-error)))))
    (export "[method]session.score-group" (func $score-group) (func
      (param "self" (borrow $session)) (param "candidates" (list $candidate)) (result (result (list $score) (error string)))))
    (export "[method]session.teardown" (func $teardown) (func
      (param "self" (borrow $session)) (result (result (error string)))))
  )
  (instance $episode (instantiate $named
    (with "types" (instance $types))
    (with "session" (type $session))
    (with "open" (func $open))
    (with "setup" (func $setup))
    (with "prompt" (func $prompt))
    (with "messages" (func $messages))
    (with "task-tools" (func $task-tools))
    (with "call" (func $call))
    (with "score-group" (func $score-group))
    (with "teardown" (func $teardown))))
  (export "orwd:environment/orwd-episode@0.1.0" (instance $episode))
)
