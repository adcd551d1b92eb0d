"""A recorded request becomes a script that runs the same statements."""

from benchmarks.recording import Script, Statement, script_of, statements_of

log = """\
2026-06-15 10:00:00.000 UTC [7] LOG:  statement: SELECT pg_reload_conf()
2026-06-15 10:00:01.000 UTC [8] LOG:  statement: BEGIN
2026-06-15 10:00:01.001 UTC [8] LOG:  execute _pg3_0: SELECT a
\t  FROM t
\t WHERE a = $1::text AND b = $2::uuid AND c IS NOT DISTINCT FROM $10
2026-06-15 10:00:01.001 UTC [8] DETAIL:  Parameters: $1 = 'it''s $2, = NULL', $2 = '00-7', $3 = '', $4 = '', $5 = '', \
$6 = '', $7 = '', $8 = '', $9 = '', $10 = NULL
2026-06-15 10:00:01.002 UTC [8] LOG:  execute <unnamed>: SAVEPOINT work
2026-06-15 10:00:01.003 UTC [9] LOG:  statement: COMMIT
2026-06-15 10:00:01.004 UTC [7] LOG:  statement: ALTER SYSTEM RESET log_statement
"""


def test_the_statements_are_those_of_the_log_but_not_our_own() -> None:
    begin, select, savepoint, commit = statements_of(log, ignore=7)
    assert (begin, savepoint, commit) == (Statement("BEGIN"), Statement("SAVEPOINT work"), Statement("COMMIT"))
    assert select.sql == "SELECT a\n  FROM t\n WHERE a = $1::text AND b = $2::uuid AND c IS NOT DISTINCT FROM $10"
    assert [select.parameters[0], select.parameters[1], select.parameters[9]] == ["it's $2, = NULL", "00-7", None]


def test_the_script_runs_every_statement_with_its_values_as_parameters() -> None:
    script = script_of(list(statements_of(log, ignore=7)), {"00-7": "id(:n)"}, r"\set n random(1, 9)")
    assert script == Script(
        "\\set n random(1, 9)\nBEGIN;\n"
        "SELECT a\n  FROM t\n WHERE a = :p1_1::text AND b = id(:n)::uuid AND c IS NOT DISTINCT FROM NULL;\n"
        "SAVEPOINT work;\nCOMMIT;\n",
        {"p1_1": "it's $2, = NULL"},
    )
    assert script.arguments() == ["-D", "p1_1=it's $2, = NULL"]
