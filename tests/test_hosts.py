"""Several processes of one run meet, or are told in one line why they cannot."""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from genlab.errors import UserError
from genlab.hosts import board, join, meeting, slurm, supervisor
from genlab.hosts.place import Place, place

STEP = {
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_NODELIST": "node[003-007,011]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_NODEID": "1",
    "SLURM_LOCALID": "1",
}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Whatever started the tests is not the cluster that they speak of."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TPU_", "CLOUD_TPU", "MEGASCALE_", "CUDA_VISIBLE")):
            monkeypatch.delenv(name)


@pytest.fixture
def step(monkeypatch):
    """A task of a Slurm step."""
    for name, value in STEP.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def port() -> int:
    with socket.create_server(("", 0)) as free:
        return free.getsockname()[1]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("", None, 1), "need --coordinator"),
        (("", 2, None), "need --coordinator"),
        (("auto", None, None), "neither a Slurm step"),
        (("host", 2, 0), "give host:port, such as host:1234"),
        (("host:", 2, 0), "give host:port"),
        (("http://host:1", 2, 0), "give host:port"),
        (("host:99999", 2, 0), "give host:port"),
        (("host:1", None, 0), "needs --processes and --process"),
        (("host:1", 2, None), "needs --processes and --process"),
        (("host:1", 2, 2), "take 0 to 1"),
        (("host:1", 2, -1), "take 0 to 1"),
        (("host:1", 0, 0), "counted from 0"),
    ],
)
def test_flags_that_contradict_each_other_are_one_line(given, told):
    with pytest.raises(UserError, match=told) as caught:
        place(*given)
    assert "\n" not in str(caught.value)


def test_flags_say_a_place_and_none_says_alone():
    assert place("", None, None) is None and place("", 1, 0) is None
    assert place("node-1.local:1234", 2, 1) == Place("node-1.local", 1234, 2, 1)
    assert place("[::1]:1234", 2, 1) == Place("::1", 1234, 2, 1)


def test_a_slurm_step_is_found_and_a_task_that_was_not_told_is_refused(step):
    assert place("auto", None, None) == Place("node003", 61440 + 77, 4, 3)
    with pytest.raises(UserError, match=r"Slurm started 4 tasks.*--coordinator=auto"):
        place("", None, None)
    with pytest.raises(UserError, match="by itself"):
        place("auto", 4, None)
    step.setenv("SLURM_STEP_ID", "batch")  # sbatch's own script, which srun is not yet in
    assert place("", None, None) is None


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("a1", "a1"), ("a1,b2", "a1"), ("n[01,3-5]-x", "n01"), ("gpu-7[12-14]", "gpu-712")],
)
def test_the_first_node_of_a_list(step, nodes, first):
    step.setenv("SLURM_STEP_NODELIST", nodes)
    assert slurm.coordinator()[0] == first


@pytest.mark.parametrize(
    ("seen", "more", "own"),
    [
        ("0,1,2,3", {}, [2, 3]),  # two tasks of a node see the same four
        ("0,1,2,3,4,5,6,7", {"SLURM_STEP_TASKS_PER_NODE": "1(x2)"}, None),  # one task, all GPUs
        ("4,5", {"SLURM_GPUS_PER_TASK": "2"}, None),  # each task sees its own
        ("", {}, None),
    ],
)
def test_a_task_takes_all_gpus_that_it_was_given(step, seen, more, own):
    for name, value in {"CUDA_VISIBLE_DEVICES": seen, **more}.items():
        step.setenv(name, value)
    assert slurm.local_devices() == own


def together(wishes: list[dict], counts: list[int] | None = None, timeout: float = 20.0) -> list:
    """What each process meets: an address, or what it is told."""
    at = port()

    def one(process: int) -> str:
        own = Place("127.0.0.1", at, (counts or [len(wishes)] * len(wishes))[process], process)
        try:
            return meeting.meet(own, wishes[process], timeout)
        except UserError as error:
            return f"told: {error}"

    with ThreadPoolExecutor(len(wishes)) as pool:
        return list(pool.map(one, range(len(wishes))))


