# SPDX-License-Identifier: Apache-2.0
"""The service of a server's process, from its environment."""

from __future__ import annotations

import os
from typing import Any

from countermark._countermark import Key, Profile, Service


class Deployment:
    """service draws, transcripts gets what was served; close() when the process ends."""

    transcripts: Any = None

    def __init__(self, service: Service) -> None:
        self.service = service

    @classmethod
    def from_environment(cls) -> Deployment:
        """From the files that COUNTERMARK_KEY and COUNTERMARK_PROFILE name.

        Raises KeyError and Error: the server must not start.
        """
        return cls(Service(Key.load(os.environ["COUNTERMARK_KEY"]),
                           Profile.load(os.environ["COUNTERMARK_PROFILE"])))

    def close(self) -> None:
        """Nothing is held that must be let go."""
