# Definitions beside those of the libraries, as `jq` has them.
def halt_error($code): (if . == null then empty else _say end), halt($code);
def halt_error: halt_error(5);
def env: $ENV;
def input_filename: $_orwd_file;
def input_line_number: $_orwd_line;
def isvalid(f): try (f | true) catch false;
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def todateiso8601: todate;
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;
def fromdate: fromdateiso8601;
def ascii: [.] | implode;
def toarray: if type == "array" then . else [.] end;
def have_literal_numbers: true;
def toboolean:
  if type == "boolean" then . elif . == "true" then true elif . == "false" then false
  else error("\(tojson) cannot be parsed as a boolean") end;
def in(xs): . as $key | xs | has($key);
def inside(xs): . as $part | xs | contains($part);
def index($part): indices($part) | .[0];
def rindex($part): indices($part) | .[-1:][0];
def transpose: if . == [] then [] else [range(map(length) | max) as $i | [.[][$i]]] end;
def leaf_paths: paths(scalars);
def getpath($path):
  if ($path | type) != "array" then error("Path must be specified as an array") else . end
  | reduce $path[] as $key (.; .[$key]);
def delpaths($paths):
  reduce ($paths | unique | reverse[]) as $path (.;
    if $path == [] then null
    elif . == null or getpath($path[:-1]) == null then .
    else getpath($path[:-1]) |= (if $path[-1:][0] | type == "number" and . < 0
      then . else . end | .[$path[-1]] |= empty) end);
def del(f): delpaths([path(f)]);
def to_entries: [keys_unsorted[] as $key | {key: $key, value: .[$key]}];
def from_entries:
  reduce .[] as $entry ({};
    . + {($entry
        | if type == "object" then [.key, .k, .name, .Name, .Key, .K]
            | map(select(. != null)) | .[0]
          else . end
        | if type == "string" then . else tojson end):
      ($entry | if type == "object"
        then if has("value") then .value elif has("v") then .v else .Value end
        else null end)});
def with_entries(f): to_entries | map(f) | from_entries;
def walk(f): def rec: (if type == "object" or type == "array" then map_values(rec) else . end) | f; rec;
def test($re; $flags): _test($re; $flags);
def test($re): _test($re; null);
def match($re; $flags): _matches($re; $flags)[];
def match($re): match($re; null);
def _named: [.captures[] | select(.name != null) | {(.name): .string}] | add // {};
def capture($re; $flags): match($re; $flags) | _named;
def capture($re): capture($re; null);
def scan($re; $flags):
  match($re; "g" + $flags)
  | if (.captures | length) > 0 then [.captures[].string] else .string end;
def scan($re): scan($re; null);
def split($re; $flags): [_pieces($re; "g" + $flags)[] | strings];
def splits($re; $flags): split($re; $flags) | .[];
def splits($re): splits($re; null);
def sub($re; f; $flags):
  reduce (_pieces($re; $flags)[]) as $piece ("";
    . + ($piece | if type == "string" then . else _named | f end));
def sub($re; f): sub($re; f; "");
def gsub($re; f; $flags): sub($re; f; "g" + $flags);
def gsub($re; f): sub($re; f; "g");
def IN(f): any(f == .; .);
def IN(from; f): any(from == f; .);
def INDEX(from; f): reduce from as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);
def tostream:
  path(def rec: (.[]? | rec), .; rec) as $path
  | getpath($path)
  | reduce path(.[]?) as $last ([$path, .]; [$path + $last]);
def fromstream(events):
  foreach events as $event ({};
    (if .done then {} else . end)
    | if ($event | length) == 2
      then .value = (.value | setpath($event[0]; $event[1])) | .done = ($event[0] == [])
      else .done = (($event[0] | length) == 1) end;
    if .done then .value else empty end);
def truncate_stream(stream):
  . as $depth | stream | select((.[0] | length) > $depth) | .[0] |= .[$depth:];
def significand: if . == 0 then 0 else . / pow(2; log2 | floor) end;
def logb: log2 | floor;
def gamma: lgamma;
def finites: select(isinfinite or isnan | not);
def normals: select(isnormal);
def isfinite: type == "number" and (isinfinite | not);
def @text: format("text");
def @json: format("json");
def @csv: format("csv");
def @tsv: format("tsv");
def @html: format("html");
def @uri: format("uri");
def @sh: format("sh");
def @base64: format("base64");
def @base64d: format("base64d");
