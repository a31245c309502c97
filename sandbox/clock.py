"""Compressed time: one factor between AWS's seconds and this machine's."""

import math
import time


class Clock:
    """Turns AWS durations into real ones.

    `speed` is how many AWS seconds pass in one real second; infinite while the world is being
    built, so that what is made then is ready at once.
    """

    def __init__(self, speed: float = math.inf) -> None:
        self.speed = speed
        self._ahead = 0.0
        self._born = self.now()

    def now(self) -> float:
        """Return the present moment, in real seconds since the epoch."""
        return time.time() + self._ahead

    def real(self, aws_seconds: float) -> float:
        """Return how many real seconds so many AWS seconds last."""
        return aws_seconds / self.speed

    def aws(self, real_seconds: float) -> float:
        """Return how many AWS seconds pass in so many real ones (0 while speed is infinite)."""
        return 0.0 if math.isinf(self.speed) else real_seconds * self.speed

    def elapsed(self) -> float:
        """Return the AWS seconds since the sandbox was ready."""
        return self.aws(self.now() - self._born)

    @property
    def jumped(self) -> float:
        """How far jumps have gone so far, in real seconds."""
        return self._ahead

    def start(self, speed: float) -> None:
        """Let time pass at `speed` from now on; earlier jumps are taken back."""
        self.speed = speed
        self._ahead = 0.0
        self._born = self.now()

    def advance(self, aws_seconds: float) -> None:
        """Jump ahead, as if so many AWS seconds had passed."""
        self._ahead += self.real(aws_seconds)
