"""Images and labels from wherever users keep them, as the raw bytes that a network reads.

A source is one of

    mnist, fashion_mnist, cifar10,    in their published files, below the folder $SNNGEN_DATA;
    cifar100, kws, nmnist             "mnist:train" or "mnist:test" name a split
    a file .npz or .npy               arrays of whole numbers 0..255
    an IDX file, a file .bin          as MNIST and CIFAR are published, plain or .gz
    a folder                          of images or recordings, or of one such folder per class
    an image file, an AEDAT file      one image, one recording of an event camera

Recordings become counts of events in bins. Arrays may also hold such streams as they are: counts
of each timestep, (samples, T, C, H, W).

and of any size: `open_samples` reads what is asked for. Nothing is downloaded, and nothing that a
file holds is executed.
"""

from snngen.data.fitting import Binning, Fitting
from snngen.data.published import Split
from snngen.data.raw import Bytes
from snngen.data.samples import (
    Readable,
    Samples,
    StoredSamples,
    check_labels,
    has_parts,
    has_recordings,
    load,
    open_samples,
    shape_of,
)
from snngen.data.synthetic import noisy_streams, over_time, synthetic

__all__ = [
    "Binning",
    "Bytes",
    "Fitting",
    "Readable",
    "Samples",
    "Split",
    "StoredSamples",
    "check_labels",
    "has_parts",
    "has_recordings",
    "load",
    "noisy_streams",
    "open_samples",
    "over_time",
    "shape_of",
    "synthetic",
]
