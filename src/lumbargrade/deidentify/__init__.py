"""Images and studies without what tells whose they are, and the stand-ins by which they are known instead."""
