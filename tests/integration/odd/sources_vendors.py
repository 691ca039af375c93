"""Files of vendors that only a mapping makes sense of: signed sizes, wei, books as objects."""

import json
from pathlib import Path

from tests.integration.odd import Command, land_with

EXCHANGE = "vendors"


def write(folder: Path) -> list[Command]:
    signed = folder / "signed.csv"
    signed.write_text(
        "id,time,size,price\n1,2025-01-01T00:00:00Z,-240000000000000000,3613.6\n"
        "2,2025-01-01T00:00:01Z,5e20,3613.5\n"
    )
    mapping = folder / "mapping.json"
    sides = {"positive": "buy", "negative": "sell"}
    mapping.write_text(json.dumps({"sign": sides, "scale": {"size": "1e-18"}}))
    book = folder / "book.csv"
    book.write_text(
        "timestamp,bids,asks\n"
        '2025-01-01T00:00:00Z,"{""34151.60"":""2"",""34151.66"":""0.5""}","{""34151.67"": 1}"\n'
    )
    who = ("--exchange", EXCHANGE)
    trades = ("--channel", "trades", *who, "--symbol", "WEI", "--config", mapping)
    return [
        land_with("csv", signed, *trades),
        land_with("csv", book, "--channel", "order_book", *who, "--symbol", "OBJECT"),
    ]
