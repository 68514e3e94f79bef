"""``python3 -m bootstrap setup``, ``lava`` and ``python ARGUMENTS...``, and more, called by the Makefile."""

import sys

if sys.version_info < (3, 10):
    sys.stderr.write(
        "regionmask_ros set-up: missing: Python 3.10 to 3.13; %s is %d.%d. To use another one:"
        " make setup PYTHON=/path/to/python3.12 (Debian package: python3)\n"
        % (sys.executable, sys.version_info[0], sys.version_info[1])
    )
    sys.exit(2)

from .command import main  # after the check: older Pythons cannot parse the rest

sys.exit(main(sys.argv[1:]))
