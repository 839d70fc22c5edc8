"""``python -m zeroskip``: the command line where its script is not on the path."""

import sys

from zeroskip.command_line.main import main

sys.exit(main())
