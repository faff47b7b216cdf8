"""psycopg 2. Where it connects to is in libpq's variables."""

import io
import threading

import psycopg2
from tried import equal, fails, tried


def connect(autocommit=True, **options):
    conn = psycopg2.connect("", **options)
    conn.autocommit = autocommit
    return conn


def value(conn, *args):
    cursor = conn.cursor()
    cursor.execute(*args)
    return cursor.fetchone()[0]


def execute(conn, *args):
    conn.cursor().execute(*args)


@tried("statements")
def _():
    conn = connect()
    equal(value(conn, "SELECT %s || %s", ("a", "b")), "ab")
    fails("42703", lambda: execute(conn, "SELECT nonsense"))
    equal(value(conn, "SELECT 1"), 1)
    conn.close()


@tried("transactions")
def _():
    a, b = connect(autocommit=False), connect()
    execute(b, "CREATE TABLE psycopg2 (n int)")
    execute(a, "INSERT INTO psycopg2 VALUES (1)")
    equal(value(b, "SELECT count(*) FROM psycopg2"), 0)
    a.rollback()
    with a:
        execute(a, "INSERT INTO psycopg2 VALUES (2)")
    equal(value(b, "SELECT n FROM psycopg2"), 2)
    fails("22012", lambda: execute(a, "SELECT 1/0"))
    fails("25P02", lambda: execute(a, "SELECT 1"))
    a.rollback()
    equal(value(a, "SELECT 1"), 1)
    a.close()
    b.close()


@tried("PREPARE in SQL")
def _():
    a, b = connect(), connect()
    execute(a, "PREPARE mine (int) AS SELECT $1 + 1")
    fails("26000", lambda: execute(b, "EXECUTE mine (1)"))
    equal(value(a, "EXECUTE mine (1)"), 2)
    execute(a, "DEALLOCATE mine")
    fails("26000", lambda: execute(a, "EXECUTE mine (1)"))
    a.close()
    b.close()


@tried("COPY")
def _():
    conn = connect()
    execute(conn, "CREATE TABLE psycopg2_copy (n int)")
    lines = "".join(f"{i}\n" for i in range(10000))
    cursor = conn.cursor()
    cursor.copy_expert("COPY psycopg2_copy FROM stdin", io.StringIO(lines))
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT n FROM psycopg2_copy ORDER BY n) TO stdout", out)
    equal(out.getvalue(), lines)
    fails("22P02", lambda: cursor.copy_expert("COPY psycopg2_copy FROM stdin", io.StringIO("x\n" * 1000)))
    equal(value(conn, "SELECT count(*) FROM psycopg2_copy"), 10000)
    conn.close()


@tried("cursor of the server, with and without HOLD")
def _():
    conn = connect(autocommit=False)
    cursor = conn.cursor("named")
    cursor.execute("SELECT generate_series(1, 1000)")
    equal(sum(n for n, in cursor), 500500)
    conn.rollback()
    held = conn.cursor("held", withhold=True)
    held.itersize = 100
    held.execute("SELECT generate_series(1, 1000)")
    first = held.fetchone()
    conn.commit()
    equal(first[0] + sum(n for n, in held), 500500)
    held.close()
    conn.close()


@tried("cancel")
def _():
    conn = connect()
    done = threading.Event()

    def cancel():  # the first request may come before the statement runs
        while not done.wait(0.2):
            conn.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        fails("57014", lambda: execute(conn, "SELECT pg_sleep(100)"))
    finally:
        done.set()
        thread.join()
    equal(value(conn, "SELECT 4"), 4)
    conn.close()


@tried("large objects")
def _():
    conn = connect(autocommit=False)
    large = conn.lobject(0, "wb")
    large.write(b"0123456789" * 10000)
    large.close()
    equal(conn.lobject(large.oid, "rb").read(), b"0123456789" * 10000)
    conn.rollback()
    conn.close()


@tried("LISTEN and NOTIFY")
def _():
    a, b = connect(), connect()
    execute(a, "LISTEN psycopg2_news")
    execute(b, "NOTIFY psycopg2_news, 'from b'")
    equal(value(a, "SELECT 1"), 1)  # what has come is read with the next reply
    while not a.notifies:
        a.poll()
    equal(a.notifies[0].payload, "from b")
    a.close()
    b.close()


@tried("encodings")
def _():
    a, b = connect(), connect()
    a.set_client_encoding("LATIN1")
    for _ in range(3):
        equal(value(a, "SELECT 'café' || length('é')"), "café1")
        equal(value(b, "SELECT 'café' || length('é')"), "café1")
    a.close()
    b.close()
