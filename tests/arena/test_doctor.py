"""The doctor and the benchmark run, and the doctor finds what it should."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arena import benchmark, cli, doctor, machine
from arena.config import preset
from arena.doctor import Measured, warnings
from arena.machine import GIGABYTE, Machine, share_out

MACHINE = Machine(cores=4, processor="a processor", memory=16 * GIGABYTE)
CONFIG = preset("connect_four")
MEASURED = Measured(
    network={64: 4000.0, 256: 9000.0, 512: 9200.0},
    self_play=500.0,
    network_share=0.9,
    learning=4000.0,
    all_cores=1.0,
    write_seconds=0.01,
    busy=0.0,
    free_disk=100 * GIGABYTE,
)


def complaints(measured: Measured = MEASURED, found: Machine = MACHINE, precision: str = "bfloat16", **changes) -> str:
    config = replace(CONFIG, **changes)
    return " ".join(warnings(found, share_out(found), measured, config, "cpu", precision))


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(doctor, "_has_nvidia_gpu", lambda: False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("no_gpu")
def test_a_healthy_machine_gets_no_complaint():
    assert complaints() == ""


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"measured": replace(MEASURED, busy=0.6)}, "Other programs take 60%"),
        ({"measured": replace(MEASURED, all_cores=0.5)}, "down to 50%"),
        ({"measured": replace(MEASURED, free_disk=0.2 * GIGABYTE)}, "Only 0.2 GB are free"),
        ({"precision": "float32"}, "no bfloat16"),
        ({"found": replace(MACHINE, memory=4 * GIGABYTE)}, "there are 4.0: give"),
        ({"self_play": replace(CONFIG.self_play, slots=64)}, "--self-play.slots 256"),
    ],
    ids=["busy", "shared cores", "disk", "bf16", "memory", "games in flight"],
)
def test_what_is_silently_wrong_is_said(changed, expected):
    assert expected in complaints(**changed)


@pytest.mark.usefixtures("no_gpu")
def test_too_many_threads_and_an_idle_gpu(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "32")
    assert "OMP_NUM_THREADS is 32 on 4" in complaints()
    monkeypatch.setattr(doctor, "_has_nvidia_gpu", lambda: True)
    assert "PyTorch cannot use it" in complaints()


def test_the_expected_speed_adds_up_what_positions_cost():
    # 2 ms of self-play and 5 samples at 0.25 ms each: 3.25 ms on each of two cores
    config = replace(CONFIG, learner=replace(CONFIG.learner, samples_per_position=5.0))
    assert MEASURED.positions_per_second(config, 2) == pytest.approx(2 / 3.25e-3)
    assert MEASURED.learning_share(config) == pytest.approx(1.25 / 3.25)


@pytest.mark.parametrize(("cores", "workers", "threads"), [(1, 1, 1), (2, 2, 1), (4, 4, 1), (8, 6, 2), (64, 48, 16)])
def test_shares(cores, workers, threads):
    shares = share_out(replace(MACHINE, cores=cores))
    assert (shares.workers, shares.threads) == (workers, threads)
    assert shares.memory_cap == (3 + workers) * GIGABYTE
    assert share_out(MACHINE, workers=7, threads=3, memory_gb=2.0) == machine.Shares(7, 3, 2 * GIGABYTE)


def test_train_uses_what_the_doctor_prints():
    assert CONFIG.shares == share_out(machine.detect())


def test_doctor_and_benchmark_run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "SECONDS", 0.05)
    monkeypatch.setattr(benchmark, "one_core", lambda: "not pinned")  # the other tests want all cores
    cli.main(["doctor", "tic_tac_toe"])
    said = capsys.readouterr().out
    for expected in ("core(s) of", "positions/s", "bottleneck", "self-play worker(s)"):
        assert expected in said
    cli.main(["benchmark", "tic_tac_toe", "--seconds", "0.05", "--rounds", "1"])
    table = capsys.readouterr().out
    for expected in ("random play, tic_tac_toe", "samples/s", "in turn (positions/s)", "Peak memory"):
        assert expected in table


def test_wrong_options_are_one_sentence(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["benchmark", "tic_tac_toe", "--network", "big"])
    assert "BLOCKSxCHANNELS" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["doctor", "chequers"])
    assert "chequers" in capsys.readouterr().err
