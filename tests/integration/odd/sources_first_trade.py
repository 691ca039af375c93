"""Trades whose first id is 0, as every Binance symbol has them."""

from pathlib import Path

from tests.integration.odd import Command, land_with


def write(folder: Path) -> list[Command]:
    file = folder / "trades.csv"
    file.write_text(
        "time,id,price,size,side\n"
        "2025-01-01T00:00:00,0,0.2,50,buy\n"
        "2025-01-01T00:00:01,1,0.21,5,sell\n"
    )
    options = ("--channel", "trades", "--exchange", "first-trade", "--symbol", "NEW")
    return [land_with("csv", file, *options)]
