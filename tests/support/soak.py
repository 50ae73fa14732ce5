"""Whether a run may take long: `make soak` sets EVENTFOLD_SOAK, and what is drawn at random is drawn more often then."""

from __future__ import annotations

import os

SOAK = bool(os.environ.get("EVENTFOLD_SOAK"))
