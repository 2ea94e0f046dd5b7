# SPDX-License-Identifier: Apache-2.0
"""The service of a process that is configured by its environment."""

from __future__ import annotations

import logging
import os

from countermark._countermark import Key, Profile, Service


class Deployment:
    """A service under the key in the file COUNTERMARK_KEY and the profile in COUNTERMARK_PROFILE."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.transcripts = None

    @classmethod
    def from_environment(cls) -> Deployment:
        key = Key.load(os.environ["COUNTERMARK_KEY"])
        profile = Profile.load(os.environ["COUNTERMARK_PROFILE"])
        return cls(Service(key, profile, log=logging.getLogger("countermark").warning))

    def close(self) -> None:
        """Nothing is held open."""
