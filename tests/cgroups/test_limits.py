"""Limits as a value: converted from OCI's JSON and back without loss."""

from __future__ import annotations

from typing import Any

import pytest

from pyctr_lite.cgroups.limits import Limits

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
    assert Limits.from_oci({"memory": None, "devices": None, "pids": None}) == Limits()


def test_limits_without_an_attribute_survive_a_round_trip() -> None:
    rare: dict[str, Any] = {
        "cpu": {"idle": 0, "burst": 1000, "realtimeRuntime": 5000},
        "memory": {"swappiness": 0, "checkBeforeUpdate": True},
        "blockIO": {"leafWeight": 10, "weightDevice": [{"major": 8, "minor": 0, "weight": 500}]},
        "network": {"classID": 1048577, "priorities": [{"name": "lo", "priority": 5}]},
        "rdma": {"mlx5_1": {"hcaHandles": 3}},
    }
    limits = Limits.from_oci(rare)
    assert limits.rare == rare
    assert limits.to_oci() == rare


@pytest.mark.parametrize(
    "resources",
    [
        {"memory": {"disableOOMKiller": False, "kernel": 5, "useHierarchy": True}},
        {"memory": {"checkBeforeUpdate": False, "swappiness": None}, "cpu": {"cpus": "", "quota": None}},
        {"network": {}, "rdma": None, "blockIO": {"weightDevice": []}, "hugepageLimits": None, "unified": {}},
        {"pids": {}, "future": {"limit": 1}},
    ],
)
def test_what_is_empty_obsolete_or_unknown_is_ignored(resources: dict[str, Any]) -> None:
    assert Limits.from_oci(resources) == Limits()


@pytest.mark.parametrize(("given", "pids"), [(None, None), (0, 1), (20, 20), (-1, -1)])
def test_a_pids_limit_of_0_permits_no_fork_and_minus_1_any_number(given: int | None, pids: int | None) -> None:
    assert Limits.from_oci({"pids": {"limit": given}}).pids == pids
