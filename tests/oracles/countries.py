"""Writes a database in MaxMind's format, by a library that shares no code with the broker: the loopback networks lie in a country.

Usage: countries.py FILE COUNTRY, where an empty COUNTRY leaves them out.
"""

import sys

from mmdb_writer import MMDBWriter
from netaddr import IPSet

path, country = sys.argv[1:]
writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-Country", languages=["en"])
writer.insert_network(IPSet(["192.0.2.0/24"]), {"country": {"iso_code": "AT"}})
if country:
    writer.insert_network(IPSet(["127.0.0.0/8", "::1/128"]), {"country": {"iso_code": country}})
writer.to_db_file(path)
