"""Inference: the networks as Hilum runs them against a bare ONNX Runtime loop over the same files,
each in a fresh process, loading included; and a whole run from last slice to visible result."""

import json
import os
import subprocess
import sys
import time

MODEL = "brain-extraction"

# What the two networks take (models/README.md); the values don't matter to the time.
BARE = """
import sys, time, numpy, onnxruntime
folder, threads = sys.argv[1], int(sys.argv[2])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
random = numpy.random.default_rng(1)
tensors = [random.normal(0.449, 0.226, (1, 1, n, n, n)).astype("f4") for n in (128, 256)]
start = time.perf_counter()
for name, tensor in zip(("bbox", "brain"), tensors):
    session = onnxruntime.InferenceSession(f"{folder}/{name}.onnx", options, ["CPUExecutionProvider"])
    session.run(None, {"image": tensor})
    del session
print(time.perf_counter() - start)
"""


def bare(models, threads):
    told = subprocess.run(
        [sys.executable, "-c", BARE, str(models / MODEL), str(threads)], capture_output=True, text=True, check=True
    )
    return float(told.stdout)


def hilum(binary, root, threads):
    """Seconds in networks, and in the whole run."""
    environment = {**os.environ, "HILUM_INFERENCE_THREADS": str(threads)}
    start = time.perf_counter()
    told = subprocess.run(
        [binary, "models", "test", MODEL, "--json"], capture_output=True, text=True, cwd=root, env=environment
    )
    whole = time.perf_counter() - start
    if told.returncode != 0:
        raise RuntimeError(f"models test: {told.stderr.strip()[-300:] or told.stdout[-300:]}")
    timings = json.loads(told.stdout.splitlines()[-1])["reports"][0]["timings"]
    return timings["networks"], whole


QUIET_SECONDS = 3.0


def demo(binary, root):
    """Seconds from last slice to visible result, without the quiet time and the model's own."""
    environment = {**os.environ, "HILUM_QUIET_SECONDS": str(QUIET_SECONDS)}
    command = [binary, "demo", "--exit", "--json", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, timeout=900)
    if told.returncode != 0:
        raise RuntimeError(f"demo: {told.stderr.strip()[-300:]}")
    outcome = json.loads(told.stdout.splitlines()[-1])
    total, model = outcome["last_slice_to_result_seconds"], outcome["model_seconds"]
    return total, model, total - model - QUIET_SECONDS
