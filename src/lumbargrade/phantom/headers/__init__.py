"""What a study's files say besides their pixels: headers as the scanners of several makers write them, a module each.

Pixels and geometry are the same whatever the headers, so that a study can be read with each of them.
"""
