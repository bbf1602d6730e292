"""Images and labels from wherever users keep them, as the raw bytes that a network reads.

A source is one of

    mnist, fashion_mnist, cifar10    in their published files, below the folder $SNNGEN_DATA;
                                     "mnist:train" or "mnist:test" name a split
    a file .npz or .npy              arrays of whole numbers 0..255
    a folder                         of images, or of one folder of images per class
    an image file                    one image

Nothing is downloaded, and nothing that a file holds is executed.
"""

from snngen.data.published import Split
from snngen.data.raw import Bytes
from snngen.data.samples import Samples, load
from snngen.data.synthetic import synthetic

__all__ = ["Bytes", "Samples", "Split", "load", "synthetic"]
