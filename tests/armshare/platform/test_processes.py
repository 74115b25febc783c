"""What starting a process takes from the machine, and gives back where it fails."""

from __future__ import annotations

import psutil
import pytest

from armshare.failures import PlatformError
from armshare.platform.processes import listen, listening


def test_a_port_that_is_taken_leaves_no_socket_open():
    with listen("127.0.0.1", 0) as taken:
        before = psutil.Process().num_fds()
        with pytest.raises(PlatformError, match="Choose another --port") as refused:
            listening("127.0.0.1", taken.getsockname()[1])
        assert psutil.Process().num_fds() == before, refused
