#!/usr/bin/env bash
# Has schemathesis make requests out of /openapi.json and send them to a t2d of
# its own: whatever comes, the answer must be none of 500 and above. Needs
# tools/setup.sh --clients and a built t2d. Further arguments go to schemathesis.
#   tools/api_conformance.sh [--max-examples N] ...
set -euo pipefail
cd "$(dirname "$0")/.."
daemon=${T2D:-build/release/bin/t2d}
schemathesis=$PWD/.venv-clients/bin/schemathesis
[ -x "$daemon" ] || { echo "api_conformance.sh: expected t2d at $daemon: build it, or name it in T2D" >&2; exit 2; }
[ -x "$schemathesis" ] || { echo "api_conformance.sh: expected $schemathesis: run tools/setup.sh --clients" >&2; exit 2; }

folder=$(mktemp -d /tmp/t2-conformance-XXXXXX)
pid=
clean_up() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap clean_up EXIT

# Requests name files to write (a backup, checkpoints): nothing but the folder
# can be written.
sandbox=(bwrap --ro-bind / / --dev /dev --proc /proc
  --bind "$folder" "$folder" --die-with-parent)
"${sandbox[@]}" true 2>/dev/null || { echo "api_conformance.sh: expected bubblewrap to work: requests name files to write" >&2; exit 2; }

: >"$folder/log"
HOME=$folder TMPDIR=$folder T2_CONFIG='' "${sandbox[@]}" "$(realpath "$daemon")" \
  --model-path "$PWD/tests/assets/stories260k-hf" \
  --model-svd-cache "$folder/svd" --store "$folder/store.db" \
  --socket "$folder/socket" --listen 127.0.0.1:0 --threads 1 \
  --engine-kv-bytes 64MiB --engine-dense-bytes 16MiB \
  --engine-max-context 512 --server-deadline 20s 2>"$folder/log" &
pid=$!
until grep -q ' ready: ' "$folder/log"; do
  kill -0 $pid 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
  sleep 0.1
done
url=$(sed -n 's/.*listening on \(http:[^ ]*\)$/\1/p' "$folder/log" | head -1)
echo "api_conformance.sh: t2d listens on $url"

# Something to ask for: tasks and experts of these names.
names=(one two three four five six seven eight nine ten)
send() { curl -sS --fail-with-body -o "$folder/answer" "$@" || { cat "$folder/answer" >&2; exit 1; }; }
send "$url/v1/experts/first/train" -d '{"data": "Yes, said Tom.\n\nNo, said Sue.\n\nHi, said Ann.",
  "format": "text", "steps": 2, "batch": 2, "max_tokens": 16, "learning_rate": 0.02}'
send "$url/v1/experts/first/file"
cp "$folder/answer" "$folder/expert"
for name in "${names[@]}"; do
  send -X PUT "$url/v1/experts/$name/file" --data-binary "@$folder/expert"
  send "$url/v1/tasks" -d "{\"name\": \"$name\", \"reward\": \"logprob\",
    \"examples\": [{\"prompt\": \"$name\", \"answer\": \" day\"}]}"
done

# The names take the place of whatever else could be one. 504 is right where a
# request has set itself a deadline.
send "$url/openapi.json"
.venv-clients/bin/python - "$folder/answer" "${names[@]}" >"$folder/openapi.json" <<'PYTHON'
import json, sys
document = json.load(open(sys.argv[1]))
for path in document["paths"].values():
    for parameter in path.get("parameters", []):
        parameter["schema"] = {"anyOf": [{"enum": sys.argv[2:]}, parameter["schema"]]}
models = ["auto", "base"] + [kind + name for kind in ("", "expert:") for name in sys.argv[2:]]
for name in ("chat_request", "completion_request"):
    document["components"]["schemas"][name]["properties"]["model"] = {"enum": models}
json.dump(document, sys.stdout)
PYTHON
cat >"$folder/schemathesis.toml" <<'TOML'
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 504]
TOML
code=0
cd "$folder"  # where it leaves notes of its own
"$schemathesis" --config-file "$folder/schemathesis.toml" run \
  "$folder/openapi.json" --url "$url" --checks not_a_server_error --request-timeout 60 \
  --seed 1 --workers 2 --max-examples 40 "$@" || code=$?
kill -0 $pid 2>/dev/null || { echo "api_conformance.sh: t2d has ended" >&2; tail -20 "$folder/log" >&2; exit 1; }
exit $code
