"""What comes in: sources of images, splits, the batch at a step, and its way to the devices."""

from genlab.data.feeds import Feed, feed
from genlab.data.fit import Fit
from genlab.data.orders import Rows, batch_rows, evaluation_rows, order, training_rows
from genlab.data.split import Split
from genlab.data.splits import Data, load

__all__ = [
    "Data", "Feed", "Fit", "Rows", "Split", "batch_rows", "evaluation_rows", "feed", "load",
    "order", "training_rows",
]  # fmt: skip
