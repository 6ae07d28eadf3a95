#!/usr/bin/env bash
# Ray 2.60.0: a driver that asked for silence (`log_to_driver=False`, `logging_level="ERROR"`) still gets the
# report of a lost node on standard output. After one of two nodes is killed, the node's last log lines, its "state-dump"
# among them, stand between the driver's own results; the text goes through Ray's printing of errors, not of logs, and
# that has no option. Seen: more than ten lines on standard output that the driver did not write, the first of them with
# "Raylet is terminated". A program whose standard output is read by another (JSON, a table) is spoilt by it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check ray==2.60.0
cat > driver.py <<'PY'
import time

import ray
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
print("DRIVER before", flush=True)
cluster.remove_node(other, allow_graceful=False)
deadline = time.monotonic() + 60
while sum(node["Alive"] for node in ray.nodes()) > 1 and time.monotonic() < deadline:
    time.sleep(0.5)
time.sleep(5)  # the report comes a moment after
print("DRIVER after", flush=True)
ray.shutdown()
cluster.shutdown()
PY
RAY_USAGE_STATS_ENABLED=0 env/bin/python driver.py > out.txt 2> err.txt
env/bin/python - <<'PY'
lines = open("out.txt").read().splitlines()
own = [line for line in lines if line.startswith("DRIVER")]
others = [line for line in lines if line.strip() and not line.startswith("DRIVER")]
print(f"lines of the driver: {len(own)}; lines of Ray on standard output: {len(others)}")
print(others[0][:120] if others else "")
assert len(own) == 2
assert len(others) > 10
assert "Raylet is terminated" in "\n".join(others)
PY
