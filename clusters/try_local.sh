#!/usr/bin/env bash
# Try clusters/local.yaml on one Linux machine: three hosts in network namespaces, each with its own sshd.
#
#   sudo clusters/try_local.sh [RESULTS]        # needs root, Debian's openssh-server, iproute2 and rsync, and uv
#
# ray up; a demo sweep over all three; one worker cut off in mid-sweep and back later; ray down. Then the same sweep on this
# machine alone: the fronts must be equal. The hosts share the file system, as machines with one home on NFS do, but for
# /tmp; each has its own processes and its own network. Takes about 7 minutes on two cores. Leaves
# ~/face-anonymization-search, which is the hosts' copy of the project.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in sshd ssh ip rsync uv unshare; do
    command -v "$tool" >/dev/null || { echo "try_local: needs $tool (openssh-server, iproute2, rsync, uv)" >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "try_local: needs root, for network namespaces" >&2; exit 2; }

work=$(mktemp -d -p /var/tmp) # not in /tmp: every host has one of its own
results=${1:-$work/results}
net=198.18.77 # a range for tests of networks (RFC 2544), in namespaces of this machine alone
hosts=(fas-head fas-one fas-two)
key=~/.ssh/face-anonymization-search
made_key=
python=(uv run --no-sync python)
export RAY_AUTH_MODE=token RAY_ENABLE_UV_RUN_RUNTIME_ENV=0 RAY_USAGE_STATS_ENABLED=0

