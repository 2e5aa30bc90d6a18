"""What is wrong in a published folder that cannot be mended without guessing."""

from __future__ import annotations

from industryasm.fault import UserFault


class SetError(UserFault, ValueError):
    """A file of a published set is absent, damaged, or of another shape; names file and place."""
