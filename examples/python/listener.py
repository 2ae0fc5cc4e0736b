"""Does tasks of errand in Python, one at a time, by docs/wire.md; as a program: listener.py REDIS_URL BASE"""
import json, secrets, signal, sys, threading, time, traceback
from itertools import accumulate, count
from pathlib import Path
from typing import Any, Callable, Dict

import redis, redis.backoff, redis.retry


def serve(url: str, base: str, handlers: Dict[str, Callable[[Any, Callable], Any]], lease: int = 30_000) -> None:
    """Calls handlers[name](params, update); update(current, total) raises once the task is not wanted any more."""
    stopping, me, here = threading.Event(), secrets.token_hex(6), [15_000, len(handlers), *handlers]
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())  # The task in work is finished first.
    again = redis.retry.Retry(redis.backoff.ConstantBackoff(1), 60)  # The same words sent twice do no harm.
    client = redis.Redis.from_url(url, retry=again, retry_on_error=[redis.ConnectionError, redis.TimeoutError])
    folder = Path(__file__).parents[2] / "docs" / "lua"  # The rules of leases and fences live in errand's own scripts.
    scripts = {file.stem: client.register_script(file.read_bytes()) for file in folder.glob("*.lua")}
    run = lambda script, *words: scripts[script]([f"{base}|task-none"], [base, "", *words])

    def attempt(id: bytes, record: bytes) -> None:
        _, name_end, options_end, end = accumulate(map(int, (114, record[99:102], record[102:106], record[106:114])))
        name, params, fence = record[114:name_end].decode(), record[options_end:end], record[24:40]
        head, done = record[end:].partition(b"\n")[0], threading.Event()  # What is known of its progress.
        if record[52:53] != b"f" and params[:5] not in (b"json=", b"json-"):  # Others may be able to read it.
            print(f"left to others, since it is not JSON: task {id.decode()}", file=sys.stderr, flush=True)
            return run("release", 3_000, id, name, me, fence)

        def keep() -> None:
            while not done.wait(lease / 3000):
                run("renew", me, lease, *here, id, name, fence)

        def update(current: float, total: float) -> None:
            nonlocal head
            head = json.dumps({"progress": [current, total, int(time.time() * 1000)]}, allow_nan=False).encode()
            verdict, _, cancel = run("progress", id, me, fence, head + b"\n")[0].decode()
            if verdict != "a" or cancel == "1":
                raise InterruptedError("the task was cancelled, or another listener has it")
        threading.Thread(target=keep, daemon=True).start()
        try:
            given = json.loads(params).get("params") if record[52:53] == b"f" else json.loads(params[5:] or "null")
            state, body = 4, "json=" + json.dumps(handlers[name](given, update), allow_nan=False)
        except Exception as error:
            told = {"name": type(error).__name__, "message": str(error)[:8192], "stack": traceback.format_exc()[-8192:]}
            state, body = 5, "!" + json.dumps(told)
        done.set()
        run("finish", id, fence + me.encode(), state, head + b"\n" + body.encode())

    for sequence in count(1):
        if stopping.is_set():
            return run("leave", me, *handlers)
        _, more, _, *task = run("claim", me, f"{sequence:010}", 1, lease, *here, *handlers)
        if task:
            attempt(task[0], task[1] + task[2][len(task[1]):])
        elif not more:  # At most a second, for a stop and for what is due.
            client.blpop([f"{base}|task-bell|{name}" for name in handlers], 1)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], {"words": lambda params, update: len(params["text"].split())})