def test_processes_that_want_the_same_meet_and_learn_their_addresses():
    assert together([{"config.seed": 0}] * 3) == ["127.0.0.1"] * 3


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ([{"config.seed": 0}, {"config.seed": 1}], "config.seed: process 0 has 0, process 1 has 1"),
        ([{"the newest checkpoint in x": 60}, {"the newest checkpoint in x": None}], "None"),
    ],
)
def test_processes_that_want_different_things_are_all_told_the_first(wishes, told):
    found = together(wishes)
    assert len(set(found)) == 1 and found[0].startswith("told: ") and told in found[0]


def test_processes_that_count_differently_are_told():
    assert all("--processes: process 0 says 2" in x for x in together([{}, {}], counts=[2, 3]))


def test_who_does_not_come_is_named_and_waiting_is_told(monkeypatch, caplog):
    import logging

    monkeypatch.setattr(meeting, "EVERY", 0.1)
    monkeypatch.setattr(logging.getLogger("genlab"), "propagate", True)
    absent = pytest.raises(UserError, match="1 of 3 processes are there; process 1, 2 did not")
    with caplog.at_level(logging.INFO, "genlab"), absent:
        meeting.meet(Place("127.0.0.1", port(), 3, 0), {}, 0.5)
    assert "1 of 3 processes are there; waiting for process 1, 2." in caplog.text


def test_who_talks_otherwise_on_the_port_is_not_taken_for_a_process():
    at, done = port(), []
    first = threading.Thread(
        target=lambda: done.append(meeting.meet(Place("127.0.0.1", at, 2, 0), {}, 20.0))
    )
    first.start()
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", at), timeout=1) as stranger:
                stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
            break
        except OSError:
            first.join(0.05)
    assert meeting.meet(Place("127.0.0.1", at, 2, 1), {}, 20.0) == "127.0.0.1"
    first.join()
    assert done == ["127.0.0.1"]


def test_what_all_must_want_alike_names_every_key_and_the_newest_checkpoint(tmp_path, config):
    (tmp_path / "checkpoints/40").mkdir(parents=True)
    found = join.wish(config, str(tmp_path), "train")
    assert found["config.data.batch_size"] == config.data.batch_size
    assert found[f"the newest checkpoint in {tmp_path}"] == 40
    assert meeting.difference(found, join.wish(config, str(tmp_path), "train"), 1) == ""


def test_a_lost_process_is_told_with_the_step_and_the_last_checkpoint(tmp_path):
    board.write(70)
    assert "process 1 was lost at step 70; there is no" in supervisor.lost([1], str(tmp_path))
    (tmp_path / "checkpoints/60").mkdir(parents=True)
    (tmp_path / "checkpoints/65.orbax-checkpoint-tmp").mkdir()
    told = supervisor.lost([1, 2], str(tmp_path))
    assert "process 1, 2 was lost at step 70; the last checkpoint is step 60" in told


def test_what_a_process_says_of_its_end_is_heard_amid_what_its_cpp_code_says(capsys):
    said = [
        "step 20/100 train: nll 3.2",
        "W1126 03:00:00.000000 1 client.cc:7] Failed to retrieve a notice",
        "Additional GRPC error information from remote target coordination_service",
        ':UNKNOWN:Error received from peer {grpc_message:"Socket closed"}',
        "F1126 03:00:01.000000 1 client.cc:9] terminating the process",
        "*** Check failure stack trace: ***",
        "    @     0x7f launch.py: run: process 1 was lost at step 70",
        "    @     0x7f abort",
    ]
    ours, theirs = os.pipe()
    os.write(theirs, "".join(f"{line}\n" for line in said).encode())
    os.close(theirs)
    heard = supervisor.Heard()
    supervisor.pass_on(ours, heard)
    told = capsys.readouterr().err.splitlines()
    assert told == [said[0], "launch.py: run: process 1 was lost at step 70"]
    assert heard.gave_up and heard.why
