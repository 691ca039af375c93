"""An inverse contract of 100 dollars: volume counts contracts, and quote volume is in coins."""

from pathlib import Path

from tests.integration.odd import Command, land_with

EXCHANGE = "inverse"


def write(folder: Path) -> list[Command]:
    trades, candles = folder / "trades.csv", folder / "candles.csv"
    trades.write_text(
        "time,id,price,size,side\n"
        "2025-01-01T00:00:01Z,1,50000,10,buy\n"
        "2025-01-01T00:00:02Z,2,40000,4,sell\n"
        "2025-01-01T00:01:01Z,3,50000,5,sell\n"
        "2025-01-01T00:02:01Z,4,50000,5,sell\n"
    )
    header = "open_time,open,high,low,close,volume,quote_volume,count,taker_buy_volume"
    candles.write_text(
        f"{header},taker_buy_quote_volume\n"
        "2025-01-01T00:00:00Z,50000,50000,40000,40000,14,0.03,2,10,0.02\n"
        "2025-01-01T00:01:00Z,50000,50000,50000,50000,5,0.01,1,0,0\n"
        "2025-01-01T00:02:00Z,50000,50000,50000,50000,6,0.012,1,0,0\n"
    )
    who = ("--exchange", EXCHANGE, "--symbol", "BTCUSD_PERP")
    return [
        land_with("csv", trades, "--channel", "trades", *who),
        land_with("csv", candles, "--channel", "klines", "--interval", "1m", *who),
    ]
