"""Random search: draws are reproducible, and fill their ranges."""

from __future__ import annotations

import pytest

from genlab import cli
from genlab import config as configs
from genlab.errors import UserError
from genlab.sweeps import draws
from genlab.sweeps.points import name

SETTINGS = {
    "optim.learning_rate": draws.log_uniform(1e-4, 1e-2),
    "model.dropout": draws.uniform(0.1, 0.3),
    "model.layers": draws.whole(1, 4),
    "model.features": draws.one_of(4, 8, 16),
}


def test_a_draw_depends_on_its_seed_its_number_and_its_key_alone():
    many = list(draws.draw(SETTINGS, 30, seed=3))
    assert many[:10] == list(draws.draw(SETTINGS, 10, seed=3))
    assert many != list(draws.draw(SETTINGS, 30, seed=4))
    more = {"seed": draws.whole(0, 9)} | dict(reversed(SETTINGS.items()))
    for point, other in zip(many, draws.draw(more, 30, seed=3), strict=True):
        assert {key: other[key] for key in SETTINGS} == point


def test_draws_fill_their_ranges_and_keep_to_them():
    found = list(draws.draw(SETTINGS, 400))
    rates = [point["optim.learning_rate"] for point in found]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert 0.4 < sum(rate < 1e-3 for rate in rates) / 400 < 0.6  # the middle of the logarithms
    assert all(0.1 <= point["model.dropout"] <= 0.3 for point in found)
    assert {point["model.layers"] for point in found} == {1, 2, 3, 4}
    assert {point["model.features"] for point in found} == {4, 8, 16}
    assert len({name(point) for point in found}) > 390
    with pytest.raises(UserError, match=r"log_uniform\(0, 1\)"):
        draws.log_uniform(0, 1)


def test_a_sweep_takes_the_argument_of_its_file(tmp_path):
    file = tmp_path / "search.py"
    file.write_text(
        "from configs.digits_pixelcnn import get_config\n"
        "def sweep(add, arg='2'):\n    for seed in range(int(arg)): add({'seed': seed})\n"
    )
    for given, count in (("", 2), (":3", 3), (":smoke", 2), (":3,smoke", 3)):
        own = f"{file}{given}"
        source, _ = cli.load_sweep(own, configs.load(own), "")
        assert len(source.points()) == count
    file.write_text("from configs.digits_pixelcnn import get_config\ndef sweep(add): add({})\n")
    with pytest.raises(UserError, match="config argument '3' is unknown"):
        configs.load(f"{file}:3")
