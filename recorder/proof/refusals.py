"""The errors with which an episode is refused, one for each gate; the API gives their names in `gate`."""

# ruff: noqa: N818  the names are the ones that contributors read

from __future__ import annotations

from typing import Self


class GateError(Exception):
    """An episode was refused; the subclass is the gate."""

    twin: str | None = None
    """The episode that it repeats, if that is why."""

    def repeating(self, twin: str) -> Self:
        """Return the same refusal, which knows the twin."""
        self.twin = twin
        return self


class BundleIncomplete(GateError):
    """A file of the bundle is missing or too large."""


class ManifestNotCanonical(GateError):
    """manifest.json is not RFC 8785 JSON."""


class ManifestInvalid(GateError):
    """manifest.json does not have the keys or types of FORMAT.md."""


class FileHashMismatch(GateError):
    """episode.h5 is not the file that the manifest names."""


class EpisodeStructureInvalid(GateError):
    """episode.h5 is not an episode file."""


class ManifestDisagrees(GateError):
    """The manifest does not say what the file says."""


class ContentRootMismatch(GateError):
    """The values' root is not the manifest's."""


class CommandsMismatch(GateError):
    """The commands are not one chain, or not what the steps say of them."""


class SafetyMismatch(GateError):
    """The robot was driven when its commands do not allow it."""


class GrantInvalid(GateError):
    """The wallet did not allow this key to sign for this robot, this task, at this time."""


class RobotSignatureInvalid(GateError):
    """The robot's key did not sign this manifest."""


class OperatorSignatureInvalid(GateError):
    """The operator's session key did not sign this manifest."""


class UnknownEpisode(GateError):
    """The hub never asked for this episode."""


class TicketMismatch(GateError):
    """The hub asked for another episode, robot, operator, task or seed."""


class NonceMismatch(GateError):
    """The episode does not carry the nonce that the hub gave."""


class SpecMismatch(GateError):
    """The episode says otherwise of its robot or task than the hub knows."""


class SuccessMismatch(GateError):
    """The manifest says otherwise of success or length than the recorded steps."""


class EndMismatch(GateError):
    """The episode ended otherwise than it says: its operator did not finish it, or was told otherwise."""


class TimeMismatch(GateError):
    """The episode cannot have been at the time that it says."""


class DuplicateEpisode(GateError):
    """The same recording was handed in before, as another episode."""


class CopiedMotion(GateError):
    """The motion is nearly that of an episode that was handed in before."""


class PreviousForked(GateError):
    """Another episode of the robot already continues the same previous one."""


class MotionInvalid(GateError):
    """Clocks, numbers or positions are impossible for this robot."""


class PicturesInvalid(GateError):
    """Pictures are not whole, not in order, not as the file says of them, or cannot be decoded."""


class ReplayMismatch(GateError):
    """Re-simulation gives different states."""


class ReceiptInvalid(GateError):
    """The receipt is not the hub's, or not for this episode."""


class InclusionInvalid(GateError):
    """The log does not hold this episode where the receipt says."""
