"""`python -m pyctr_lite`."""

import sys

from pyctr_lite.cli.main import main

sys.exit(main())
