#!/usr/bin/env bash
# Checks the rooms: includes point down only, CAF is seen in actors/ alone.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
for rule in \
  'config:sandbox|weights|text|store|model|engine|adaptation|pretraining|actors|http|demo|tools' \
  'weights:sandbox|text|store|model|engine|adaptation|pretraining|actors|http|demo|tools' \
  'sandbox:weights|text|store|model|engine|adaptation|pretraining|actors|http|demo|tools' \
  'text:sandbox|weights|store|model|engine|adaptation|pretraining|actors|http|demo|tools' \
  'store:sandbox|weights|text|model|engine|adaptation|pretraining|actors|http|demo|tools' \
  'model:sandbox|store|engine|adaptation|pretraining|actors|http|demo|tools' \
  'engine:weights|sandbox|store|adaptation|pretraining|actors|http|demo|tools' \
  'adaptation:pretraining|actors|http|demo|tools' \
  'pretraining:sandbox|store|engine|actors|http|demo|tools' \
  'actors:pretraining|http|demo|tools' \
  'http:sandbox|pretraining|demo|tools' \
  'demo:weights|text|store|model|engine|adaptation|pretraining|actors|http|tools'; do
  room=${rule%%:*} above=${rule#*:}
  if grep -rnE "#include \"($above)/" "$room" --include='*.?pp'; then
    echo "check.sh: $room/ includes a room above it" >&2
    failed=1
  fi
done
if grep -rnE '#include <caf/' --include='*.?pp' . |
  grep -vE '^\./(actors|tests/actors|build|\.venv)'; then
  echo "check.sh: CAF outside actors/" >&2
  failed=1
fi
# http/ sees the actors through their façade.
if grep -rnE '#include "actors/' http --include='*.?pp' | grep -v 'actors/client.hpp'; then
  echo "check.sh: http/ includes more of actors/ than client.hpp" >&2
  failed=1
fi
((failed)) || echo "check.sh: the rooms are in order"
exit $failed
