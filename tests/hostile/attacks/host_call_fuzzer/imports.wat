  ;; Every interface, granted or denied, with functions that take input from a
  ;; guest.
  (import "wasi:io/error@0.2.0" (instance $io-error (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))
  (import "wasi:io/poll@0.2.0" (instance $io-poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))
    (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))))
  (alias export $io-poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "input-stream" (type $i (sub resource)))
    (export "output-stream" (type $o (sub resource)))
    (alias outer $environment $error (type $e0))
    (export "error" (type $e (eq $e0)))
    (alias outer $environment $pollable (type $p0))
    (export "pollable" (type $p (eq $p0)))
    (type $s0 (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $s (eq $s0)))
    (export "[method]input-stream.read" (func
      (param "self" (borrow $i)) (param "len" u64) (result (result (list u8) (error $s)))))
    (export "[method]input-stream.blocking-read" (func
      (param "self" (borrow $i)) (param "len" u64) (result (result (list u8) (error $s)))))
    (export "[method]input-stream.skip" (func
      (param "self" (borrow $i)) (param "len" u64) (result (result u64 (error $s)))))
    (export "[method]input-stream.blocking-skip" (func
      (param "self" (borrow $i)) (param "len" u64) (result (result u64 (error $s)))))
    (export "[method]input-stream.subscribe" (func
      (param "self" (borrow $i)) (result (own $p))))
    (export "[method]output-stream.check-write" (func
      (param "self" (borrow $o)) (result (result u64 (error $s)))))
    (export "[method]output-stream.write" (func
      (param "self" (borrow $o)) (param "contents" (list u8)) (result (result (error $s)))))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $o)) (param "contents" (list u8)) (result (result (error $s)))))
    (export "[method]output-stream.flush" (func
      (param "self" (borrow $o)) (result (result (error $s)))))
    (export "[method]output-stream.blocking-flush" (func
      (param "self" (borrow $o)) (result (result (error $s)))))
    (export "[method]output-stream.subscribe" (func
      (param "self" (borrow $o)) (result (own $p))))
    (export "[method]output-stream.write-zeroes" (func
      (param "self" (borrow $o)) (param "len" u64) (result (result (error $s)))))
    (export "[method]output-stream.blocking-write-zeroes-and-flush" (func
      (param "self" (borrow $o)) (param "len" u64) (result (result (error $s)))))
    (export "[method]output-stream.splice" (func
      (param "self" (borrow $o)) (param "src" (borrow $i)) (param "len" u64)
      (result (result u64 (error $s)))))
    (export "[method]output-stream.blocking-splice" (func
      (param "self" (borrow $o)) (param "src" (borrow $i)) (param "len" u64)
      (result (result u64 (error $s)))))))
  (alias export $streams "input-stream" (type $input-stream))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
    (type $d0 (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $d (eq $d0)))
    (export "now" (func (result $d)))
    (export "resolution" (func (result $d)))))
  (alias export $wall "datetime" (type $datetime))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $monotonic
    (alias outer $environment $pollable (type $p0))
    (export "pollable" (type $p (eq $p0)))
    (export "now" (func (result u64)))
    (export "resolution" (func (result u64)))
    (export "subscribe-instant" (func (param "when" u64) (result (own $p))))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:random/insecure@0.2.0" (instance $insecure
    (export "get-insecure-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-insecure-random-u64" (func (result u64)))))
  (import "wasi:random/insecure-seed@0.2.0" (instance $seed
    (export "insecure-seed" (func (result (tuple u64 u64))))))
  (import "wasi:cli/environment@0.2.0" (instance $cli-environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))
    (export "initial-cwd" (func (result (option string))))))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer $environment $input-stream (type $i0))
    (export "input-stream" (type $i (eq $i0)))
    (export "get-stdin" (func (result (own $i))))))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer $environment $output-stream (type $o0))
    (export "output-stream" (type $o (eq $o0)))
    (export "get-stdout" (func (result (own $o))))))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer $environment $output-stream (type $o0))
    (export "output-stream" (type $o (eq $o0)))
    (export "get-stderr" (func (result (own $o))))))
  (import "wasi:filesystem/types@0.2.0" (instance $files
    (export "descriptor" (type $d (sub resource)))
    (export "directory-entry-stream" (type $l (sub resource)))
    (alias outer $environment $input-stream (type $i0))
    (export "input-stream" (type $i (eq $i0)))
    (alias outer $environment $output-stream (type $o0))
    (export "output-stream" (type $o (eq $o0)))
    (alias outer $environment $datetime (type $t0))
    (export "datetime" (type $t (eq $t0)))
    (type $k0 (enum "unknown" "block-device" "character-device" "directory" "fifo"
      "symbolic-link" "regular-file" "socket"))
    (export "descriptor-type" (type $k (eq $k0)))
    (type $f0 (flags "read" "write" "file-integrity-sync" "data-integrity-sync"
      "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $f (eq $f0)))
    (type $pf0 (flags "symlink-follow"))
    (export "path-flags" (type $pf (eq $pf0)))
    (type $of0 (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $of (eq $of0)))
    (type $st0 (record (field "type" $k) (field "link-count" u64) (field "size" u64)
      (field "data-access-timestamp" (option $t))
      (field "data-modification-timestamp" (option $t))
      (field "status-change-timestamp" (option $t))))
    (export "descriptor-stat" (type $st (eq $st0)))
    (type $nt0 (variant (case "no-change") (case "now") (case "timestamp" $t)))
    (export "new-timestamp" (type $nt (eq $nt0)))
    (type $de0 (record (field "type" $k) (field "name" string)))
    (export "directory-entry" (type $de (eq $de0)))
    (type $x0 (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock"
      "quota" "exist" "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted"
      "invalid" "io" "is-directory" "loop" "too-many-links" "message-size" "name-too-long"
      "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space"
      "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty"
      "no-such-device" "overflow" "not-permitted" "pipe" "read-only" "invalid-seek"
      "text-file-busy" "cross-device"))
    (export "error-code" (type $x (eq $x0)))
    (type $ad0 (enum "normal" "sequential" "random" "will-need" "dont-need" "no-reuse"))
    (export "advice" (type $ad (eq $ad0)))
    (type $h0 (record (field "lower" u64) (field "upper" u64)))
    (export "metadata-hash-value" (type $h (eq $h0)))
    (export "[method]descriptor.read-via-stream" (func
      (param "self" (borrow $d)) (param "offset" u64) (result (result (own $i) (error $x)))))
    (export "[method]descriptor.write-via-stream" (func
      (param "self" (borrow $d)) (param "offset" u64) (result (result (own $o) (error $x)))))
    (export "[method]descriptor.append-via-stream" (func
      (param "self" (borrow $d)) (result (result (own $o) (error $x)))))
    (export "[method]descriptor.advise" (func
      (param "self" (borrow $d)) (param "offset" u64) (param "length" u64)
      (param "advice" $ad) (result (result (error $x)))))
    (export "[method]descriptor.sync" (func
      (param "self" (borrow $d)) (result (result (error $x)))))
    (export "[method]descriptor.get-flags" (func
      (param "self" (borrow $d)) (result (result $f (error $x)))))
    (export "[method]descriptor.get-type" (func
      (param "self" (borrow $d)) (result (result $k (error $x)))))
    (export "[method]descriptor.set-size" (func
      (param "self" (borrow $d)) (param "size" u64) (result (result (error $x)))))
    (export "[method]descriptor.set-times" (func
      (param "self" (borrow $d)) (param "data-access-timestamp" $nt)
      (param "data-modification-timestamp" $nt) (result (result (error $x)))))
    (export "[method]descriptor.read" (func
      (param "self" (borrow $d)) (param "length" u64) (param "offset" u64)
      (result (result (tuple (list u8) bool) (error $x)))))
    (export "[method]descriptor.write" (func
      (param "self" (borrow $d)) (param "buffer" (list u8)) (param "offset" u64)
      (result (result u64 (error $x)))))
    (export "[method]descriptor.read-directory" (func
      (param "self" (borrow $d)) (result (result (own $l) (error $x)))))
    (export "[method]descriptor.create-directory-at" (func
      (param "self" (borrow $d)) (param "path" string) (result (result (error $x)))))
    (export "[method]descriptor.stat" (func
      (param "self" (borrow $d)) (result (result $st (error $x)))))
    (export "[method]descriptor.stat-at" (func
      (param "self" (borrow $d)) (param "path-flags" $pf) (param "path" string)
      (result (result $st (error $x)))))
    (export "[method]descriptor.set-times-at" (func
      (param "self" (borrow $d)) (param "path-flags" $pf) (param "path" string)
      (param "data-access-timestamp" $nt) (param "data-modification-timestamp" $nt)
      (result (result (error $x)))))
    (export "[method]descriptor.link-at" (func
      (param "self" (borrow $d)) (param "old-path-flags" $pf) (param "old-path" string)
      (param "new-descriptor" (borrow $d)) (param "new-path" string)
      (result (result (error $x)))))
    (export "[method]descriptor.open-at" (func
      (param "self" (borrow $d)) (param "path-flags" $pf) (param "path" string)
      (param "open-flags" $of) (param "flags" $f) (result (result (own $d) (error $x)))))
    (export "[method]descriptor.readlink-at" (func
      (param "self" (borrow $d)) (param "path" string) (result (result string (error $x)))))
    (export "[method]descriptor.remove-directory-at" (func
      (param "self" (borrow $d)) (param "path" string) (result (result (error $x)))))
    (export "[method]descriptor.rename-at" (func
      (param "self" (borrow $d)) (param "old-path" string) (param "new-descriptor" (borrow $d))
      (param "new-path" string) (result (result (error $x)))))
    (export "[method]descriptor.symlink-at" (func
      (param "self" (borrow $d)) (param "old-path" string) (param "new-path" string)
      (result (result (error $x)))))
    (export "[method]descriptor.unlink-file-at" (func
      (param "self" (borrow $d)) (param "path" string) (result (result (error $x)))))
    (export "[method]descriptor.is-same-object" (func
      (param "self" (borrow $d)) (param "other" (borrow $d)) (result bool)))
    (export "[method]descriptor.metadata-hash" (func
      (param "self" (borrow $d)) (result (result $h (error $x)))))
    (export "[method]descriptor.metadata-hash-at" (func
      (param "self" (borrow $d)) (param "path-flags" $pf) (param "path" string)
      (result (result $h (error $x)))))
    (export "[method]directory-entry-stream.read-directory-entry" (func
      (param "self" (borrow $l)) (result (result (option $de) (error $x)))))))
  (alias export $files "descriptor" (type $descriptor))
  (alias export $files "directory-entry-stream" (type $entries))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer $environment $descriptor (type $d0))
    (export "descriptor" (type $d (eq $d0)))
    (export "get-directories" (func (result (list (tuple (own $d) string)))))))
  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type (sub resource)))
    (type $x0 (enum "unknown" "access-denied" "not-supported" "invalid-argument"
      "out-of-memory" "timeout" "concurrency-conflict" "not-in-progress" "would-block"
      "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use"
      "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
      "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
      "permanent-resolver-failure"))
    (export "error-code" (type (eq $x0)))
    (type $a0 (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $a0)))))
  (alias export $network "network" (type $net))
  (alias export $network "error-code" (type $net-error))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance-network
    (alias outer $environment $net (type $n0))
    (export "network" (type $n (eq $n0)))
    (export "instance-network" (func (result (own $n))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp
    (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $tcp-socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $tcp-create
    (alias outer $environment $net-error (type $x0))
    (export "error-code" (type $x (eq $x0)))
    (alias outer $environment $family (type $a0))
    (export "ip-address-family" (type $a (eq $a0)))
    (alias outer $environment $tcp-socket (type $t0))
    (export "tcp-socket" (type $t (eq $t0)))
    (export "create-tcp-socket" (func
      (param "address-family" $a) (result (result (own $t) (error $x)))))))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
    (alias outer $environment $net (type $n0))
    (export "network" (type $n (eq $n0)))
    (alias outer $environment $net-error (type $x0))
    (export "error-code" (type $x (eq $x0)))
    (export "resolve-address-stream" (type $r (sub resource)))
    (export "resolve-addresses" (func
      (param "network" (borrow $n)) (param "name" string)
      (result (result (own $r) (error $x)))))))
  (import "orwd:network/http@0.1.0" (instance $http
    (type $h0 (record (field "name" string) (field "value" string)))
    (export "header" (type $h (eq $h0)))
    (type $q0 (record (field "method" string) (field "url" string)
      (field "headers" (list $h)) (field "body" (list u8))))
    (export "request" (type $q (eq $q0)))
    (type $s0 (record (field "status" u16) (field "headers" (list $h)) (field "body" (list u8))))
    (export "response" (type $s (eq $s0)))
    (type $c0 (enum "not-granted" "refused" "limit" "timeout" "failed" "in-doubt" "unavailable"))
    (export "error-code" (type $c (eq $c0)))
    (type $e0 (record (field "code" $c) (field "message" string)))
    (export "error" (type $e (eq $e0)))
    (export "send" (func (param "request" $q) (result (result $s (error $e)))))
    (type $f0 (record (field "number" u32) (field "result" (result $s (error $e)))))
    (export "finished" (type $f (eq $f0)))
    (export "start" (func (param "request" $q) (result (result u32 (error $e)))))
    (export "wait" (func (result (option $f))))
    (export "cancel" (func (param "number" u32)))))
