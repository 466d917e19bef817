"""Sets of images, whoever made them, beside real ones: numbers, intervals, copies, one table."""
