"""Prints with price 0 or size 0 between two books, and a trade."""

from pathlib import Path

from tests.integration.odd import Command, land_with


def write(folder: Path) -> list[Command]:
    book, trades = folder / "book.csv", folder / "trades.csv"
    book.write_text(
        "timestamp,seq,bid_price_1,bid_size_1,ask_price_1,ask_size_1\n"
        "2025-08-01T00:00:00Z,1,2,1,2.1,1\n"
        "2025-08-01T00:00:10Z,2,2,1,2.1,1\n"
    )
    trades.write_text(
        "time,id,price,size,side\n"
        "2025-08-01T00:00:01Z,1,2.0002,2.5,buy\n"
        "2025-08-01T00:00:02Z,2,0,2.5,sell\n"
        "2025-08-01T00:00:03Z,3,2,0,sell\n"
    )
    names = ("--exchange", "zero-prints", "--symbol", "Z")
    return [
        land_with("csv", book, "--channel", "order_book", *names),
        land_with("csv", trades, "--channel", "trades", *names),
    ]
