"""How far the clocks of places are ahead of UTC, by Python's own reader of its own copy of the IANA time zone database.

Reads a JSON list of [zone, Unix seconds] from standard input; writes the minutes ahead of UTC for each.
"""

import json
import sys
from datetime import datetime, timezone
from importlib.resources import files
from zoneinfo import ZoneInfo


def minutes_ahead(zone: str, seconds: int) -> int:
    with files("tzdata.zoneinfo").joinpath(zone).open("rb") as file:
        place = ZoneInfo.from_file(file)
    ahead = datetime.fromtimestamp(seconds, timezone.utc).astimezone(place).utcoffset()
    return int(ahead.total_seconds() // 60)


print(json.dumps([minutes_ahead(zone, seconds) for zone, seconds in json.load(sys.stdin)]))
