"""The trained networks that are measured: where each one lies, the data that it was trained for and
what it expects of a byte.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from snngen.data import Bytes, Samples, load, synthetic
from snngen.ops import Shape
from snngen.pipeline import Normalisation

ROOT = Path(__file__).parent.parent
SYNTHETIC = "synthetic"
SYNTHETIC_COUNT = 1000


@dataclass(frozen=True)
class Network:
    """`file` below $SNNGEN_MODELS, or below the checkout where it begins with examples/; `data` a
    source of samples, SYNTHETIC where there is none; `published` its top-1 in % on the whole test
    set, as its makers or an independent run have it. `picture` is the shape of its synthetic
    images, where the network reads them as a vector.
    """

    file: str
    data: str
    normalisation: Normalisation
    published: float | None
    picture: Shape | None = None

    @property
    def path(self) -> Path:
        trained_here = self.file.startswith("examples/")
        return (ROOT if trained_here else Path(os.environ["SNNGEN_MODELS"])) / self.file

    def training(self, shape: Shape, count: int) -> Bytes:
        """`count` images to calibrate on."""
        if self.data == SYNTHETIC:
            return self._synthetic(shape, count, seed=0)
        return load(self.data, shape, split="train", limit=count).images

    def test(self, shape: Shape) -> Samples:
        """The whole test set; its labels are None for synthetic images."""
        if self.data == SYNTHETIC:
            return Samples(self._synthetic(shape, SYNTHETIC_COUNT, seed=1), None, SYNTHETIC)
        return load(self.data, shape)

    def _synthetic(self, shape: Shape, count: int, seed: int) -> Bytes:
        return synthetic(self.picture or shape, count, seed).reshape(count, *shape)


BYTES = Normalisation(1.0)
UNIT = Normalisation()
IMAGENET = Normalisation(255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = Normalisation(255.0, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
CIFAR_2B = Normalisation(255.0, (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
ONE_STD = Normalisation(255.0, (0.485, 0.456, 0.406), (0.225,))

MNIST = {
    "lenet_ref": Network("mnist/lenet_ref.onnx", "mnist", UNIT, 99.05),
    "mnist-8": Network("mnist/mnist-8.onnx", "mnist", UNIT, 98.9),
    "mnist-net_256x2": Network("mnist/vnn21_mnist-net_256x2.onnx", "mnist", UNIT, 98.08),
    "Convnet_avgpool": Network("mnist/vnn21_Convnet_avgpool.onnx", "mnist", UNIT, 97.95),
    "pcelis_cnn_pool": Network("mnist/pcelis_mnist_cnn_pool.onnx", "mnist", UNIT, 97.58),
    "sinabs_mnist": Network("mnist/sinabs_mnist.onnx", "mnist", BYTES, 97.88),
    "fyh620_lenet": Network(
        "mnist/fyh620_lenet.onnx", "mnist", Normalisation(255.0, (0.1307,), (0.3081,)), 98.13
    ),
    "edwin19_fashion": Network("fashion/edwin19_fashion_mnist.onnx", "fashion_mnist", UNIT, 90.15),
}
CIFAR10 = {
    "cifar10_small": Network("cifar10/vnn21_cifar10_small.onnx", "cifar10", UNIT, 63.14),
    "cifar_base_kw": Network("cifar10/vnn21_cifar_base_kw.onnx", "cifar10", ONE_STD, 58.53),
    "resnet_2b": Network("cifar10/vnn21_resnet_2b.onnx", "cifar10", CIFAR_2B, 69.25),
    "akuras_cnn": Network("cifar10/akuras_cifar10_cnn.onnx", "cifar10", UNIT, 61.85),
    "cifar_base": Network("cifar10/vnn22_cifar_base.onnx", "cifar10", IMAGENET, 84.99),
    "ic_resnet8": Network("mlperf_tiny/ic_pretrainedResnet.onnx", "cifar10", BYTES, 87.19),
    "akamaster_resnet20": Network("cifar10/akamaster_resnet20.onnx", "cifar10", IMAGENET, 91.73),
}
# the DS-CNN reads 0.5847029 (q - 83), and its clips come as bytes q + 128
KEYWORDS = {
    "kws": Network(
        "mlperf_tiny/kws_ref_model.onnx",
        "kws",
        Normalisation(1.0, (211.0,), (1 / 0.5847029,)),
        91.3,
    )
}
TRAINED_HERE = {
    "densenet": Network("examples/cifar10/densenet.onnx", "cifar10", CIFAR, 86.07),
    "vgg": Network("examples/cifar10/vgg.onnx", "cifar10", CIFAR, 85.98),
}
# the autoencoder reads five frames of 128 log-mel energies, in dB; the bytes stand for -85 to 15
WITHOUT_DATA = {
    "ad01": Network(
        "mlperf_tiny/ad01.onnx",
        SYNTHETIC,
        Normalisation(255.0, (0.85,), (0.01,)),
        None,
        picture=(1, 5, 128),
    )
}
QUANTISED = {
    "lenet_ref_q4": Network("mnist/lenet_ref_q4.onnx", "mnist", UNIT, 98.90),
    "lenet_ref_q8": Network("mnist/lenet_ref_q8.onnx", "mnist", UNIT, 98.94),
    "lenet_ref_sparse": Network("examples/sparse_lenet/lenet_ref_sparse.onnx", "mnist", UNIT, None),
    "ternary": Network("examples/quantised/scatter_gather_lenet.onnx", "mnist", UNIT, None),
}
SCATTER_GATHER = {  # the LeNet of Zou et al. 2021
    "four_spikes": Network("examples/scatter_gather/four_spikes.onnx", "mnist", UNIT, 99.37),
    "one_spike": Network("examples/scatter_gather/one_spike.onnx", "mnist", UNIT, 99.27),
}
FEW_LEVELS = {  # MLPerf's ResNet-8, taught to do with four; half of the VGG of Zou et al.
    "resnet8_int4": Network("examples/few_levels/int4.onnx", "cifar10", BYTES, None),
    "resnet8_ternary": Network("examples/few_levels/ternary.onnx", "cifar10", BYTES, None),
    "vgg_half": Network("examples/scatter_gather/vgg_half.onnx", "cifar10", UNIT, None),
}
NETWORKS = MNIST | CIFAR10 | KEYWORDS | TRAINED_HERE | WITHOUT_DATA
