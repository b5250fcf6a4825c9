from __future__ import annotations

from hypothesis import settings

# The same examples on every run, and no deadline on a busy machine: a red check is a red check again.
settings.register_profile("edge3vt", deadline=None, derandomize=True, database=None)
settings.load_profile("edge3vt")
