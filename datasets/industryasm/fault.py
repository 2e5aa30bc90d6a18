"""The root of errors that a person can mend: commands print them as one line and exit with 2."""


class UserFault(Exception):  # noqa: N818  (a fault of the surroundings, not of the program)
    """Something outside the program is wrong; the message names it, the value and what to do."""
