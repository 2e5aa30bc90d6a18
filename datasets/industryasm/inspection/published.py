"""The figures that the paper of IndustryASM gives; its videos and labels were never released.

Source: TemporalVLM, arXiv 2412.02930.
"""

from __future__ import annotations

from typing import Final

SOURCE: Final = "TemporalVLM, arXiv 2412.02930"
NUM_VIDEOS: Final = 4851
MEAN_S: Final = 105
NUM_TASKS: Final = 47
AGREEMENT_PERCENT: Final = 92

CAVEAT: Final = (
    "These are not the same data: the published IndustryASM was never released, and nothing of it "
    "is in here."
)


def figures() -> dict[str, int | str]:
    """Return the published figures with their source and what they are not, for JSON."""
    return {
        "videos": NUM_VIDEOS,
        "mean_s": MEAN_S,
        "tasks": NUM_TASKS,
        "agreement_percent": AGREEMENT_PERCENT,
        "source": SOURCE,
        "caveat": CAVEAT,
    }
