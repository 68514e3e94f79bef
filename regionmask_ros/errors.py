"""The one exception that carries a message to the user."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user caused and can mend.

    ``str(error)`` is one line: what is wrong, where, and what to do. Commands print it and exit with status 2, the node
    logs it and goes on where it can.
    """
