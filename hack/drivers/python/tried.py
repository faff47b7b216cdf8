"""Tells on standard output what was tried, a line each: "ok NAME" or "not ok NAME: WHY"."""

import faulthandler
import sys

faulthandler.dump_traceback_later(240, exit=True)  # for what hangs


def tried(name):
    """Runs the function at once."""

    def run(what):
        try:
            what()
            print("ok", name)
        except Exception as error:  # of whatever kind: it is told
            print(f"not ok {name}: {type(error).__name__} {error}".replace("\n", " "))
        sys.stdout.flush()

    return run


def equal(got, want):
    assert got == want, f"got {got!r:.200}, want {want!r:.200}"


def fails(code, what):
    try:
        what()
    except Exception as error:
        got = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        assert got == code, f"fails with {got} {error}, want {code}"
        return
    raise AssertionError(f"does not fail, want {code}")
