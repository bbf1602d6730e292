"""snngen: a trained CNN in, an integer spiking network out, as C99 or as hardware, checked bit for
bit.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("snngen")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0.0.0"
