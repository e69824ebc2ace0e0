"""`python3 teaching`: what a teacher runs, from handing out a lesson to grading it.

Any Python can read this file, so that one which is too old is told so in words.
"""

import sys

if sys.version_info < (3, 6):  # noqa: UP036
    sys.exit("The course needs Python 3.11 to 3.14; this one is " + sys.version.split()[0] + ".")

from classroom import main

if __name__ == "__main__":
    main(sys.argv[1:])
