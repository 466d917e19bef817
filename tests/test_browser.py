"""The report in a real Chromium; `make test-browser`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from genlab.errors import RunStopped
from genlab.modes import evaluate, report, sample
from genlab.training import loop as train
from genlab.workdir import lines, lock
from tests import browser
from tests.conftest import tiny_config
from tests.helpers import code_config
from tests.sweeps import experiment
from tests.sweeps import swept as run_sweep

pytestmark = pytest.mark.browser

HOSTILE = "<script>window.taken = true</script>"


@pytest.fixture(scope="module")
def chromium():
    with browser.opened() as found:
        yield found


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Three real runs: one that resumed and raised alarms, one of another family, one at work."""
    folder = tmp_path_factory.mktemp("runs")
    for steps in (3, 6):
        config = tiny_config()
        config.train.update(steps=steps, log_every=1, eval_every=1)
        config.eval.classifier = ""
        config.train.watch = {"nll": {"high": 1.0}}
        train.train(config, str(folder / "pixels"))
    evaluate.evaluate_run(config, str(folder / "pixels"))
    sample.sample(config, str(folder / "pixels"))
    config = tiny_config()
    config.optim.learning_rate = 1e30
    config.optim.update(clip_norm=0.0, ema=0.0)
    with contextlib.suppress(RunStopped):
        train.train(config, str(folder / "broken"))
    config = code_config("mnist_vae")
    train.train(config, str(folder / "codes"))
    evaluate.evaluate_run(config, str(folder / "codes"))
    (path,) = folder.glob("codes/config.json")
    path.write_text(path.read_text().replace('"classifier": ""', f'"classifier": "{HOSTILE}"'))
    with lock.held(folder / "codes"):
        report.report(str(folder))
    return folder / "report.html"


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """Twelve runs, of which the first two are real: more than there are colours."""
    folder = tmp_path_factory.mktemp("swept")
    points = [{"optim.learning_rate": rate, "seed": 0} for rate in (1e-3, 1e-2)]
    run_sweep(experiment(), str(folder), points, ("nll",))
    assert (folder / "report.html").exists(), "a sweep writes its report at its end"
    for number in range(10):
        other = folder / f"more={number}"
        for step in range(1, 4):
            line = {"step": step, "epoch": step / 5, "split": "train", "nll": number + 1 / step}
            lines.append(_made(other) / "metrics.jsonl", line)
    report.report(str(folder))
    return folder / "report.html"


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("name", ["runs", "swept"])
def test_a_report_asks_for_nothing_and_complains_of_nothing(chromium, name, request):
    path = request.getfixturevalue(name)
    chromium.open(path)
    chromium.ask("document.querySelectorAll('button.sort, button.look').forEach(b => b.click())")
    said, asked = chromium.logs()
    assert said == [] and asked == {path.as_uri()}
    assert chromium.ask("document.images.length") > 3
    assert chromium.ask("[...document.images].every(i => i.src === '' || i.naturalWidth > 0)")


