"""Stores a trained `tiny` in half precision: python examples/tiny/to_f16.py TRAINED_FOLDER/model.safetensors OUT_FILE

Needs numpy and safetensors (tests/interop/requirements.txt).
"""

import sys

import numpy
from safetensors.numpy import load_file, save_file

tensors = {name: tensor.astype(numpy.float16) for name, tensor in load_file(sys.argv[1]).items()}
save_file(tensors, sys.argv[2], metadata={"format": "pt"})
print(f"{sys.argv[2]}: {sum(t.nbytes for t in tensors.values()) / 1e6:.2f} MB")
