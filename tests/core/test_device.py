"""Choosing a device, and describing the machine."""

from __future__ import annotations

import json
import os
import platform

import numpy as np
import pytest
import torch

from striate.core.device import choose_device, constant, describe_machine, synchronize
from striate.core.errors import SettingsError

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")


def refused(name: str, what: str) -> None:
    with pytest.raises(SettingsError) as caught:
        choose_device(name)
    assert caught.value.exit_code == 2
    assert what in caught.value.what
    assert caught.value.where == name
    assert "cpu" in str(caught.value.fix)


def test_cpu_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")


def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"


@pytest.mark.parametrize("name", ["gpu", "1", "CPU", "cuda:", "cuda:-1", "cuda:x", "cuda:99999999999999999999"])
def test_unknown_device_is_refused(name):
    refused(name, "unknown device")


@pytest.mark.parametrize("name", ["meta", "xla"])
def test_device_that_torch_knows_and_we_do_not_is_refused(name):
    refused(name, "unsupported device")


@no_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_cuda_is_refused_where_there_is_none(name):
    refused(name, "not available on this machine")


def test_cuda_number_beyond_those_present_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("cuda") == torch.device("cuda")
    refused("cuda:2", "not available on this machine")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has MPS")
def test_mps_is_refused_where_there_is_none():
    refused("mps", "not available on this machine")


def test_description_of_the_machine_is_plain_json_and_true():
    described = json.loads(json.dumps(describe_machine(torch.device("cpu")), allow_nan=False))
    assert described["torch"] == torch.__version__
    assert described["python"] == platform.python_version()
    assert described["cores"] == os.cpu_count()
    assert described["device"] == "cpu"
    assert described["processor"]
    assert described["memory_gib"] > 0


def test_waiting_for_the_cpu_does_nothing():
    synchronize(torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_is_chosen_and_named():
    device = choose_device("auto")
    assert device.type == "cuda"
    assert describe_machine(device)["device_name"] == torch.cuda.get_device_name(device)
    synchronize(device)


@pytest.mark.parametrize(("values", "kind"), [(3, torch.int64), ([1, 2], torch.int64), ((0.5, 2), torch.float32)])
def test_constants_are_the_numbers_given(values, kind):
    made = constant(values, torch.device("cpu"))
    assert made.dtype == kind
    assert made.tolist() == np.asarray(values).tolist()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_constants_on_the_gpu_are_the_numbers_given():
    made = constant([[0.5, 1.0], [2.0, 3.0]], torch.device("cuda"))
    assert made.is_cuda
    assert made.tolist() == [[0.5, 1.0], [2.0, 3.0]]
