"""The viewer, or reading room: a study is uploaded, its grades are read. Flask; the page itself is React, in ``web/``."""
