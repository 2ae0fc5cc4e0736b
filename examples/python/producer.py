"""Asks errand for one task and waits for its answer, by docs/wire.md:
producer.py REDIS_URL BASE ID NAME PARAMS_AS_JSON [TIMEOUT_MS]
Progress and errors go to standard error, the result as JSON to standard output.
Exit code: 0 succeeded, 1 failed, cancelled or expired, 2 the id is in use, 3 no answer in time.
"""
import json
import sys
import time
from typing import Any, List, Tuple

import redis


def enqueue(client: redis.Redis, base: str, id: str, name: str, task: Any) -> bool:
    if not client.set(f"{base}|task-result:{id}", json.dumps(task), nx=True):
        return False  # The record comes first, and never over that of another task.
    client.rpush(f"{base}|task-queue|{name}", id)
    bell = f"{base}|task-bell|{name}"  # Wakes a listener at once: at most four tokens, for a minute.
    client.pipeline().rpush(bell, 1).ltrim(bell, 0, 3).expire(bell, 60).execute()
    return True


def read(client: redis.Redis, base: str, id: str) -> Tuple[int, List[float], str]:
    record = client.get(f"{base}|task-result:{id}")
    if record is None or record[0:1] != b"1":
        return 0, [], ""  # It is gone, or no listener has taken it yet.
    start = 114 + int(record[99:102]) + int(record[102:106]) + int(record[106:114])  # Bytes, not characters.
    head, _, body = record[start:].decode().partition("\n")
    return int(record[1:2]), json.loads(head or "{}").get("progress", [])[:2], body


def fail(code: int, text: str) -> int:
    print(text, file=sys.stderr)
    return code


def main(url: str, base: str, id: str, name: str, params: str, timeout: str = "60000") -> int:
    client, last = redis.Redis.from_url(url), []
    if not enqueue(client, base, id, name, {"params": json.loads(params), "timeout": int(timeout)}):
        return fail(2, f"there is a task {id} already")
    end = time.monotonic() + int(timeout) / 1000 + 5  # The timeout counts from when a listener takes the task.
    while time.monotonic() < end:
        state, progress, body = read(client, base, id)
        if progress and progress != last:
            print(f"{progress[0]} of {progress[1]}", file=sys.stderr, flush=True)
        if state == 4:  # Succeeded.
            print("null" if body == "json-" else body.partition("=")[2])
            return 0
        if state > 4:  # Failed, cancelled, expired.
            error = json.loads(body[1:] or '{"name": "Error", "message": "it left no reason"}')
            return fail(1, f"{error['name']}: {error['message']}")
        last = progress
        time.sleep(0.05)
    return fail(3, f"no answer to task {id} within {timeout} ms and 5 s")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
