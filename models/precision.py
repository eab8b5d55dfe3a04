"""How to compute on the machine at hand: device, precision and threads, chosen by a measurement of about 0.1 s."""

import logging
import time
from dataclasses import dataclass

import torch

log = logging.getLogger(__name__)

# Tokens, padding included, that the network reads at once: enough to keep it busy, few enough for a CPU's caches.
TOKENS_CPU = 1_024
TOKENS_GPU = 65_536

WORTH_IT = 1.3  # how much faster half precision must be: what is measured is the best part of the work, not all of it


@dataclass(frozen=True, slots=True)
class Precision:
    """What to compute on and in, with how many threads, and how many tokens at once."""

    device: torch.device
    dtype: torch.dtype
    threads: int
    tokens: int


def choose() -> Precision:
    """Measure matrix products as the network makes them, in fp32 and bf16 and with fewer and fewer threads.

    The fastest number of threads is set for all of torch. A GPU is used in half precision, without a measurement.
    A processor without instructions for bf16 computes it up to fifty times slower than fp32, so that it is tried on
    little first. Whole int8 networks are not tried: `make bench-model` shows that their labels differ.
    """
    if torch.cuda.is_available():
        return Precision(torch.device("cuda"), torch.float16, torch.get_num_threads(), TOKENS_GPU)
    threads, most = torch.get_num_threads(), torch.get_num_threads()
    best = _rate(torch.float32, 512)
    while (fewer := most // 2) >= 1:
        torch.set_num_threads(fewer)
        if (rate := _rate(torch.float32, 512)) > best:
            best, threads = rate, fewer
        most = fewer
    torch.set_num_threads(threads)
    dtype = torch.float32
    if _rate(torch.bfloat16, 32) > _rate(torch.float32, 32) and _rate(torch.bfloat16, 512) > WORTH_IT * best:
        dtype = torch.bfloat16
    log.debug("computing in %s with %d threads, %.0f billion operations a second", dtype, threads, best)
    return Precision(torch.device("cpu"), dtype, threads, TOKENS_CPU)


def exact() -> Precision:
    """Compute in fp32 whatever is fastest, so that the same posts give the same figures on every run."""
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    return Precision(device, torch.float32, torch.get_num_threads(), TOKENS_GPU if gpu else TOKENS_CPU)


def _rate(dtype: torch.dtype, rows: int) -> float:
    """Billions of floating point operations a second, the best of three products."""
    left, right = torch.ones(rows, 384, dtype=dtype), torch.ones(1_536, 384, dtype=dtype)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            torch.nn.functional.linear(left, right)
            best = min(best, time.perf_counter() - start)
    return 2 * rows * 384 * 1_536 / best / 1e9
