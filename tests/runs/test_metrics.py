"""metrics.jsonl: a line per epoch, whatever a kill or a disk has done to it."""

from __future__ import annotations

from pathlib import Path

from striate.runs.config import RunConfig

from .new_run import create


def test_metrics_after_a_kill_have_no_half_line_no_duplicate_and_no_gap(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch, "loss": 1 / epoch})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 4, "lo')
    assert [line["epoch"] for line in run.metrics()] == [1, 2, 3]
    run.keep_metrics_before(3)
    run.append_metrics({"epoch": 3, "loss": 0.3})
    assert [line["epoch"] for line in run.metrics()] == [1, 2, 3]


def test_damaged_metrics_cost_their_lines_only_and_are_told(tmp_path: Path, config: RunConfig) -> None:
    run = create(tmp_path, config)
    (run.path / "metrics.jsonl").write_bytes(b'{"epoch": 1}\n\xff\x00\n[3]\n{"epoch": "four"}\n{"epoch": 5}\n')
    assert [line["epoch"] for line in run.metrics()] == [1, 5]
    run.keep_metrics_before(6)
    assert run.notes == ["metrics.jsonl has no line of epoch 2, 3, 4"]
