"""docs/zoo.md: a card for each entry of the zoo and a picture of their training, written from the
entries alone.

The entries' configs get the keys that they lack.

python -m genlab.publishing.cards
"""

from __future__ import annotations

from pathlib import Path

from genlab.pictures import figures, files
from genlab.workdir import configs, paths, places
from genlab.zoo import entries
from genlab.zoo.entries import Entry

DOCS = Path(__file__).parents[2] / "docs"
FIGURES = "figures/zoo"
CURVES = f"{FIGURES}/curves.png"
Curves = dict[str, dict[str, list[tuple[float, float]]]]  # {panel: {model: [(epoch, mean)]}}
HEAD = """# Trained models

These come with genlab, in `genlab/zoo/models`, as weights alone. This page is written by
`python -m genlab.publishing.cards` from the entries.

```python
import jax, genlab

model = genlab.pretrained("NAME")  # without a name: all of them
images = model.sample(jax.random.key(0), 16)
```

```
python launch.py --pretrained=NAME --mode=sample
python launch.py --config=... --workdir=runs/tuned --config.train.init_from=pretrained:NAME
```

Numbers are of the evaluation split, ± half of the 95 % interval over its images. Samples are the
first 16 by key 0; none was chosen.

| name | number | size |
| --- | --- | --- |
"""


def card(entry: Entry, picture: bool) -> str:
    """What a model is, what it was trained on, its number, and how to make it again."""
    about = entry.about
    facts = {
        "data": f"{about['data']}, images {'x'.join(map(str, about['shape']))}",
        "number": entry.number,
        "protocol": entry.protocol,
        "trained": about["time"],
        "step": f"{about['step']:,}, {about['weights']} weights",
        "members": ", ".join(entry.members),
        "size": f"{entry.size / 1e6:.2f} MB, {about['parameters']:,} parameters{_bits(entry)}",
    }
    lines = [f"- {name}: {text}" for name, text in facts.items() if text]
    made = "\n".join(about["commands"])
    lines += [f"- made by\n\n```\n{made}\n```"]
    image = f"\n![samples]({FIGURES}/{entry.name}.png)\n" if picture else ""
    return f"## {entry.name}\n\n{about['what']}\n\n" + "\n".join(lines) + "\n" + image


def _bits(entry: Entry) -> str:
    half = entry.about.get("bits") == 16
    return " at 16 bits, as which they were evaluated" if half else ""


def page(docs: Path) -> str:
    """The whole page."""
    every = entries.every()
    rows = [f"| [{e.name}](#{e.name}) | {e.number} | {e.size / 1e6:.2f} MB |" for e in every]
    cards = [card(e, (docs / FIGURES / f"{e.name}.png").exists()) for e in every]
    drawn = [f"![validation metrics against epochs]({CURVES})\n"] if curves() else []
    return HEAD + "\n".join([*rows, "", *drawn, *cards])


def curves() -> Curves:
    """Validation curves of models that compare: two or more of one metric on one set."""
    found: Curves = {}
    for entry in entries.every():
        for metric, curve in entry.about.get("curve", {}).items():
            panel = f"{metric}, {entry.about['data']} (validation)"
            found.setdefault(panel, {})[entry.name] = [(x, y) for x, y in curve]
    return {panel: lines for panel, lines in found.items() if len(lines) > 1}


def write() -> None:
    """Writes the page and its picture."""
    (DOCS / "zoo.md").write_text(page(DOCS))
    if found := curves():
        files.save(paths.of(DOCS / CURVES), figures.Trainings(found, "epoch"))


def complete_configs() -> None:
    """Writes keys that configs have got since an entry was made, with their defaults."""
    for entry in entries.every():
        path = entry.folder / "config.json"
        path.write_text(configs.to_json(configs.read(places.PRETRAINED + entry.name)))


if __name__ == "__main__":
    complete_configs()
    write()
