# SPDX-License-Identifier: Apache-2.0
"""Other systems' marks, slowly: the oracle of the C++ readers, written from their published descriptions alone.

`marks.py` maps a profile, a key, a context and a token to raw values; `published.py` computes the number that the
source's own detector prints, flaws included. The other modules are the schemes. Nothing here embeds in earnest.
"""
