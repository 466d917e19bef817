"""What config fields may hold, from their declarations: a new field is covered without a new test.

Every field has bounds or is named here as free; its default is inside; what is just outside is
refused in one line with the whole key path, and so are other types, NaN and infinities.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, get_args

import flax.linen as nn
import numpy as np
import optax
import optax.contrib
import pytest
from ml_collections import ConfigDict

from genlab import config as configs
from genlab import optim, task
from genlab.errors import UserError
from genlab.nn import build
from genlab.sections.fields import Field, OneOf, Range, check, fields_of, plain
from genlab.sections.shared import Limit

# Numbers that may be anything, and texts that no list names.
FREE_NUMBERS = {"seed", "corruption.mean", "train.watch.x.low", "train.watch.x.high"}
FREE_TEXTS = {
    *("task", "data.source", "data.label", "data.data_dir", "data.train_split", "data.valid_split"),
    *("data.eval_split", "train.best_metric", "train.init_from", "eval.step", "eval.classifier"),
    *("eval.reference", "sample.method", "report.project"),
}
OPTIMIZER_NAMES = {
    f"{path}.{key}"
    for path in ("optim", "optim.generator", "optim.discriminator")
    for key in ("name", "outer")
}
FAMILIES = task.names()


def declared() -> dict[str, dict[str, Field]]:
    """{"family path": fields} of every section of every family, and of a limit."""
    found = {"limit train.watch.x": fields_of(Limit)}
    for family in FAMILIES:
        for path, section in configs.sections(family).items():
            found[f"{family} {path}"] = fields_of(section)
    return found


def networks() -> dict[str, dict[str, Field]]:
    """{"file.Class path": fields} of every network that a config can name."""
    found = {}
    for family in FAMILIES:
        for path, given in configs.networks(family).items():
            for name in build.networks():
                fields = fields_of(build.network_class(name, path))
                needed = {k for k, f in fields.items() if f.default is dataclasses.MISSING}
                if all(k in given or fields[k].kind is nn.Module for k in needed):
                    own = {k: f for k, f in fields.items() if k not in given | needed}
                    found[f"{name} {path}"] = own
    return found


def optimizers() -> dict[str, dict[str, Field]]:
    """{"name optim": parameters} of every optimizer that a config can name."""
    found = {}
    for name in sorted({*dir(optax), *dir(optax.contrib)}):
        try:
            found[f"{name} optim"] = optim.parameters(name, "optim")
        except UserError:
            continue
    return found


def test_the_optimizers_that_papers_name_are_found():
    assert {f"{name} optim" for name in ("adam", "nadam", "rmsprop", "sgd", "muon")} <= set(ALL)


SECTIONS, NETWORKS, OPTIMIZERS = declared(), networks(), optimizers()
ALL = SECTIONS | NETWORKS | OPTIMIZERS


def key_of(place: str, name: str) -> str:
    return f"{place.partition(' ')[2]}.{name}".removeprefix(".")


def limits(kind: Any) -> tuple[Any, ...]:
    return tuple(x for x in get_args(kind)[1:] if isinstance(x, (Range, OneOf)))


def outside(kind: Any) -> Iterator[Any]:
    """Values of the right type that are just outside of a kind."""
    wanted = plain(kind)
    if wanted is float:
        yield from (math.nan, math.inf, -math.inf)
    if wanted is tuple:
        for member in get_args(kind)[:1]:
            yield from ((value,) for value in outside(member))
    for limit in limits(kind):
        if isinstance(limit, OneOf):
            yield from ("", limit.names[0] + "x", limit.names[0].upper() + " ")
            continue
        least = 1 if wanted is int else 0.0
        for end, away, shut in ((limit.low, -1, limit.above), (limit.high, 1, limit.below)):
            if math.isfinite(end):
                beyond = end + away if wanted is int else float(np.nextafter(end, away * math.inf))
                yield wanted(end) if shut else wanted(beyond)
        if limit.odd:
            yield int(limit.low) + least


def inside(kind: Any) -> Iterator[Any]:
    """Values at the ends of a kind."""
    for limit in limits(kind):
        if isinstance(limit, OneOf):
            yield from limit.names
            continue
        wanted = plain(kind)
        for end, inwards, shut in ((limit.low, 1, limit.above), (limit.high, -1, limit.below)):
            if math.isfinite(end):
                near = end + inwards if wanted is int else float(np.nextafter(end, inwards))
                yield wanted(near) if shut else wanted(end)


def of_other_types(kind: Any) -> Iterator[Any]:
    wanted = plain(kind)
    for value in (True, 1, 1.5, "1", (1,), None, [1], np.float32(1)):
        whole = wanted is float and type(value) is int  # a whole number is a number
        numpy = wanted is float and isinstance(value, np.floating) and isinstance(value, float)
        if type(value) is not wanted and not whole and not numpy:
            yield value


def refused(key: str, value: Any, kind: Any) -> None:
    with pytest.raises(UserError) as caught:
        check(key, value, kind)
    told = str(caught.value)
    assert told.startswith(key) and "\n" not in told, (key, value, told)


@pytest.mark.parametrize("place", ALL)
def test_a_default_is_what_its_field_may_hold(place):
    for name, field in ALL[place].items():
        if not (isinstance(field.default, float) and math.isinf(field.default)):  # no limit
            check(key_of(place, name), field.default, field.kind)


@pytest.mark.parametrize("place", SECTIONS | NETWORKS)
def test_a_field_has_bounds_or_is_free(place):
    for name, field in ALL[place].items():
        kind, key = field.kind, key_of(place, name)
        if plain(kind) is tuple:
            kind = get_args(kind)[0]
            assert kind not in (int, float, str), f"{place}: {key}: its members have no bounds"
        elif plain(kind) in (int, float):
            assert limits(kind) or key in FREE_NUMBERS, f"{place}: {key} has no bounds"
        elif plain(kind) is str:
            assert limits(kind) or key in FREE_TEXTS or key in OPTIMIZER_NAMES, f"{place}: {key}"


@pytest.mark.parametrize("place", ALL)
def test_what_is_just_outside_is_refused_and_the_ends_are_not(place):
    for name, field in ALL[place].items():
        key = key_of(place, name)
        for value in outside(field.kind):
            refused(key, value, field.kind)
        for value in inside(field.kind):
            check(key, value, field.kind)


@pytest.mark.parametrize("place", ALL)
def test_another_type_is_refused(place):
    for name, field in ALL[place].items():
        for value in of_other_types(field.kind):
            refused(key_of(place, name), value, field.kind)


def whole(family: str) -> ConfigDict:
    """A whole config of a family with the first network that fits each place."""
    config = configs.base(family)
    for path in configs.networks(family):
        name = next(key for key in NETWORKS if key.endswith(f" {path}")).partition(" ")[0]
        configs.at(config, path, make=True).name = name
    configs.complete(config)
    configs.check_values(config)
    return config


def is_float(field: Field) -> bool:
    return plain(field.kind) is float


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_config_is_checked_in_every_field_by_its_whole_key(family):
    config, places = whole(family), configs.sections(family)
    places = {f"{family} {path}": path for path in places}
    for path in configs.networks(family):
        places[f"{configs.at(config, path).name} {path}"] = path
    tried = 0
    for place, path in places.items():
        for name, field in ALL[place].items():
            for value in (*outside(field.kind), *of_other_types(field.kind)):
                wrong = ConfigDict(config.to_dict(), type_safe=False)
                if value is None or isinstance(value, list) or (value is True and is_float(field)):
                    continue  # a ConfigDict has neither of the first, and makes 1.0 of the last
                configs.at(wrong, path)[name] = value
                with pytest.raises(UserError) as caught:
                    configs.check_values(wrong)
                told = str(caught.value)
                assert key_of(place, name) in told and "\n" not in told, told
                tried += 1
    assert tried > 100


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_key_of_any_section_is_refused_with_the_nearest(family):
    config = whole(family)
    for path in (*configs.sections(family), *configs.networks(family)):
        wrong = ConfigDict(config.to_dict(), type_safe=False)
        known = next(k for k, v in configs.at(wrong, path).items() if not isinstance(v, ConfigDict))
        configs.at(wrong, path)[f"{known}q"] = 1
        with pytest.raises(UserError, match=f"Did you mean .*{known}") as caught:
            configs.check_values(wrong)
        assert f"{path}.{known}q".removeprefix(".") in str(caught.value)
