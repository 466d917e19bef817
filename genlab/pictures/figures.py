"""Pictures: each kind is a value that draws itself with matplotlib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from genlab.pictures.files import grid


class Picture(Protocol):
    """A value that draws itself."""

    def draw(self) -> Any:
        """The matplotlib figure."""


def _canvas(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # no pyplot: no global state, no display
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08)  # inches
    figure = Figure(figsize=(width, height), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


@dataclass(frozen=True)
class ImageRows:
    """Rows of images u8[N,H,W,C], with a title to the left of each row and a note below."""

    rows: list[tuple[str, np.ndarray]]
    note: str = ""

    def draw(self) -> Any:
        n = self.rows[0][1].shape[0]
        count, low = len(self.rows), 0.4 if self.note else 0.1
        longest = max(len(line) for title, _ in self.rows for line in title.split("\n"))
        width = max(1.6, 0.5 + 0.1 * longest) + 0.75 * n  # room beside the titles
        figure, axes = _canvas(max(width, 5.0), 0.85 * count + low, count)
        for ax, (title, images) in zip(axes[:, 0], self.rows, strict=True):
            ax.imshow(grid(images, columns=n), interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
        if self.note:
            figure.supxlabel(self.note, fontsize=8)
        return figure


@dataclass(frozen=True)
class Manifold:
    """Images over a plane, each at its coordinates.

    images: u8[R,C,H,W,D], the first row on top.
    rows: f[R], the coordinate of each row.
    columns: f[C], the coordinate of each column.
    """

    images: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    note: str

    def draw(self) -> Any:
        figure, axes = _canvas(6.5, 6.8)
        flat = self.images.reshape(-1, *self.images.shape[2:])
        sheet = grid(flat, columns=len(self.columns))
        ax = axes[0, 0]
        ax.imshow(sheet, interpolation="nearest")
        for axis, values, size in (
            (ax.xaxis, self.columns, sheet.shape[1]),
            (ax.yaxis, self.rows, sheet.shape[0]),
        ):
            places = (np.arange(len(values)) + 0.5) * size / len(values)
            some = slice(None, None, max(len(values) // 7, 1))
            axis.set_ticks(places[some], [f"{v:.2f}" for v in values[some]], fontsize=8)
        ax.set_xlabel("$z_1$")
        ax.set_ylabel("$z_2$")
        figure.supxlabel(self.note, fontsize=8)
        return figure


@dataclass(frozen=True)
class Scatter:
    """Points coloured by class.

    panels: (title, f[N,2], (x label, y label)) of each panel.
    labels: i[N], all -1 where the set has none.
    """

    panels: list[tuple[str, np.ndarray, tuple[str, str]]]
    labels: np.ndarray
    classes: tuple[str, ...]
    note: str = ""

    def draw(self) -> Any:
        from matplotlib import colormaps

        figure, axes = _canvas(5.6 * len(self.panels) + 1.0, 5.4, 1, len(self.panels))
        size = float(np.clip(6000 / len(self.labels), 2.0, 20.0))
        known = [i for i in range(len(self.classes)) if (self.labels == i).any()]
        shown = len(known) if 0 < len(known) <= 20 else 0  # beyond, colours would repeat
        chosen = colormaps["tab10" if len(known) <= 10 else "tab20"]
        palette = [chosen(i) for i in range(chosen.N)]
        for ax, (title, points, names) in zip(axes[0], self.panels, strict=True):
            style = {"s": size, "lw": 0, "alpha": 0.7}
            for place, i in enumerate(known[:shown]):
                of_class, colour = points[self.labels == i], palette[place]
                ax.scatter(*of_class.T, color=colour, label=self.classes[i], **style)
            if not shown:
                ax.scatter(*points.T, color=palette[0], **style)
            ax.set(title=title, xlabel=names[0], ylabel=names[1])
        if shown:
            handles, names = axes[0, -1].get_legend_handles_labels()
            figure.legend(
                handles, names, title="class", loc="outside right center", frameon=False,
                markerscale=max(5.0 / size**0.5, 1.0),
            )  # fmt: skip
        if self.note:
            figure.supxlabel(self.note, fontsize=8)
        return figure


@dataclass(frozen=True)
class Bars:
    """One bar for each number."""

    values: np.ndarray
    x: str
    y: str
    note: str = ""

    def draw(self) -> Any:
        figure, axes = _canvas(7, 3.6)
        ax = axes[0, 0]
        ax.bar(np.arange(1, len(self.values) + 1), self.values, width=0.8)
        ax.set(xlabel=self.x, ylabel=self.y)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(axis="y", alpha=0.3)
        if self.note:
            figure.supxlabel(self.note, fontsize=8)
        return figure


@dataclass(frozen=True)
class Shares:
    """The share of images in each class, in one colour for each series {title: f[K], sum 1}."""

    series: dict[str, np.ndarray]
    classes: tuple[str, ...]
    note: str = ""

    def draw(self) -> Any:
        figure, axes = _canvas(7, 3.6)
        ax, width, places = axes[0, 0], 0.8 / len(self.series), np.arange(len(self.classes))
        for i, (title, shares) in enumerate(self.series.items()):
            middle = places + (i - (len(self.series) - 1) / 2) * width
            ax.bar(middle, 100.0 * shares, width, label=title)
        some = slice(None, None, -(-len(self.classes) // 20))  # names of more would overlap
        long = max(map(len, self.classes)) > 4
        ax.set_xticks(places[some], self.classes[some], rotation=45 if long else 0)
        ax.set(xlabel="class", ylabel="share of images (%)")
        ax.set_ylim(0, 1.2 * ax.get_ylim()[1])  # room for the legend
        ax.legend(frameon=False, ncols=len(self.series), loc="upper center")
        ax.grid(axis="y", alpha=0.3)
        if self.note:
            figure.supxlabel(self.note, fontsize=8)
        return figure


@dataclass(frozen=True)
class Curves:
    """Metrics against the step, one curve for each metric and split of metrics.jsonl."""

    lines: list[dict[str, Any]]
    metrics: tuple[str, ...]
    label: str

    def draw(self) -> Any:
        figure, axes = _canvas(6, 4)
        ax, spread = axes[0, 0], list[float]()
        for metric in self.metrics:
            for split in sorted({line["split"] for line in self.lines if metric in line}):
                points = [
                    (line["step"], line[metric])
                    for line in self.lines
                    if line["split"] == split and metric in line
                ]
                steps, values = zip(*points, strict=True)
                spread += values[len(values) // 10 :]  # the first steps would flatten the rest
                name = split if len(self.metrics) == 1 else f"{metric}, {split}"
                style = "-" if split == "train" else "o-"
                ax.plot(steps, values, style, ms=3, lw=1.2, label=name)
        if spread:
            margin = 0.05 * (max(spread) - min(spread)) or 1.0
            ax.set_ylim(min(spread) - margin, max(spread) + margin)
            if len(ax.lines) <= 2:
                ax.legend(frameon=False)
            else:  # beside the axes, where no curve passes
                figure.legend(loc="outside upper center", ncols=2, frameon=False)
        ax.set(xlabel="step", ylabel=self.label)
        ax.grid(alpha=0.3)
        return figure


@dataclass(frozen=True)
class Comparison:
    """Means and their deviations against a swept key.

    points: {metric: {line: [(x, mean, deviation)]}}; a panel for each metric, a line for each
        setting of the other keys.
    x: the swept key.
    labels: {metric: label of its axis}.
    """

    points: dict[str, dict[str, list[tuple[Any, float, float]]]]
    x: str
    labels: dict[str, str]

    def draw(self) -> Any:
        count = len(self.points)
        figure, axes = _canvas(5.2 * count, 4.2, 1, count)
        for ax, (metric, lines) in zip(axes[0], self.points.items(), strict=True):
            values = list(dict.fromkeys(x for points in lines.values() for x, _, _ in points))
            numeric = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in values)
            for line, points in lines.items():
                places = [x if numeric else values.index(x) for x, _, _ in points]
                ax.errorbar(
                    places,
                    [mean for _, mean, _ in points],
                    [deviation for _, _, deviation in points],
                    fmt="o-" if numeric else "o",
                    capsize=3,
                    ms=4,
                    lw=1.2,
                    label=line or None,
                )
            few = len(values) <= 8
            if numeric and few and min(values) > 0 and max(values) >= 8 * min(values):
                ax.set_xscale("log", base=2 if all(isinstance(x, int) for x in values) else 10)
            if numeric and few:
                ax.set_xticks(values, [f"{x:g}" for x in values])
                ax.minorticks_off()
            elif not numeric:
                ax.set_xticks(range(len(values)), [str(x) for x in values])
            ax.set(xlabel=self.x, ylabel=self.labels.get(metric) or metric)
            ax.grid(alpha=0.3)
            if any(lines):
                ax.legend(frameon=False, fontsize=8)
        return figure


@dataclass(frozen=True)
class Trainings:
    """Metrics on the way of several trainings.

    points: {panel: {line: [(x, y)]}}; two panels in a row, with the names of the lines below each.
    x: what trainings are measured in.
    """

    points: dict[str, dict[str, list[tuple[float, float]]]]
    x: str

    def draw(self) -> Any:
        columns = min(len(self.points), 2)
        rows = -(-len(self.points) // columns)
        figure, axes = _canvas(6.4 * columns, 5.0 * rows, rows, columns)
        for ax in axes.flat[len(self.points) :]:
            ax.set_axis_off()
        for ax, (panel, lines) in zip(axes.flat, self.points.items(), strict=False):
            for line, points in lines.items():
                ax.plot(*zip(*points, strict=True), "o-", ms=4, lw=1.2, label=line)
            ax.set(xlabel=self.x, ylabel=panel)
            ax.grid(alpha=0.3)
            below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12), "ncols": 2}
            ax.legend(frameon=False, fontsize=8, **below)
        return figure
