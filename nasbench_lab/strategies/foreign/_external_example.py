"""What `external` runs without a command: hill climbing from random cells, as short as a program of the protocol gets."""

import json
import random
import sys


def main() -> None:
    """Read the hello message, then ask and be told until the input ends."""
    hello = json.loads(sys.stdin.readline())
    rng = random.Random(hello["seed"])
    best, here = float("-inf"), [rng.randrange(count) for count in hello["options"]]
    since = 0  # queries without improvement
    while True:
        ops = list(here) if since else [rng.randrange(count) for count in hello["options"]]
        if since:
            edge = rng.randrange(len(ops))
            ops[edge] = rng.randrange(hello["options"][edge])
        print(json.dumps({"ask": {"ops": ops}}), flush=True)
        reply = json.loads(sys.stdin.readline() or '{"final": {}}')
        if "error" in reply:  # a space may have some combinations only
            print(json.dumps({"ask": {"arch": rng.randrange(hello["size"])}}), flush=True)
            reply = json.loads(sys.stdin.readline() or '{"final": {}}')
            ops = reply.get("ops", ops)
        if "val" not in reply:  # "final", or the lab has gone
            return
        val = float("-inf") if reply["val"] is None else reply["val"]
        since += 1
        if since == 1 or val > best:
            best, here, since = val, ops, 1
        elif since > 40:
            since = 0


if __name__ == "__main__":
    main()
