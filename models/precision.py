"""How to compute on the machine at hand: device, precision and workers, chosen by a measurement of about 0.2 s."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

log = logging.getLogger(__name__)

# Tokens, padding included, that the network reads at once: enough to keep it busy, few enough for a CPU's caches.
TOKENS_CPU = 1_024
TOKENS_GPU = 65_536

CORES = torch.get_num_threads()  # as torch found them, or OMP_NUM_THREADS says; asked now, before any thread is `alone`
PRODUCTS = 2  # of each worker in a measurement

WORTH_IT = 1.3  # how much faster half precision must be: what is measured is the best part of the work, not all of it


@dataclass(frozen=True, slots=True)
class Precision:
    """What to compute on and in, how many batches side by side, and how many tokens in each."""

    device: torch.device
    dtype: torch.dtype
    workers: int
    tokens: int


def choose() -> Precision:
    """Measure matrix products as the network makes them, in fp32 and bf16 and with fewer and fewer workers.

    A worker computes with one thread: many small products go faster side by side than one after the other by all. A GPU
    is used in half precision, without a measurement. A processor without instructions for bf16 computes it up to fifty
    times slower than fp32, so that it is tried on little first. Whole int8 networks are not tried: `make bench-model`
    shows that their labels differ.
    """
    if torch.cuda.is_available():
        return Precision(torch.device("cuda"), torch.float16, 1, TOKENS_GPU)
    workers = most = CORES
    best = _rate(torch.float32, 512, workers)
    while (fewer := most // 2) >= 1:
        if (rate := _rate(torch.float32, 512, fewer)) > best:
            best, workers = rate, fewer
        most = fewer
    dtype = torch.float32
    if (
        _rate(torch.bfloat16, 32, workers) > _rate(torch.float32, 32, workers)
        and _rate(torch.bfloat16, 512, workers) > WORTH_IT * best
    ):
        dtype = torch.bfloat16
    log.debug("computing in %s with %d workers, %.0f billion operations a second", dtype, workers, best)
    return Precision(torch.device("cpu"), dtype, workers, TOKENS_CPU)


def exact() -> Precision:
    """Compute in fp32 whatever is fastest, so that the same posts give the same figures on every run."""
    if torch.cuda.is_available():
        return Precision(torch.device("cuda"), torch.float32, 1, TOKENS_GPU)
    return Precision(torch.device("cpu"), torch.float32, CORES, TOKENS_CPU)


def mixed(device: torch.device) -> torch.autocast:
    """Return what a training reads posts within: products in bf16 on a processor that has instructions for it.

    Weights and their steps stay in fp32. Nothing is measured here: the same training on the same machine gives the same
    weights, however busy it is.
    """
    able = torch.cpu.get_capabilities()
    half = device.type == "cpu" and any(able.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def alone() -> None:
    """Let this thread compute without others' help. Threads that are begun later do so too, those of now do not."""
    torch.set_num_threads(1)


def _rate(dtype: torch.dtype, rows: int, workers: int) -> float:
    """Billions of floating point operations a second of some workers together, the best of three times."""
    left, right = torch.ones(rows, 384, dtype=dtype), torch.ones(1_536, 384, dtype=dtype)

    def products(_: int) -> None:
        with torch.inference_mode():
            for _ in range(PRODUCTS):
                torch.nn.functional.linear(left, right)

    best = float("inf")
    with ThreadPoolExecutor(workers, initializer=alone) as pool:
        for _ in range(4):
            start = time.perf_counter()
            list(pool.map(products, range(workers)))
            best = min(best, time.perf_counter() - start)
    return 2 * rows * 384 * 1_536 * PRODUCTS * workers / best / 1e9
