#!/usr/bin/env python3
"""Writes the codebooks of ggml's IQ types as the library reads them: scripts/make_grids.py FILE

They are data of ggml (MIT licence); the gguf package has them. Needs gguf and numpy.
"""

import sys

import numpy as np
from gguf import quants

TYPES = [(quants.IQ2_XXS, 2), (quants.IQ2_XS, 2), (quants.IQ2_S, 2), (quants.IQ3_XXS, 3), (quants.IQ3_S, 3),
         (quants.IQ1_S, 2)]

with open(sys.argv[1], "wb") as file:
    for kind, bits in TYPES:
        kind.init_grid()
        numbers = np.searchsorted(np.array(kind.grid_map), kind.grid.reshape(kind.grid_shape)).astype(np.uint16)
        shifts = np.arange(numbers.shape[1], dtype=np.uint16) * bits
        file.write(np.bitwise_or.reduce(numbers << shifts, axis=1).astype("<u2").tobytes())
