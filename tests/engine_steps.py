"""An engine as it runs: one step after the other, nothing continuous, for one replica.

Each step takes the chunk of the prompt that is read, if there is one, and one token of every
answer under way; what arrives meanwhile waits for the next step. Written without a look at the
simulation, which counts progress inside a step as continuous.
"""

from __future__ import annotations

from collections import deque


def serve(arrival_s, prefill_s, chunks, output_tokens, decode_step_s):
    """Return first-token and finish instants of each request on one replica."""
    n, most = len(arrival_s), len(decode_step_s)
    first, finish = [0.0] * n, [0.0] * n
    unread: deque[list] = deque()  # [request, chunks left]
    answers: dict[int, int] = {}  # request: tokens left
    waiting = deque(range(n))
    now = 0.0
    while waiting or unread or answers:
        while waiting and arrival_s[waiting[0]] <= now and len(unread) + len(answers) < most:
            unread.append([waiting[0], chunks[waiting.popleft()]])
        if not unread and not answers:
            now = arrival_s[waiting[0]]
            continue
        now += decode_step_s[len(answers) - 1] if answers else 0.0
        if unread:
            now += prefill_s[unread[0][0]] / chunks[unread[0][0]]
        for request in [request for request in answers if answers[request] == 1]:
            finish[request] = now
            del answers[request]
        for request in answers:
            answers[request] -= 1
        if unread:
            unread[0][1] -= 1
            if unread[0][1] == 0:
                request = unread.popleft()[0]
                first[request] = now
                if output_tokens[request] == 1:
                    finish[request] = now
                else:
                    answers[request] = output_tokens[request] - 1
    return first, finish
