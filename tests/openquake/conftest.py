"""These tests run in an environment of their own (`make test-openquake`): without OpenQuake none is collected.

It is looked for, not imported: importing it takes seconds.
"""

import importlib.util

if importlib.util.find_spec("openquake") is None:
    collect_ignore_glob = ["*.py"]
