"""Limits as a value: converted from OCI's JSON and back without loss."""

from __future__ import annotations

from typing import Any

import pytest

from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import InvalidArgument

RESOURCES: dict[str, Any] = {
    "cpu": {"quota": 50000, "period": 100000, "shares": 512, "cpus": "0-1", "mems": "0"},
    "memory": {"limit": 67108864, "swap": 134217728, "reservation": 33554432},
    "pids": {"limit": 20},
    "blockIO": {"weight": 300, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1048576}]},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
    "unified": {"memory.high": "60M"},
    "devices": [{"allow": False, "access": "rwm"}],
}


def test_oci_resources_survive_a_round_trip() -> None:
    assert Limits.from_oci(RESOURCES).to_oci() == RESOURCES


def test_empty_resources_are_empty_limits() -> None:
    assert Limits.from_oci({}).to_oci() == {}
    assert Limits.from_oci({"memory": None, "devices": None, "pids": {"limit": 0}}) == Limits()


@pytest.mark.parametrize(
    "resources",
    [
        {"cpu": {"realtimeRuntime": 1000}},
        {"memory": {"swappiness": 60}},
        {"blockIO": {"leafWeight": 10}},
        {"network": {"classID": 1}},
        {"rdma": {"mlx5": {"hcaHandles": 3}}},
    ],
)
def test_an_unsupported_limit_is_an_error(resources: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="not supported"):
        Limits.from_oci(resources)


def test_an_unsupported_limit_without_effect_is_ignored() -> None:
    assert Limits.from_oci({"memory": {"disableOOMKiller": False, "kernel": 5}, "network": {}}) == Limits()
