"""The classifier by whose features images are judged."""

from __future__ import annotations

from collections.abc import Sequence

from genlab.capabilities import Classifies
from genlab.errors import UserError
from genlab.model import restore
from genlab.trained import Model
from genlab.workdir import places

DEFAULT = f"{places.PRETRAINED}mnist_classifier"
DEFAULTS: dict[tuple[int, ...], str] = {(28, 28, 1): DEFAULT}  # by the shape of an image


def chosen(classifier: Model | str, shape: Sequence[int], flag: str = "classifier") -> Model:
    """A classifier for images of that shape (H,W,C).

    classifier: a model, a workdir, pretrained:NAME, or "" for one that comes with genlab.

    Raises: UserError for none, for what is no classifier, and for one of another shape.
    """
    wanted = "x".join(map(str, shape))
    if not classifier:
        if tuple(shape) not in DEFAULTS:
            known = ", ".join("x".join(map(str, s)) for s in DEFAULTS)
            raise UserError(
                f"{flag}: no classifier of {wanted} images comes with genlab, only of {known}; name"
                " the workdir of one, such as configs/mnist_classifier.py trains."
            )
        classifier = DEFAULTS[tuple(shape)]
    model = restore(classifier) if isinstance(classifier, str) else classifier
    if not isinstance(model.task, Classifies):
        raise UserError(
            f"{flag}={model.workdir}: its task is {model.config.task}; take the workdir of a"
            " classifier, such as configs/mnist_classifier.py trains."
        )
    if tuple(model.task.shape) != tuple(shape):
        own = "x".join(map(str, model.task.shape))
        raise UserError(
            f"{flag}={model.workdir}: a classifier of {own} images, but these are {wanted}; train"
            " one on data of that shape."
        )
    return model
