"""What numpy, SciPy and scikit-image make of the same volumes: the expected
values of the tests in steps.rs. Prints JSON."""
import json
import sys

import numpy as np
from scipy import ndimage
from skimage.transform import resize


def volume(shape, seed):
    # The same generator as in steps.rs.
    state, out = seed, []
    for _ in range(int(np.prod(shape))):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(((state >> 33) % 1000) / 10.0 - 20.0)
    return np.array(out, dtype=np.float32).reshape(shape)


cases = json.load(sys.stdin)
answers = []
for case in cases:
    v = volume(case["from"], case["seed"])
    mask = v > 20
    smooth = resize(v, case["to"], order=1, mode="constant", anti_aliasing=True)
    plain = resize(v, case["to"], order=1, mode="constant", anti_aliasing=False)
    low, high = np.quantile(v, [0.005, 0.995])
    clipped = np.clip((v - low) / (high - low), 0, 1)
    standard = (clipped - clipped.mean()) / clipped.std(ddof=1)
    labels, n = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = ndimage.sum(mask, labels, range(1, n + 1))
    answers.append({
        "anti_aliased": smooth.ravel().tolist(),
        "linear": plain.ravel().tolist(),
        "window": [float(low), float(high)],
        "standardised": standard.ravel().tolist(),
        "largest": (labels == 1 + int(np.argmax(sizes))).ravel().tolist(),
        "filled": ndimage.binary_fill_holes(mask).ravel().tolist(),
    })
json.dump(answers, sys.stdout)
