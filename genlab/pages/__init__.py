"""Reports: runs side by side in one HTML file that needs nothing else.

`folders` finds the runs, `record` reads one, `standing`, `tables`, `curves`, `settings`, `events`
and `pictures` make a section each, and `page` renders them. A report only reads; what is missing
in a workdir is missing on the page.
"""
