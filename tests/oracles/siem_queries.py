"""Runs the queries of docs/siem, as far as an engine can be had, and parses the others.

Stdin: {"lines": [native messages], "rows": [rows of Sentinel's table], "queries": [{"language", "text"}]}. Stdout: for each query
what it gives, as a list of objects; null for one that is only parsed. Fails at the first query that is not valid.

sql is run by DuckDB, kql by duckdb-kql; esql is parsed by Elastic's grammar, yaral by tree-sitter's, json and xml as such.
"""

import json
import os
import re
import sys
import tempfile
import warnings
import xml.etree.ElementTree as xml

import duckdb
import duckdb_kql
import esql
import tree_sitter_yaral
from tree_sitter import Language, Parser

ELASTIC = "8.19.0"
ROW = {
    "TimeGenerated": "TIMESTAMP",
    "EventId": "VARCHAR",
    "Origin": "VARCHAR",
    "Tenant": "VARCHAR",
    "EventIndex": "BIGINT",
    "EventName": "VARCHAR",
    "EventSeverity": "VARCHAR",
    "Body": "VARCHAR",
}

question = json.load(sys.stdin)
os.chdir(tempfile.mkdtemp())
database = duckdb_kql.connect()


def fill():
    with open("events.ndjson", "w") as file:
        file.writelines(line + "\n" for line in question["lines"])
    database.sql("CREATE TABLE Keyfold_CL ({})".format(", ".join(f"{name} {kind}" for name, kind in ROW.items())))
    rows = [[row[name] for name in ROW] for row in question["rows"]]
    database.executemany("INSERT INTO Keyfold_CL VALUES ({})".format(", ".join("?" * len(ROW))), rows)


def objects(result):
    names = [column[0] for column in result.description]
    return [dict(zip(names, row)) for row in result.fetchall()]


def run_sql(text):
    return objects(database.sql(text))


def run_kql(text):
    return objects(duckdb_kql.kql(database, text))


def parse_esql(text):
    query = esql.parse_query(text)
    esql.check_catalog_names(query)
    esql.verify_features(query, ELASTIC)


def parse_yaral(text):
    with warnings.catch_warnings(action="ignore"):
        language = Language(tree_sitter_yaral.language())
    assert not Parser(language).parse(text.encode()).root_node.has_error, text


def parse_xml(text):
    xml.fromstring(text)


def parse_json(text):
    document = json.loads(re.sub(r"\A(PUT|POST) .*\n", "", text))
    for item in document.get("items", []):
        run_kql(item["content"]["query"])


LANGUAGES = {
    "sql": run_sql,
    "kql": run_kql,
    "esql": parse_esql,
    "yaral": parse_yaral,
    "json": parse_json,
    "xml": parse_xml,
}

def answer(query):
    try:
        return LANGUAGES[query["language"]](query["text"])
    except Exception as error:
        raise AssertionError(f"{error}\n{query['text']}") from error


fill()
answers = [answer(query) for query in question["queries"]]
json.dump(answers, sys.stdout, default=str)
