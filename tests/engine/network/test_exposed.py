"""The ports that an image exposes."""

from __future__ import annotations

import pytest

from pyctr_lite.engine.creation import networks
from pyctr_lite.engine.state.options import ContainerOptions
from pyctr_lite.errors import InvalidArgument


@pytest.mark.parametrize("text", ["", "/tcp", "x", "80/sctp2", "90-80/tcp", "70000"])
def test_a_port_of_an_image_that_is_none_is_one_line(text: str) -> None:
    with pytest.raises(InvalidArgument, match="the image's ExposedPorts: "):
        networks.bindings(ContainerOptions(), {text: {}})


def test_ports_of_an_image_may_be_ranges() -> None:
    assert networks.bindings(ContainerOptions(), {"80-81/udp": {}, "9": {}}).keys() == {
        "80/udp",
        "81/udp",
        "9/tcp",
    }