@pytest.mark.parametrize("name", ["runs", "swept"])
@pytest.mark.parametrize("width", [380, 1280])
def test_the_page_fits_its_screen(chromium, name, width, request):
    chromium.open(request.getfixturevalue(name), width)
    assert chromium.ask("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('h1, h2, h3, p, li, nav, summary, pre, #chart, .scroll')]"
    outside = f"{wide}.filter(x => x.getBoundingClientRect().right > {width} + 0.5).length"
    assert chromium.ask(outside) == 0
    small = "[...document.querySelectorAll('main *')].filter(x => x.textContent.trim() && "
    assert chromium.ask(f"{small}parseFloat(getComputedStyle(x).fontSize) < 11).length") == 0


def test_a_table_sorts_by_keyboard_and_back(chromium, swept):
    chromium.open(swept)
    columns = chromium.ask(
        "[...document.querySelector('table.sortable').tHead.rows[0].cells].map(c => "
        "c.querySelector('button').textContent)"
    )
    place = columns.index("nll") + 1
    button = chromium.element(f"table.sortable th:nth-child({place}) button")
    rows = "[...document.querySelector('table.sortable').tBodies[0].rows]"
    shown = []
    for _ in range(2):
        button.send_keys("\n")
        shown.append(chromium.ask(f"{rows}.map(r => +r.cells[{place - 1}].dataset.value)"))
    assert shown[0] == sorted(shown[0]) and shown[1] == shown[0][::-1] and len(shown[0]) == 2
    head = chromium.element(f"table.sortable th:nth-child({place})")
    assert head.get_attribute("aria-sort") == "descending"


def test_numbers_of_two_protocols_stand_in_two_tables(chromium, runs):
    chromium.open(runs)
    titles = chromium.texts("#numbers h3")
    assert len(titles) == len(chromium.texts("#numbers table")) >= 3
    assert "bits_per_dim" in chromium.element("#numbers .warning").text
    assert "running" in chromium.texts(".badge") and "failed" in chromium.texts(".badge")


def test_a_curve_tells_its_values_by_mouse(chromium, runs):
    chromium.open(runs)
    chromium.ask("(at('metric').value = 'nll', draw())")
    chromium.point_at("#chart .u-over")
    assert chromium.comes("at('reading').textContent.includes(': nll ')")
    told = chromium.element("#reading").text
    assert told.startswith("pixels, ") and " at step " in told


def test_a_curve_tells_its_values_by_keyboard(chromium, runs):
    from selenium.webdriver.common.keys import Keys

    chromium.open(runs)
    chromium.point_at("h1")
    chromium.ask("(at('metric').value = 'nll', draw())")
    steps = []
    for _ in range(3):
        chromium.element("#chart").send_keys(Keys.ARROW_RIGHT)
        assert chromium.comes("at('reading').textContent.includes(' at step ')")
        steps.append(int(chromium.element("#reading").text.rpartition(" ")[2]))
    assert steps == sorted(steps) and steps[0] < steps[-1]


def test_curves_zoom_and_change_metric_axis_and_scale(chromium, runs):
    chromium.open(runs)
    view = lambda: chromium.ask("[plot.scales.x.min, plot.scales.x.max]")  # noqa: E731
    whole = view()
    chromium.element("#chart").send_keys("+")
    assert view()[1] - view()[0] < whole[1] - whole[0]
    chromium.element("#chart").send_keys("0")
    assert view() == whole
    names = chromium.ask("[...document.getElementById('metric').options].map(o => o.value)")
    assert {"nll", "model/grad_norm", "kl"} <= set(names)
    for change, holds in (
        ("at('metric').value = 'kl'", "drawn.length > 0 && drawn.every(c => c.metric === 'kl')"),
        ("at('across').value = 'epoch'", "plot.axes[0].label === 'epoch'"),
        ("at('log-y').checked = true", "plot.scales.y.distr === 3"),
        ("at('train').checked = false", "drawn.every(c => c.split === 'valid')"),
    ):
        chromium.ask(f"({change}, at('metric').dispatchEvent(new Event('change')))")
        assert chromium.ask(holds), change
    boxes = chromium.driver.find_elements("css selector", "#legend input")
    before = chromium.ask("drawn.length")
    boxes[1].send_keys(" ")
    assert chromium.ask("drawn.length") < before


def test_colours_follow_the_system_and_the_choice(chromium, runs):
    paper = "getComputedStyle(document.body).backgroundColor"
    chromium.open(runs, dark=False)
    light = chromium.ask(paper)
    chromium.resize(1280, dark=True)
    assert chromium.comes("document.documentElement.dataset.theme === 'dark'")
    assert chromium.ask(paper) != light
    chromium.ask("(at('theme').value = 'light', at('theme').dispatchEvent(new Event('change')))")
    assert chromium.ask(paper) == light


def test_what_a_run_says_is_text_and_never_code(chromium, runs):
    chromium.open(runs)
    assert HOSTILE in chromium.texts("#settings td")
    assert chromium.ask("window.taken") is None


def test_pictures_have_words_and_open_by_keyboard(chromium, runs):
    chromium.open(runs)
    assert chromium.ask("[...document.querySelectorAll('main img')].every(i => i.alt.length > 8)")
    chromium.element("button.look").send_keys("\n")
    assert chromium.ask("document.getElementById('large').open")
    chromium.driver.switch_to.active_element.send_keys("\ue00c")
    assert not chromium.ask("document.getElementById('large').open")
