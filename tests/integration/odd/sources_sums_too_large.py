"""Sizes in wei: rows that cannot be multiplied, and rows that cannot be added up, beside others."""

from pathlib import Path

from tests.integration.odd import Command, land_with


def write(folder: Path) -> list[Command]:
    names = ("--channel", "trades", "--exchange", "sums-too-large", "--symbol")
    wei, huge, plain = folder / "wei.csv", folder / "huge.csv", folder / "plain.csv"
    wei.write_text(
        "timestamp,price,amount,id\n"
        "2025-08-01T00:00:00Z,2000.5,500000000000000000000,1\n"
        "2025-08-01T00:00:01Z,2000.5,5e20,2\n"
    )
    rows = [f"2025-08-01T00:00:{second:02}Z,2000,45000000000,{second}" for second in range(30)]
    huge.write_text("\n".join(["timestamp,price,amount,id", *rows]) + "\n")
    plain.write_text("timestamp,price,amount,id\n2025-08-01T00:00:00Z,2000.5,0.5,1\n")
    return [
        land_with("csv", wei, *names, "WEI", expect=1),
        land_with("csv", huge, *names, "HUGE"),
        land_with("csv", plain, *names, "PLAIN"),
    ]
