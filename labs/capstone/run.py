"""The capstone: `run`, a program of your own. The handout beside this file says what it does."""

from labs.kit import Todo

raise Todo("capstone")
