"""Networks: no losses. A config names one as `file.Class`."""
