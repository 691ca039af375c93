"""Values that a market does not have as a rule, beside ordinary ones."""

from pathlib import Path

from tests.integration.odd import Command, land_with

EXCHANGE = "unusual"
FILES = {
    "trades": (
        "time,id,price,size\n"
        "2025-01-01T00:00:00Z,1,10,1\n2025-01-01T00:00:01Z,2,0,1\n2025-01-01T00:00:02Z,3,10,0\n"
    ),
    "tickers": (
        "time,bid_price,ask_price,last_price\n"
        "2025-01-01T00:00:00Z,9,11,10\n2025-01-01T00:00:01Z,-3,-2,\n"
        "2025-01-01T00:00:02Z,0,11,\n2025-01-01T00:00:03Z,,,-1\n"
    ),
    "mark_prices": "time,mark_price\n2025-01-01T00:00:00Z,10\n2025-01-01T00:00:01Z,0\n",
    "funding_rates": "time,funding_rate\n2025-01-01T00:00:00Z,0.99\n2025-01-01T08:00:00Z,-1\n",
    "klines": (
        "open_time,open,high,low,close,volume\n"
        "2025-01-01T00:00:00Z,2,3,1,2,5\n2025-01-01T00:01:00Z,2,1,3,2,5\n"
        "2025-01-01T00:02:00Z,2,2,2,2,0\n2025-01-01T00:02:00Z,2,2,2,2,0\n"
    ),
}


def write(folder: Path) -> list[Command]:
    commands = []
    for channel, text in FILES.items():
        file = folder / f"{channel}.csv"
        file.write_text(text)
        options = ("--channel", channel, "--exchange", EXCHANGE, "--symbol", "S")
        interval = ("--interval", "1m") if channel == "klines" else ()
        commands.append(land_with("csv", file, *options, *interval))
    return commands
