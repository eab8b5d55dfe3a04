"""How to compute is chosen by what is measured. The figures are invented here: a test's machine is only one machine."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models import precision
from models.precision import choose, exact, mixed

FP32, BF16 = torch.float32, torch.bfloat16
Rates = Mapping[tuple[torch.dtype, int], float]  # by precision and workers

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is taken as it is")


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "CORES", 4)


def machine(monkeypatch: pytest.MonkeyPatch, rates: Rates) -> list[tuple[torch.dtype, int]]:
    """Let measurements give these figures; return the list of those that were made, as (precision, rows)."""
    made: list[tuple[torch.dtype, int]] = []

    def rate(dtype: torch.dtype, rows: int, workers: int) -> float:
        made.append((dtype, rows))
        return rates[dtype, workers]

    monkeypatch.setattr(precision, "_rate", rate)
    return made


@pytest.mark.parametrize(
    ("rates", "workers"),
    [({4: 40.0, 2: 30.0, 1: 20.0}, 4), ({4: 30.0, 2: 40.0, 1: 20.0}, 2), ({4: 10.0, 2: 15.0, 1: 20.0}, 1)],
)
def test_as_many_workers_are_used_as_are_fastest(
    rates: dict[int, float], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, {(dtype, n): rate for n, rate in rates.items() for dtype in (FP32, BF16)})
    chosen = choose()
    assert (chosen.workers, chosen.dtype) == (workers, FP32)


def test_half_precision_is_used_only_where_it_is_much_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {(FP32, 4): 40.0, (FP32, 2): 30.0, (FP32, 1): 20.0}
    machine(monkeypatch, {**slow, (BF16, 4): 80.0})
    assert choose().dtype == BF16
    machine(monkeypatch, {**slow, (BF16, 4): 44.0})
    assert choose().dtype == FP32


def test_a_machine_that_computes_half_precision_slowly_is_not_made_to_compute_much_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = machine(monkeypatch, {(FP32, 4): 40.0, (FP32, 2): 30.0, (FP32, 1): 20.0, (BF16, 4): 1.0})
    assert choose().dtype == FP32
    assert [rows for dtype, rows in made if dtype == BF16] == [32]


def test_what_is_measured_here_can_be_computed_with() -> None:
    for chosen in (choose(), exact()):
        assert 1 <= chosen.workers <= 4
        left = torch.ones(2, 3, dtype=chosen.dtype, device=chosen.device)
        assert (left @ left.T).float().tolist() == [[3, 3], [3, 3]]


@pytest.mark.parametrize(
    ("able", "computed"),
    [({"avx512_bf16": True}, BF16), ({"amx_bf16": True}, BF16), ({"avx512_bf16": False, "avx2": True}, FP32)],
)
def test_a_training_reads_in_half_precision_where_the_processor_can_and_learns_in_full(
    able: dict[str, bool], computed: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    layer = torch.nn.Linear(3, 2)
    with mixed(torch.device("cpu")):
        said = layer(torch.ones(1, 3))
    said.float().sum().backward()
    assert said.dtype == computed
    assert layer.weight.dtype == FP32
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == FP32


def test_exact_figures_are_computed_in_full_precision() -> None:
    assert exact().dtype == FP32


def test_workers_compute_alone_and_everybody_else_as_before() -> None:
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1, initializer=precision.alone) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
    assert torch.get_num_threads() == before
