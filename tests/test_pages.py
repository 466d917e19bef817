"""Reports: what is on a page, and what is not."""

from __future__ import annotations

import html.parser
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genlab import config as configs
from genlab.errors import UserError
from genlab.modes import report
from genlab.pages import curves, folders, page, pictures, standing, tables
from genlab.pages import events as told
from genlab.pages import settings as differences
from genlab.workdir import lines, lock
from genlab.workdir.evaluations import measured
from tests.conftest import tiny_config
from tests.workdirs import FIRST, PROTOCOL, evaluated, read, run

HOSTILE = "</script><script>x = '\"&</td><img src=http://evil onerror=x>"


class Seen(html.parser.HTMLParser):
    """The tags of a page with their attributes, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_a_command_line_names_runs_and_folders_of_runs_each_once(tmp_path):
    one, two, three = (
        run(tmp_path / name) for name in ("a", "sweep/x=1,seed=0", "sweep/x=2,seed=0")
    )
    (tmp_path / "sweep" / "figures").mkdir()
    assert folders.runs(str(one)) == [one]
    assert folders.runs(str(tmp_path)) == [one, two, three]
    assert folders.runs(str(one), f"{two},{tmp_path / 'sweep'}") == [one, two, three]
    for place, more in ((tmp_path / "no", ""), (one, f"{tmp_path / 'no'}"), (one, "x,y")):
        with pytest.raises(UserError, match="name "):
            folders.runs(str(place), more)


def test_runs_of_a_sweep_stand_in_the_order_of_their_numbers(tmp_path):
    found = [run(tmp_path / f"code={code},seed=0") for code in (2, 4, 16, 32)]
    assert folders.runs(str(tmp_path)) == found


def test_names_are_as_short_as_they_can_be_and_tell_runs_apart(tmp_path):
    paths = [tmp_path / name for name in ("s/a", "t/a", "t/b")]
    assert folders.names(paths) == ["s/a", "t/a", "b"]


def test_numbers_of_different_protocols_are_in_different_tables(tmp_path):
    one, two, three = (run(tmp_path / name) for name in "abc")
    evaluated(one, 9.0, weights="ema")
    evaluated(one, 1.0, weights="ema")
    evaluated(two, 2.0, weights="raw")
    evaluated(three, 3.0, estimate="bound")
    found = tables.tables(read(one, two, three))
    own = [[(row.run, row.cells["nll"].value) for row in table.rows] for table in found]
    assert own == [[(0, 1.0), (1, 2.0)], [(2, 3.0)], [(0, 0.5), (1, 0.5), (2, 0.5)]]
    assert [table.odd for table in found] == [{"estimate"}, {"estimate"}, set()]
    assert tables.warned(found) == tables.Warned(["nll"], ["estimate"])
    assert tables.warned(tables.tables(read(one, two))) is None
    assert found[0].rows[0].cells["nll"].half == pytest.approx(2.093 * 0.5, rel=1e-3)
    assert found[0].free == ["weights"] and "list" not in found[0].columns


def test_validation_metrics_of_other_data_or_likelihoods_are_not_in_one_table(tmp_path):
    changes = [{}, {"optim.learning_rate": 0.5}, {"likelihood.levels": 2}, {"data.image_size": 16}]
    found = [run(tmp_path / str(i), **change) for i, change in enumerate(changes)]
    assert [[r.run for r in t.rows] for t in tables.tables(read(*found))] == [[0, 1], [2], [3]]


def test_samples_have_their_own_protocol_and_floors_stand_beside(tmp_path):
    line = {"step": 6, "nll": 1.0, "protocol": PROTOCOL, "standard_error": {"nll": 0.1}}
    line |= {"frechet": 2.0, "frechet_floor": 1.0, "frechet_ceiling": 9.0}
    line |= {"samples_protocol": {"features": "f", "images": 8}}
    lines.append(run(tmp_path / "a") / "eval.jsonl", line)
    nll, samples, _ = tables.tables(read(tmp_path / "a"))
    assert nll.columns.keys() == {"nll"} and samples.protocol == {"features": "f", "images": "8"}
    assert samples.rows[0].cells == {"frechet": tables.Cell(2.0, None, 1.0, 9.0)}
    assert [m.numbers for m in measured({"step": 1, "nll": 2.0})] == [{"nll": 2.0}]


def test_differences_on_the_same_images_are_told(tmp_path):
    places = [evaluated(run(tmp_path / name), 1.0) for name in "abc"]
    for place, image, value in zip(places, (0, 0, 5), (1.0, 3.0, 3.0), strict=True):
        (place / "eval").mkdir()
        np.savez(place / "eval" / "x.npz", image=np.arange(4) + image, nll=np.full(4, value))
        line = lines.read_lines(place / "eval.jsonl")[-1] | {"values": "eval/x.npz"}
        lines.write_atomically(place / "eval.jsonl", json.dumps(line) + "\n")
    (told_of,) = tables.tables(read(*places))[0].differences
    assert told_of.startswith("b minus a: nll +2 ")


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "trained"),
        ({"train.steps": 12}, "lost"),
        ({"train.steps": 12, "events": [{"event": "preempted", "step": 6}]}, "stopped"),
        ({"train.steps": 12, "events": [{"event": "stopped_by_watch", "step": 6}]}, "stopped"),
        ({"train.steps": 12, "events": [{"event": "resume", "step": 3}]}, "lost"),
    ],
)
def test_where_a_run_stands(tmp_path, change, state):
    events = [{"time": FIRST, **event} for event in change.pop("events", [])]
    folder = run(tmp_path / "a", events=events, **change)
    assert standing.standing(*read(folder)).state == state
    with lock.held(folder, "run.lock"):
        assert standing.standing(*read(folder)).state == "running"
    if state == "lost":
        (folder / "failed.json").write_text('{"error": "no disk"}')
        now = standing.standing(*read(folder))
        assert (now.state, now.told) == ("failed", "no disk")


def test_the_time_of_a_run_is_what_its_files_say_and_never_theirs(tmp_path):
    later = "2026-01-01T01:00:00Z"
    ends = [{"event": "preempted", "step": 3, "time": "2026-01-01T00:00:40Z"}]
    ends += [{"event": "trained", "step": 6, "time": "2026-01-01T01:01:00Z"}]
    whole, killed, old, unknown = (
        run(tmp_path / "whole", events=ends, starts=(FIRST, later)),
        run(tmp_path / "killed", events=ends[1:], starts=(FIRST, later)),
        run(tmp_path / "old"),
        run(tmp_path / "unknown"),
    )
    kept = old / "checkpoints" / "6"
    kept.mkdir(parents=True)
    saved = {"commit_timestamp_nsecs": int((standing._seconds(FIRST) + 30) * 1e9)}
    (kept / "_CHECKPOINT_METADATA").write_text(json.dumps(saved))
    found = [standing.duration(x) for x in read(whole, killed, old, unknown)]
    assert found == [(100, True), (60, False), (30, True), (None, False)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(10, 60))
def test_thinning_keeps_ends_and_extremes_and_no_more_than_asked(values, most):
    points = list(enumerate(values))
    kept = curves.thinned(points, most)
    assert len(kept) <= max(most, 3) and kept == sorted(set(kept)) and set(kept) <= set(points)
    assert kept[0] == points[0] and kept[-1] == points[-1]
    assert {min(values), max(values)} <= {y for _, y in kept}


def test_ten_long_runs_fit_in_three_megabytes(tmp_path):
    names = [f"metric_{i}" for i in range(12)]
    rng = np.random.default_rng(0)
    for number in range(10):
        folder = run(tmp_path / str(number))
        made = [
            {"step": step, "epoch": step / 7, "split": split}
            | dict(zip(names, rng.normal(size=12), strict=True))
            for step in range(50, 50 * 500, 50)
            for split in ("train", "valid")
        ]
        lines.append(folder / "metrics.jsonl", *made)
    assert len(page.render(folders.runs(str(tmp_path))).encode()) < 3_000_000


def test_numbers_that_json_does_not_know_leave_gaps_in_curves(tmp_path):
    folder = run(tmp_path / "a")
    lines.append(folder / "metrics.jsonl", {"step": 9, "split": "train", "nll": float("nan")})
    found = json.loads(json.dumps(curves.curves(read(folder)), allow_nan=False))
    assert [c["x"] for c in found["curves"]] == [[3, 6], [3, 6]] and found["first"] == "nll"


def test_only_settings_that_differ_are_shown(tmp_path):
    one, two = run(tmp_path / "a"), run(tmp_path / "b", **{"optim.learning_rate": 0.5})
    found = differences.differences(read(one, two))
    assert found.rows == [("optim.learning_rate", ["0.001", "0.5"])]
    assert len(differences.differences(read(one)).rows) == found.count > 50


def test_events_stand_in_the_order_in_which_they_happened(tmp_path):
    events = [
        {"event": "watch", "step": 2, "metric": "nll", "value": 9.0, "action": "rollback"},
        {"event": "rollback", "step": 2, "to": 1, "attempt": 1},
        {"event": "resume", "step": 3, "time": "2026-01-02T00:00:00Z"},
        {"event": "new kind", "step": 4, "x": 1},
    ]
    folder = run(tmp_path / "a", events=events, starts=(FIRST, "2026-01-01T09:00:00Z"))
    found = told.events(*read(folder))
    kinds = ["start", "watch", "rollback", "start", "resume", "new kind"]
    assert [event.kind for event in found] == kinds
    assert [event.grave for event in found] == [False, True, True, False, False, False]
    assert "back to step 1" in found[2].told and found[-1].told == '{"x": 1}'


def test_commands_can_be_given_to_a_shell(tmp_path):
    found = told.commands(*read(evaluated(run(tmp_path / "a b"), 1.0)))
    assert found.commit == "abc" and found.dirty
    assert found.lines[0] == "python launch.py '--workdir=a b'"
    assert found.lines[1] == f"python launch.py --workdir='{tmp_path}/a b' --mode=eval"


def test_in_a_row_stand_pictures_of_one_random_key(tmp_path):
    places = [run(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1))]
    for place in places:
        for name in ("step_00000003", "step_00000006", "step_00000006_seed_5_count_4"):
            (place / "samples").mkdir(exist_ok=True)
            Image.new("L", (9, 5)).save(place / "samples" / f"{name}.png")
    (places[0] / "samples" / "step_00000006.png").write_bytes(b"no picture")
    found = pictures.gallery(read(*places))
    shown = {(s.title, s.key): [(p.run, p.step) for p in s.pictures] for s in found.strips}
    assert shown == {
        ("Samples", "seed 5 count 4"): [(0, 6), (1, 6), (2, 6)],
        ("1", ""): [(1, 6)],
        ("2", ""): [(2, 6)],
    }
    assert found.left_out == 1
    assert found.strips[0].pictures[0].url.startswith("data:image/png;base64,")


def test_a_large_picture_is_made_smaller(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 1800, 3), np.uint8)
    (tmp_path / "figures").mkdir()
    Image.fromarray(noise).save(tmp_path / "figures" / "x.png")
    (found,) = pictures.of_folder(tmp_path)
    size = (tmp_path / "figures" / "x.png").stat().st_size
    assert found.size == (1800, 900) and len(found.url) < size / 2


def test_nothing_that_a_workdir_says_becomes_markup(tmp_path):
    event = {"event": "not_finite", "step": 1, "metric": HOSTILE, "value": HOSTILE}
    folder = run(tmp_path / "a<b>&'\"", events=[event], **{"eval.classifier": HOSTILE})
    evaluated(folder, 1.0, source=HOSTILE)
    clean = run(tmp_path / "clean", **{"eval.classifier": "x"})
    lines.append(folder / "metrics.jsonl", {"step": 7, "split": "train", HOSTILE: 1.0})
    before, after = (Seen(page.render([x, evaluated(clean, 1.0)])) for x in (clean, folder))
    assert [t for t, _ in after.tags].count("script") == [t for t, _ in before.tags].count("script")
    assert not [a for t, a in after.tags if t == "img" and "onerror" in a]
    assert HOSTILE in after.text and "a<b>&'\"" in "".join(after.text)


def test_a_page_names_no_address(tmp_path):
    seen = Seen(page.render([evaluated(run(tmp_path / "a"), 1.0)]))
    named = [a[key] for _, a in seen.tags for key in ("src", "href", "action") if a.get(key)]
    assert named and all(x.startswith(("#", "data:")) for x in named)
    assert "The MIT License" in "".join(seen.text), "uPlot goes with its licence"
    (policy,) = [a["content"] for _, a in seen.tags if "http-equiv" in a]
    assert "default-src 'none'" in policy


def test_a_page_stands_where_it_is_asked_to(tmp_path, capsys):
    folder = run(tmp_path / "a")
    assert report.report(str(folder)) == folder / "report.html"
    assert report.report(str(folder), "", str(tmp_path / "x" / "b.html")).exists()
    assert report.report(str(folder), "", str(tmp_path / "y")) == tmp_path / "y" / "report.html"
    assert capsys.readouterr().out.count("report: ") == 3


def test_a_run_of_a_family_that_is_not_here_is_shown_as_it_is(tmp_path):
    folder = run(tmp_path / "a")
    config = json.loads((folder / "config.json").read_text()) | {"task": "elsewhere.flows"}
    (folder / "config.json").write_text(json.dumps(config))
    assert "elsewhere.flows" in page.render([folder])
    (folder / "config.json").write_text("[]")
    with pytest.raises(UserError, match="not a config"):
        page.render([folder])


def test_a_folder_with_evaluations_alone_is_a_run(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    evaluated(folder, 1.0)
    assert standing.standing(*read(folder)).state == "evaluated"
    assert "no config" in page.render(folders.runs(str(tmp_path)))


def test_the_config_of_a_report_is_that_of_its_runs(launch, tmp_path):
    run(tmp_path / "runs" / "a")
    workdir = f"--workdir={tmp_path / 'runs'}"
    ended = launch("--mode=report", workdir)
    assert ended.returncode == 0 and (tmp_path / "runs" / "report.html").exists()
    refused = launch("--mode=report", workdir, "--config.seed=3")
    assert refused.returncode == 2 and "config.seed" in refused.stderr
    assert configs.flat(tiny_config())["seed"] == 0
