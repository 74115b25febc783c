"""Why an episode ended: sent on the wire, kept in the file, shown to the operator."""

from __future__ import annotations

from enum import StrEnum


class EndReason(StrEnum):
    """Why an episode ended; `valid` says whether it may count."""

    FINISHED = "finished"
    STEP_LIMIT = "step_limit"
    LEFT = "left"
    OPERATOR_LOST = "operator_lost"
    REVOKED = "revoked"
    ESTOPPED = "estopped"
    RECORDER_FULL = "recorder_full"
    DISK_FULL = "disk_full"
    RECORDER_FAILED = "recorder_failed"
    ROBOT_FAULT = "robot_fault"
    UNSTABLE = "unstable"
    HOST_LOST = "host_lost"

    @property
    def valid(self) -> bool:
        """Whether an episode that ended for this reason may count: the operator, or the task's step limit, ended it."""
        return self in (EndReason.FINISHED, EndReason.STEP_LIMIT)
