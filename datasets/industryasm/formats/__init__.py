"""Bridges to the tools that people annotate with; imports nothing.

`foreign.py` holds what such a file says, one module per format reads and writes it, `importing.py`
turns it into recordings and `exporting.py` turns recordings into it.
"""
