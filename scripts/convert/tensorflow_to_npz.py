"""Write the variables of a TensorFlow checkpoint as .npz, for `echo-scp engines import`; run it where TensorFlow is.

Only for what the import does not read itself: format V1 (one file, no .index), compressed or partitioned checkpoints.

    pip install tensorflow-cpu
    python tensorflow_to_npz.py model.ckpt-9000 model.npz
"""

from __future__ import annotations

import sys

import numpy as np
import tensorflow as tf


def main() -> None:
    """Convert the checkpoint named first into the file named second."""
    checkpoint, target = sys.argv[1:]
    reader = tf.train.load_checkpoint(checkpoint)
    kept = [name for name, dtype in reader.get_variable_to_dtype_map().items() if dtype.is_floating]
    np.savez(target, **{name: reader.get_tensor(name) for name in kept})
    print(f"{target}: {len(kept)} variables")


if __name__ == "__main__":
    main()
