"""What comes in: sources of images, splits, the batch at a step, and its way to the devices."""
