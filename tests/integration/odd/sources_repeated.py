"""Ids that name several events, and equal trades without an id in two files."""

from pathlib import Path

from tests.integration.odd import Command, land_with

ZERO = "00000000-0000-0000-0000-000000000000"


def write(folder: Path) -> list[Command]:
    zero = folder / "zero.csv"
    zero.write_text(
        "timestamp,symbol,side,size,price,trade_id\n"
        + "".join(
            f"2018-07-23T10:00:0{second}Z,.BXBT,Buy,0,{10_000 + second}.5,{ZERO}\n"
            for second in range(6)
        )
    )
    numbered = []
    for name, hour in (("morning", 1), ("evening", 18)):
        numbered.append(folder / f"{name}.csv")
        numbered[-1].write_text(
            "id,timestamp,price,volume,side\n"
            f"1,2025-05-19T{hour:02}:00:00Z,100.5,1,buy\n"
            f"2,2025-05-19T{hour:02}:00:01Z,100.5,2,sell\n"
        )
    dump, quarter = folder / "dump.csv", folder / "quarter.csv"
    rows = ["2019-06-01T00:00:03Z,8552.9,0.03\n"] * 2 + ["2019-06-01T00:00:04Z,8552.9,0.004\n"]
    dump.write_text("time,price,size\n" + "".join(rows))
    quarter.write_text("time,price,size\n" + "".join([*rows, "2019-06-01T00:00:05Z,8552.9,1\n"]))
    partial, whole = folder / "partial.csv", folder / "whole.csv"
    header = "open_time,open,high,low,close,volume,count\n"
    partial.write_text(header + "2025-01-01T00:00:00Z,1,2,1,2,5,3\n")
    whole.write_text(header + "2025-01-01T00:00:00Z,1,3,1,1,9,7\n")
    trades = ("--channel", "trades", "--exchange", "repeated", "--symbol")
    candles = ("--channel", "klines", "--exchange", "repeated", "--symbol", "CANDLE")
    return [
        land_with("csv", zero, *trades, ".BXBT"),
        land_with("csv", *numbered, *trades, "NUMBERED"),
        land_with("csv", dump, quarter, *trades, "DUMPED"),
        land_with("csv", partial, whole, *candles, "--interval", "1m"),
    ]
