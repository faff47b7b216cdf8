"""psycopg 3. Where it connects to is in libpq's variables."""

import threading

import psycopg
from tried import equal, fails, tried


def connect(**options):
    return psycopg.connect("", autocommit=True, **options)


def value(conn, *args, **options):
    return conn.execute(*args, **options).fetchone()[0]


@tried("statements")
def _():
    with connect() as conn:
        equal(value(conn, "SELECT 1"), 1)
        equal(value(conn, "SELECT %s::text || %s", ("a", "b")), "ab")
        equal(value(conn, "SELECT %b::bytea", (b"\x00\xff",), binary=True), b"\x00\xff")


@tried("an error, and on")
def _():
    with connect() as conn:
        fails("22012", lambda: conn.execute("SELECT 1/%s", (0,)))
        equal(value(conn, "SELECT 2"), 2)


@tried("prepared statements")
def _():
    with connect(prepare_threshold=0) as a, connect(prepare_threshold=0) as b:
        for i in range(10):  # both clients name theirs _pg3_0, _pg3_1, ...
            equal(value(a, "SELECT 'a', %s::int", (i,)), "a")
            equal(value(b, "SELECT 'b', %s::int", (i,)), "b")
            equal(value(b, "SELECT 'a', %s::int", (i,)), "a")
            equal(value(a, "SELECT 'a2', %s::int", (i,)), "a2")


@tried("more prepared statements than are kept")
def _():
    with connect(prepare_threshold=0) as conn:
        conn.prepared_max = 5  # others are removed with DEALLOCATE
        for i in range(40):
            equal(value(conn, f"SELECT {i % 20}, %s::int", (i,)), i % 20)


@tried("prepared after a few times")
def _():
    with connect(prepare_threshold=2) as conn:
        for i in range(8):
            equal(value(conn, "SELECT %s::int", (i,)), i)


@tried("transactions")
def _():
    with connect() as a, connect() as b:
        a.execute("CREATE TABLE psycopg3 (n int)")
        with a.transaction(force_rollback=True):
            a.execute("INSERT INTO psycopg3 VALUES (1)")
            equal(value(b, "SELECT count(*) FROM psycopg3"), 0)
        with a.transaction():
            a.execute("INSERT INTO psycopg3 VALUES (2)")
            try:
                with a.transaction():
                    a.execute("SELECT 1/0")
            except psycopg.errors.DivisionByZero:
                pass
        equal(value(b, "SELECT n FROM psycopg3"), 2)


@tried("a pipeline")
def _():
    with connect(prepare_threshold=1) as conn:
        conn.execute("CREATE TABLE psycopg3_pipeline (n int)")
        with conn.pipeline():
            cursors = [conn.execute("SELECT %s::int", (i,)) for i in range(100)]
            conn.cursor().executemany("INSERT INTO psycopg3_pipeline VALUES (%s)", [(i,) for i in range(100)])
        equal([c.fetchone()[0] for c in cursors], list(range(100)))
        equal(value(conn, "SELECT count(*) FROM psycopg3_pipeline"), 100)


@tried("a pipeline with an error")
def _():
    with connect() as conn:

        def broken():
            with conn.pipeline() as p:
                conn.execute("SELECT 1")
                p.sync()
                conn.execute("SELECT 1/0")
                conn.execute("SELECT 2")
                p.sync()

        fails("22012", broken)
        equal(value(conn, "SELECT 3"), 3)


@tried("COPY")
def _():
    rows = [(i, f"line {i}") for i in range(10000)]
    with connect() as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE psycopg3_copy (n int, t text)")
        with cursor.copy("COPY psycopg3_copy FROM stdin") as copy:
            for row in rows:
                copy.write_row(row)
        with cursor.copy("COPY (SELECT * FROM psycopg3_copy ORDER BY n) TO stdout") as copy:
            copy.set_types(["int4", "text"])
            equal(list(copy.rows()), rows)

        def bad():
            with cursor.copy("COPY psycopg3_copy FROM stdin") as copy:
                for _ in range(1000):
                    copy.write("x\ty\n")

        fails("22P02", bad)
        equal(value(conn, "SELECT count(*) FROM psycopg3_copy"), 10000)


@tried("cursor of the server")
def _():
    with connect() as conn, conn.transaction(), conn.cursor("named") as cursor:
        cursor.execute("SELECT generate_series(1, 1000)")
        cursor.itersize = 100
        equal(sum(n for n, in cursor), 500500)


@tried("cancel")
def _():
    with connect() as conn:
        done = threading.Event()

        def cancel():  # the first request may come before the statement runs
            while not done.wait(0.2):
                conn.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            fails("57014", lambda: conn.execute("SELECT pg_sleep(100)"))
        finally:
            done.set()
            thread.join()
        equal(value(conn, "SELECT 4"), 4)


@tried("LISTEN and NOTIFY")
def _():
    with connect() as a, connect() as b:
        a.execute("LISTEN psycopg3_news")
        b.execute("NOTIFY psycopg3_news, 'from b'")
        equal(next(a.notifies()).payload, "from b")


@tried("settings")
def _():
    with connect(application_name="anna") as a, connect(application_name="berta", options="-c DateStyle=german") as b:
        for _ in range(3):
            equal(value(a, "SHOW application_name"), "anna")
            equal(value(b, "SHOW application_name"), "berta")
            equal(value(b, "SELECT date '2003-02-01'::text"), "01.02.2003")
            equal(value(a, "SELECT date '2003-02-01'::text"), "2003-02-01")
        equal(a.info.parameter_status("application_name"), "anna")
        a.execute("SET TIME ZONE 'Asia/Tokyo'")
        equal(a.info.parameter_status("TimeZone"), "Asia/Tokyo")
        equal(b.info.parameter_status("TimeZone") == "Asia/Tokyo", False)


@tried("large values")
def _():
    with connect() as conn:
        equal(len(value(conn, "SELECT %s::text", ("x" * 5_000_000,))), 5_000_000)
