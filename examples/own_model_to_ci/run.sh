#!/bin/sh
# Your own model to CI: train, compile, prove, run, check, and keep a baseline that the next change is compared with.
# Training needs Python 3.10, the rest runs on any; a few seconds in all. Run it here: sh run.sh
set -e

pisnn-deploy train rod.yaml -o rod.pt -q
pisnn-deploy compile rod.pt --mesh 200 --boundary dirichlet=12,28 -o rod.pisnn

# What a CI does with the artifact: each of these ends with 1 if something is wrong.
pisnn-deploy verify rod.pisnn
pisnn-deploy simulate rod.pisnn --backend fast --steps 500 --json -q > run.json
pisnn-deploy check rod.pisnn --profile loihi2 --events run.json --format junit --output check.xml

# The baseline is made once and committed; later checks fail when a resource grows by more than 5 percent.
test -f baseline.json || pisnn-deploy check rod.pisnn --profile loihi2 --format json --output baseline.json -q
pisnn-deploy check rod.pisnn --profile loihi2 --baseline baseline.json
