# SPDX-License-Identifier: Apache-2.0
"""Does a running endpoint mark what it serves? Asks it, and looks for one account's own layer.

    python -m countermark.probe http://127.0.0.1:8000 --account alice --user -p profile.json -k server.key

The test. Each answer has the p-value of the claimed account's own layer, corrected for its slots;
contexts of its prompt and of all earlier answers are left out, so that no tuple counts twice and
the p-values are independent under the null law. Each becomes an e-value by the mixture calibrator,
the integral of k p^(k-1) over k in [0, 1], which is at most 1 in the mean when the text is
independent of the key (V. Vovk and R. Wang, E-values: calibration, combination and applications,
2021). Their product is a test martingale: p = 1 / its largest value bounds the chance of ever
getting there (Ville), so the probe may stop as soon as it has seen enough.

The shared layer is a second question with a p-value of its own, for who looks for the fault; it
does not decide.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from pathlib import Path
from typing import Any

import countermark
from countermark.endpoint import Endpoint
from countermark.error import Error
from countermark.program import INTERRUPTED, count, exit_code, header_name, header_of_variable, number

DETECTED, INCONCLUSIVE, NOT_DETECTED = 0, 5, 10

MINIMUM_SCORED = 16  # countermark.policy/1
# What 95 % of the embedded model's answers at temperature 1 take for the claimed account's own
# layer (docs/studies.md). A large model's text takes several times that.
EXPECTED_TOKENS = 65
# With fewer nothing found is no finding: eight times that.
ENOUGH_TOKENS = 8 * EXPECTED_TOKENS
SOME_EVIDENCE = 1e-3  # chance gives so much once in a thousand probes

# Open questions: their answers are long, and vary.
PROMPTS = (
    "Tell a story about somebody who repairs clocks in a harbour town.",
    "Describe a journey by train through a country that does not exist.",
    "Write a letter from a lighthouse keeper to a friend.",
    "Explain to a child how bread is made, with many details.",
    "Describe the market square of an old city on a rainy morning.",
    "Invent a festival, and tell how it is celebrated.",
    "Write about a library in which something strange happens.",
    "Tell how two neighbours became friends after a long quarrel.",
)


@dataclass
class Layer:
    """What the answers so far say by one layer: a test martingale."""

    scored: int = 0
    log_e: float = 0.0
    best_log_e: float = 0.0
    floor: float = 0.0  # the sum of the answers' smallest assertable p-values

    def add(self, scored: int, p: str | None, floor: str) -> None:
        """One more answer. Without a tuple it says nothing; whether it has one, no score decides."""
        if p is None or scored == 0:
            return
        self.scored += scored
        self.floor += float(floor)
        self.log_e += log_e_value(max(float(p), float(floor)))
        self.best_log_e = max(self.best_log_e, self.log_e)

    @property
    def p(self) -> float:
        return min(1.0, max(math.exp(-self.best_log_e), self.floor))


def log_e_value(p: float) -> float:
    """ln((1 - p + p ln p) / (p ln(p)^2)), the mixture calibrator; p in (0, 1]."""
    nats = -math.log(p)
    if nats < 1e-4:
        return -math.log(2)  # its limit at 1, from which it differs by less than nats
    return math.log(-math.expm1(-nats) - p * nats) + nats - 2 * math.log(nats)


def decimal(p: float) -> str:
    """As the command line prints p-values: three digits, rounded up."""
    rounded = Context(prec=3, rounding=ROUND_CEILING).create_decimal(p)
    return "1" if rounded >= 1 else f"{rounded:.2e}"


def verdict(layer: Layer, tokens: int, alpha: float) -> tuple[str, list[str]]:
    """With the reasons why nothing is decided."""
    if layer.scored < MINIMUM_SCORED:
        return "inconclusive", ["too-short"]
    if layer.p <= alpha:
        return "detected", []
    if layer.p <= SOME_EVIDENCE:
        return "inconclusive", ["some-evidence"]
    if tokens < ENOUGH_TOKENS:
        return "inconclusive", ["too-few-tokens"]
    return "not-detected", []


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m countermark.probe", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Asks a running OpenAI-compatible endpoint, and says whether its text carries the mark of an "
                    "account.",
        epilog="Exit codes: 0 detected, 5 inconclusive, 10 not detected; 2 usage, 3 bad input, 4 key or\n"
               "permission, 6 I/O, 130 interrupted. Not detected has causes: docs/operations.md.\n\n"
               "Examples:\n"
               "  python -m countermark.probe http://127.0.0.1:8000 --account probe --user -p profile.json -k server.key\n"
               "  python -m countermark.probe https://host/v1 --chat --model m --header Authorization=BEARER \\\n"
               "      --account probe -p profile.json -k server.key --json")
    parser.add_argument("url", metavar="URL", help="http://HOST:PORT, with or without /v1, or the whole address")
    parser.add_argument("--account", required=True, metavar="ID", help="whose mark is looked for (a pseudonym)")
    parser.add_argument("-p", "--profile", required=True, metavar="FILE", help="profile of the mark")
    parser.add_argument("-k", "--key", required=True, metavar="FILE", help="epoch key; '-' is standard input")
    parser.add_argument("-t", "--tokenizer", metavar="FILE", help="tokenizer, if not where the profile says")
    parser.add_argument("--chat", action="store_true", help="ask /v1/chat/completions")
    parser.add_argument("--model", metavar="NAME", help="model to ask for, where the endpoint has several")
    parser.add_argument("--user", action="store_true", help="send the account as 'user'")
    parser.add_argument("--account-header", type=header_name, metavar="NAME", help="send the account in this header")
    parser.add_argument("--header", action="append", default=[], type=header_of_variable, metavar="NAME=VARIABLE",
                        help="send a header with the value of a variable of the environment")
    parser.add_argument("--prompts", metavar="FILE", help="one prompt a line, taken in turn; default: built in")
    parser.add_argument("--answers", type=count, default=16, metavar="N", help="at most so many answers [16]")
    parser.add_argument("--max-tokens", type=count, default=400, metavar="N", help="of an answer [400]")
    parser.add_argument("--temperature", type=number(0, 100), default=1.0, metavar="T", help="to ask for [1]")
    parser.add_argument("--top-p", type=number(0, 1), metavar="P", help="to ask for; default: the endpoint's")
    parser.add_argument("--alpha", type=number(1e-15, 0.5), default=1e-6, metavar="P",
                        help="largest p-value that counts as detected [1e-6]")
    parser.add_argument("--timeout", type=number(0.01, 86400), default=120.0, metavar="SECONDS", help="of an answer [120]")
    parser.add_argument("--json", action="store_true", help="one line of JSON (countermark.probe/1)")
    flags = parser.parse_args(arguments)
    if flags.temperature == 0:
        parser.error("--temperature: at 0 nothing is drawn, and nothing can be marked")
    if flags.top_p == 0:
        parser.error("--top-p: at 0 nothing is drawn, and nothing can be marked")
    return flags


def prompts_of(path: str | None) -> Sequence[str]:
    if path is None:
        return PROMPTS
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise Error(f"{path} (byte {error.start}): expected UTF-8", "invalid-input", path, None, error.start) from None
    except OSError as error:
        raise Error(f"{path}: cannot read: {error.strerror}", "io", path) from None
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise Error(f"{path}: expected a prompt", "invalid-input", path)
    return lines


def probe(flags: argparse.Namespace) -> dict[str, Any]:
    """The result, countermark.probe/1."""
    key, profile = countermark.Key.load(flags.key), countermark.Profile.load(flags.profile)
    tokenizer = countermark.Tokenizer.of(profile, flags.profile, flags.tokenizer)
    if tokenizer is None:
        raise Error(f"{flags.profile}: names no tokenizer: give one with -t FILE", "invalid-argument", flags.profile)
    of_account = countermark.Detector(key, profile, tokenizer, account=flags.account)
    has_shared = any(layer.name == "shared" for layer in profile.layers)
    of_all = countermark.Detector(key, profile, tokenizer) if has_shared else None
    prompts = prompts_of(flags.prompts)
    headers = dict(flags.header)
    if flags.account_header:
        headers[flags.account_header] = flags.account
    body: dict[str, Any] = {"max_tokens": flags.max_tokens, "temperature": flags.temperature, "stream": False}
    for name, value in (("model", flags.model), ("top_p", flags.top_p), ("user", flags.account if flags.user else None)):
        if value is not None:
            body[name] = value
    endpoint = Endpoint(flags.url, flags.chat, headers, flags.timeout)

    account, shared = Layer(), Layer()
    shown: list[int] = []  # ids of the prompts and answers before
    tokens = answers = 0
    while answers < flags.answers:
        prompt = prompts[answers % len(prompts)]
        ids = tokenizer.encode(endpoint.answer(body, prompt).text)
        answers += 1
        tokens += len(ids)
        shown += tokenizer.encode(prompt)
        own, = of_account.detect(ids, prompt=shown)["streams"]
        account.add(own["scored"], own["pValue"], own["pFloor"])
        if of_all is not None:
            found = of_all.detect(ids, prompt=shown)
            shared.add(found["scored"], found["pValue"], found["pFloor"])
        shown += ids
        if sys.stderr.isatty():
            print(f"\ranswer {answers} of {flags.answers}: {tokens} tokens, p {account.p:.1e}  ", end="",
                  file=sys.stderr, flush=True)
        if verdict(account, tokens, flags.alpha)[0] == "detected":
            break
    if sys.stderr.isatty():
        print(file=sys.stderr)

    decided, reasons = verdict(account, tokens, flags.alpha)
    needed = math.ceil(tokens * math.log(flags.alpha) / -account.best_log_e) if account.best_log_e > 0 else None
    return {
        "schema": "countermark.probe/1",
        "version": countermark.__version__,
        "url": endpoint.url,
        "model": flags.model,
        "account": flags.account,
        "sentAs": [*(["user"] if flags.user else []), *([flags.account_header] if flags.account_header else [])],
        "profile": profile.digest,
        "keyId": key.key_id,
        "epoch": key.epoch_id,
        "temperature": flags.temperature,
        "topP": flags.top_p,
        "maxTokens": flags.max_tokens,
        "mostAnswers": flags.answers,
        "answers": answers,
        "tokens": tokens,
        "alpha": f"{Decimal(repr(flags.alpha)).normalize():e}",
        "own": finding(account, decided),
        "shared": finding(shared, verdict(shared, tokens, flags.alpha)[0]) if of_all is not None else None,
        "expectedTokens": EXPECTED_TOKENS,
        "neededTokens": needed,
        "verdict": decided,
        "reasons": reasons,
    }


def finding(layer: Layer, decided: str) -> dict[str, Any]:
    return {"scored": layer.scored, "pValue": decimal(layer.p), "log10P": round(math.log10(layer.p), 4) + 0.0,
            "verdict": decided}


def people(result: dict[str, Any]) -> str:
    own, shared, name = result["own"], result["shared"], result["account"]
    sent = " and ".join(result["sentAs"])
    rows = [
        ("asked", f"{result['url']}: {result['answers']} of at most {result['mostAnswers']} answers, "
                  f"temperature {result['temperature']:g}, {result['maxTokens']} tokens at most"),
        ("as", f"account {name}, " + (f"sent as {sent}" if sent else "which was not sent")),
        ("under", f"key {result['keyId']}, epoch {result['epoch']}, profile {result['profile'][:16]}"),
        ("judged", f"{result['tokens']} tokens, {own['scored']} scored in the account's own layer"),
        ("own layer", f"p {own['pValue']}, alpha {result['alpha']}: {own['verdict']}"),
    ]
    if shared is not None:
        rows.append(("shared", f"p {shared['pValue']}: {shared['verdict']} (another question: is it this key's at all?)"))
    needed = "" if result["neededTokens"] is None else f"about {result['neededTokens']} tokens at the rate seen here; "
    rows.append(("needed", f"{needed}the embedded model's text takes {result['expectedTokens']} at temperature 1, "
                           "a large model's several times that"))
    means = {
        "detected": f"What was served carries the mark of {name}.",
        "inconclusive": "These answers are too little to tell: ask for more or longer ones, or a higher temperature.",
        "not-detected": f"No mark of {name} was found. Causes: docs/operations.md, \"The probe finds nothing\".",
    }[result["verdict"]]
    if result["verdict"] == "not-detected" and shared is not None and shared["verdict"] == "detected":
        means = f"The text is of this key, but was not served as {name}: the account does not reach the engine."
    return "\n".join(f"{title:<11}{value}" for title, value in rows) + f"\n{means}"


def main(arguments: Sequence[str] | None = None) -> int:
    flags = parse(arguments)
    try:
        result = probe(flags)
        print(json.dumps(result, ensure_ascii=False, separators=(",", ":")) if flags.json else people(result), flush=True)
    except Error as error:
        print(f"countermark.probe: error: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    return {"detected": DETECTED, "inconclusive": INCONCLUSIVE}.get(result["verdict"], NOT_DETECTED)


if __name__ == "__main__":
    sys.exit(main())
