"""``python3 -m bootstrap setup``, ``lava`` and ``python ARGUMENTS...``, called by the Makefile."""

import sys

if sys.version_info < (3, 10):
    sys.stderr.write(
        "regionmask_ros set-up: missing: Python 3.10 to 3.13, this is %d.%d at %s"
        " (Debian package: python3; or name another one: make setup PYTHON=/path/to/python3.12)\n"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )
    sys.exit(2)

from .command import main  # noqa: E402  (the check above must come first: the rest does not parse on older Pythons)

sys.exit(main(sys.argv[1:]))
