#!/usr/bin/env bash
# Makes two network namespaces, genlabA (10.78.0.11) and genlabB (10.78.0.12), joined by a bridge:
# two hosts on one machine, for processes that must find each other over a network. Their own name
# is 127.0.1.1 there, as Debian has it. Needs root, iproute2 and a kernel that allows it;
# `tests/slurm/two_hosts.sh down` removes them.
set -euo pipefail
bridge=genlabbr

down() {
  for host in genlabA genlabB; do
    ip netns del "$host" 2>/dev/null || true
    rm -rf "/etc/netns/$host"
  done
  ip link del "$bridge" 2>/dev/null || true
}

down
[ "${1:-up}" = down ] && exit 0
trap down ERR
ip link add "$bridge" type bridge
ip link set "$bridge" up
number=11
for host in genlabA genlabB; do
  ip netns add "$host"
  ip link add "v$host" type veth peer name eth0 netns "$host"
  ip link set "v$host" master "$bridge" up
  ip -n "$host" address add "10.78.0.$number/24" dev eth0
  ip -n "$host" link set eth0 up
  ip -n "$host" link set lo up
  mkdir -p "/etc/netns/$host" # `ip netns exec` has it in the place of /etc/hosts
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$(hostname)" > "/etc/netns/$host/hosts"
  number=$((number + 1))
done
