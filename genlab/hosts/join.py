"""Processes that have met are joined by `jax.distributed`."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
from pathlib import Path

import jax
from ml_collections import ConfigDict

from genlab.config import flat
from genlab.hosts import slurm, watchdog
from genlab.hosts.meeting import Wish, meet
from genlab.hosts.place import Place
from genlab.version import __version__
from genlab.workdir import paths

# JAX's heartbeats wait so many times as long as a process may be silent: `pulse` decides before,
# and they are for networks in which it reaches nobody.
PATIENCE = 4


def wish(config: ConfigDict, workdir: str, mode: str) -> Wish:
    """What all processes of a run must want, and see, alike."""
    found = {f"config.{key}": value for key, value in flat(config).items()}
    found |= {"--mode": mode, "the version of genlab": __version__}
    if workdir:
        newest = max(paths.checkpoints(workdir), default=None)
        found[f"the newest checkpoint in {workdir}"] = newest
    return dict(json.loads(json.dumps(found)))  # as it arrives elsewhere: tuples are lists


def join(place: Place, wanted: Wish, join_timeout: float = 300, lost_timeout: float = 60) -> None:
    """Waits for all processes, then starts `jax.distributed`.

    Raises: UserError for who does not come in time, and for processes that want different things.
    """
    jax.config.update("jax_enable_recoverability", True)  # we end the others, not C++
    heartbeat = max(5, int(PATIENCE * lost_timeout))
    on_cpu = "cpu" in (
        getattr(jax.config, "jax_platforms", None) or os.environ.get("JAX_PLATFORMS", "cpu")
    )
    if on_cpu:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if not place.coordinator:
        jax.distributed.initialize(heartbeat_timeout_seconds=heartbeat)
        _hold_lines(heartbeat)
        return
    address = meet(place, wanted, join_timeout)
    jax.distributed.initialize(
        f"{place.coordinator}:{place.port}",
        place.processes,
        place.process,
        local_device_ids=slurm.local_devices(),
        cluster_detection_method="deactivate",
        initialization_timeout=int(join_timeout),
        heartbeat_timeout_seconds=heartbeat,
    )
    _hold_lines(heartbeat)
    if on_cpu and address:
        _listen_at(address)


def _hold_lines(seconds: float) -> None:
    """Of process 0, to the others: when what it sent is not received for 20 s, as when a network is
    cut, gRPC drops a connection, and has no setting for that."""
    if not hasattr(socket, "TCP_USER_TIMEOUT"):  # not Linux
        return
    port = watchdog.coordinator()[1]
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(file.name))) as line:
            if line.getsockname()[1:2] == (port,):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * seconds))


def _listen_at(address: str) -> None:
    """Collectives on CPU listen where the coordinator is reached from.

    JAX takes the address of the host's own name, which Debian sets to 127.0.1.1, and has no setting
    for it; so its factory for CPUs is replaced by itself with that address.
    """
    from jax._src import distributed, xla_bridge
    from jax._src.lib import _jax

    collectives = functools.partial(
        _jax.make_gloo_tcp_collectives,
        distributed_client=distributed.global_state.client,
        hostname=address,
    )
    xla_bridge.register_backend_factory(
        "cpu",
        lambda: xla_bridge.make_cpu_client(collectives=collectives()),
        priority=0,
        fail_quietly=False,
    )
