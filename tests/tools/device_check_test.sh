#!/usr/bin/env bash
# tools/device_check.sh is written for machines that are seldom at hand: its
# languages parse, it says what it takes, and refuses what it does not.
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() {
  echo "device_check_test.sh: $*" >&2
  exit 1
}
bash -n tools/device_check.sh
for file in bench/device_check.py bench/device_summary.py; do
  python3 -c "import ast, sys; ast.parse(open(sys.argv[1]).read())" "$file"
done
help=$(tools/device_check.sh --help)
for word in pack run --device --out --parts; do
  grep -qe "$word" <<<"$help" || fail "--help does not name $word"
done
for wrong in "" nonsense "pack --nonsense"; do
  # shellcheck disable=SC2086
  said=$(tools/device_check.sh $wrong 2>&1) && fail "'$wrong' was taken"
  grep -q "expected" <<<"$said" || fail "'$wrong': $said"
done
# A cut benchmark still tells what it has measured, and a summary what failed.
PYTHONPATH=bench python3 - <<'PYTHON'
import pathlib
import tempfile

from device_summary import as_text, benchmarks

file = pathlib.Path(tempfile.mkdtemp()) / "report.json"
assert benchmarks(file) == []
file.write_text('{"context": {}, "benchmarks": [\n {"name": "a"},\n {"name": "b"}')
assert [one["name"] for one in benchmarks(file)] == ["a", "b"]
file.write_text('{"context": {}, "benchmarks": [\n {"name": "a"}\n]}')
assert [one["name"] for one in benchmarks(file)] == ["a"]
text = as_text(dict(
    device="cuda", began="now", built=dict(commit="abc"),
    parts=[dict(name="tests", state="failed", seconds=1, limit=2, left_out=[],
                failed=["plans: off by one"],
                results=dict(plans=dict(one="passed", two="failed")))]))
for word in ("abc", "tests: failed", "1 failed, 1 passed", "off by one"):
    assert word in text, text
PYTHON
