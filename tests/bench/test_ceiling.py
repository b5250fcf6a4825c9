from __future__ import annotations

import itertools
from pathlib import Path

import onnx
import onnxruntime as ort
import pytest

from edge3vt.bench.ceiling import DEPTH, ROUNDS, Ceiling, Copy, Work, copier, gmac, lines, main, stack, timed
from edge3vt.bench.cost import cost
from edge3vt.core.clock import NS_PER_MS, ManualClock
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import ConfigError
from edge3vt.core.machine import this_machine

MIB = 1 << 20


def planted(int8: float = 200.0, fp32: float = 50.0) -> Ceiling:
    copies = (Copy(MIB, 100.0), Copy(64 * MIB, 10.0))
    work = Work("a stack", int8 / 1000, 1.0, 1.2)
    return Ceiling(1, "0", "", this_machine(), "OpenVINO 0", "", (work,), (work,), copies, int8, fp32)


@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_a_stack_is_sound_and_costs_what_it_says(kind: str) -> None:
    model = stack(kind, 8, 6, 3)  # type: ignore[arg-type]
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    assert cost(model).gmac == pytest.approx(gmac(8, 6, 3))
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == ("tensor(uint8)" if kind == "int8" else "tensor(float)")
    quantised = sum(node.op_type == "QuantizeLinear" for node in onnx.load_from_string(model).graph.node)
    assert quantised == (DEPTH if kind == "int8" else 0)


def test_tasks_take_turns_and_the_first_run_of_a_turn_is_not_counted() -> None:
    clock, order = ManualClock(), list[str]()

    def task(name: str, ms: float) -> None:
        cold = not order or order[-1] != name
        order.append(name)
        clock.advance_ms(100 if cold else ms)

    quick, slow = timed([lambda: task("quick", 10), lambda: task("slow", 20)], 2.0, clock)
    assert set(quick) == {10 * NS_PER_MS}
    assert set(slow) == {20 * NS_PER_MS}
    assert len(quick) == 10 * ROUNDS
    assert len(slow) == 5 * ROUNDS
    assert [name for name, _ in itertools.groupby(order)] == ["quick", "slow"] * ROUNDS


def test_a_copy_moves_what_it_says() -> None:
    copier(64 << 10)()


def test_bytes_move_as_fast_as_the_next_larger_copy() -> None:
    found = planted()
    assert found.bytes_s(1000) == 100e9
    assert found.bytes_s(MIB + 1) == 10e9
    assert found.bytes_s(1e9) == 10e9


def test_a_record_reads_back_and_is_told(tmp_path: Path) -> None:
    write_json(planted(), tmp_path / "ceiling.json")
    assert read_json(Ceiling, tmp_path / "ceiling.json") == planted()
    assert "  INT8   200.0 GMAC/s  a stack" in lines(planted())


def test_an_existing_record_is_kept(tmp_path: Path) -> None:
    (tmp_path / "there.json").touch()
    with pytest.raises(ConfigError, match="exists already"):
        main([str(tmp_path / "there.json")])