end() {
    for pid in "${sshds[@]:-}"; do [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; done
    # With its first process each host's others end too: it is the init of their namespace.
    for host in "${hosts[@]}"; do ip netns del "$host" 2>/dev/null || true; done
    ip link del fas-bridge 2>/dev/null || true
    [ -z "$made_key" ] || rm -f "$key" "$key.pub"
    [ "${results#"$work"}" != "$results" ] || rm -rf "$work"
}
sshds=()
trap end EXIT
trap 'exit 130' INT TERM

mkdir -p ~/.ssh && chmod 700 ~/.ssh
[ -f "$key" ] || { ssh-keygen -q -t ed25519 -N '' -f "$key"; made_key=yes; }
[ -s ~/.ray/auth_token ] || uv run --no-sync ray get-auth-token --generate >/dev/null
ssh-keygen -q -t ed25519 -N '' -f "$work/hostkey"
cp "$key.pub" "$work/authorized"

# The hosts' login shells find uv, and take packages from its cache: they have no way out.
cp -a /etc/profile.d "$work/profile.d"
cat >"$work/profile.d/zz-fas.sh" <<PROFILE
export PATH=$PATH UV_OFFLINE=1 UV_CACHE_DIR=$(uv cache dir) RAY_USAGE_STATS_ENABLED=0
PROFILE

# Ray finds its own address by the host's name where there is no way out.
printf '127.0.0.1 localhost\n' >"$work/hosts"
for number in 0 1 2; do echo "$net.$((10 + number)) ${hosts[$number]}" >>"$work/hosts"; done

ip link add fas-bridge type bridge
ip addr add "$net.1/24" dev fas-bridge
ip link set fas-bridge up
for number in 0 1 2; do
    host=${hosts[$number]} address=$net.$((10 + number))
    ip netns add "$host"
    ip link add "fas$number" type veth peer name eth0 netns "$host"
    ip link set "fas$number" master fas-bridge up
    ip -n "$host" addr add "$address/24" dev eth0
    ip -n "$host" link set eth0 up
    ip -n "$host" link set lo up
    cat >"$work/$host.conf" <<CONF
ListenAddress $address
HostKey $work/hostkey
AuthorizedKeysFile $work/authorized
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
PidFile none
MaxStartups 100
CONF
    ip netns exec "$host" unshare --mount --uts --pid --fork --mount-proc --kill-child bash -c "
        hostname $host
        mount -t tmpfs tmpfs /tmp && mount --bind $work/profile.d /etc/profile.d && mount --bind $work/hosts /etc/hosts && mkdir -p /run/sshd
        exec $(command -v sshd) -D -e -f $work/$host.conf" 2>"$work/$host.log" &
    sshds+=($!)
done

# local.yaml, in addresses only another.
sed "s/192\.0\.2\./$net./g" clusters/local.yaml >"$work/cluster.yaml"
diff <(sed "s/$net\./ADDRESS./g" "$work/cluster.yaml") <(sed 's/192\.0\.2\./ADDRESS./g' clusters/local.yaml)

cluster() { uv run --no-sync ray "$1" "$work/cluster.yaml" "${@:2}"; }
on_head() { ssh -i "$key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "root@$net.10" "bash --login -c '$*'"; }
nodes() { on_head "cd ~/face-anonymization-search && RAY_AUTH_MODE=token uv run --no-sync python -c \"import ray; ray.init(address=\\\"auto\\\", logging_level=\\\"ERROR\\\", log_to_driver=False); print(sum(n[\\\"Alive\\\"] for n in ray.nodes()))\"" 2>/dev/null | tail -n 1; }

echo "try_local: ray up"
cluster up --yes --no-config-cache >"$work/up.log" 2>&1 || { tail -n 40 "$work/up.log"; exit 1; }
for _ in $(seq 60); do [ "$(nodes)" = 3 ] && break; sleep 3; done
[ "$(nodes)" = 3 ] || { echo "try_local: expected 3 machines, got $(nodes)"; exit 1; }

sweep="--space classical --sampler grid --trials 24 --seed 0"
echo "try_local: a sweep over three machines"
mkdir -p "$results"
shared=~/face-anonymization-search/results/try_local
rm -rf "$shared"
on_head "cd ~/face-anonymization-search && OMP_WAIT_POLICY=PASSIVE RAY_AUTH_MODE=token uv run --no-sync python -m orchestrator.search --address auto --device cpu $sweep --out results/try_local" >"$work/search.log" 2>&1 &
search=$!
lines() { grep -c "$1" "$shared/log.jsonl" 2>/dev/null || true; }
until [ "$(lines '"trial ended"')" -ge 8 ] 2>/dev/null && [ "$(lines '"panel stands"')" -ge 2 ]; do
    kill -0 $search 2>/dev/null || { cat "$work/search.log"; exit 1; }
    sleep 1
done
echo "try_local: fas-one is cut off after $(lines '"trial ended"') trials"
ip link set fas1 down
until [ "$(lines 'lost"')" -ge 1 ]; do
    kill -0 $search 2>/dev/null || break
    sleep 1
done
sleep 5
echo "try_local: fas-one is back after $(lines '"trial ended"') trials"
ip link set fas1 up
wait $search || { cat "$work/search.log"; exit 1; }
cp -a "$shared" "$results/three"
grep "front.parquet" "$work/search.log"
for _ in $(seq 40); do [ "$(nodes)" = 3 ] && break; sleep 3; done
echo "try_local: $(nodes) machines at the end; ray down"
cluster down --yes >"$work/down.log" 2>&1 || { tail -n 20 "$work/down.log"; exit 1; }

echo "try_local: the same sweep on this machine alone"
"${python[@]}" -m orchestrator.search --backend inprocess --device cpu $sweep --out "$results/one" --overwrite >"$work/one.log" 2>&1 ||
    { cat "$work/one.log"; exit 1; }
"${python[@]}" - "$results" <<'COMPARE'
import collections, json, pathlib, sys
import pyarrow.parquet as pq

folder = pathlib.Path(sys.argv[1])
one, three = (pq.read_table(folder / name / "trials.parquet").to_pylist() for name in ("one", "three"))
assert [row["trial"] for row in three] == list(range(len(one))) and len(one) > 20, "every trial once"
assert all(row["status"] == "complete" for row in three)
def table(rows):
    return {row["anonymizer"]: (row["rank1_worst"], row["expression_kappa_adapted"]) for row in rows}
a, b = table(one), table(three)
assert a.keys() == b.keys()
off = max(abs(x - y) for key in a for x, y in zip(a[key], b[key]))
assert off < 1e-4, f"scores differ by up to {off}"
fronts = [sorted(r["anonymizer"] for r in pq.read_table(folder / n / "front.parquet").to_pylist()) for n in ("one", "three")]
assert fronts[0] == fronts[1], fronts
events = [json.loads(line) for line in (folder / "three" / "log.jsonl").read_text().splitlines()]
where = collections.Counter(e["node"][:8] for e in events if e["event"] == "trial starts")
lost = [e for e in events if e["event"] in ("trial lost", "panel lost")]
print(f"try_local: {len(three)} trials, each once; front of {len(fronts[0])} as on one machine; trials per machine {dict(where)};")
for event in lost:
    print("   ", event["event"], event.get("trial", ""), event["reason"][:110])
assert len(where) >= 3 and lost
COMPARE
echo "try_local: all as it must be"
