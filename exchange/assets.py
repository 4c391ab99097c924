"""Writes Bybit V5's rows about coins: their chains, and whether they are collateral."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from exchange.decimals import ZERO, text
from exchange.instruments import QUOTE, Catalogue

Row = dict[str, Any]


def coins(catalogue: Catalogue, coin: str | None = None) -> list[str]:
    """All coins of the exchange, or the one that is asked for if it is one of them."""
    known = [QUOTE, *(row.base for row in catalogue.of("spot"))]
    return known if not coin else [name for name in known if name == coin]


def coin_rows(catalogue: Catalogue, coin: str | None = None) -> list[Row]:
    """Rows of /v5/asset/coin/query-info; every coin has one chain, closed both ways."""
    return [
        {
            "name": name,
            "coin": name,
            "remainAmount": "0",
            "chains": [
                {
                    "chain": name,
                    "chainType": name,
                    "confirmation": "1",
                    "withdrawFee": "0",
                    "depositMin": "0",
                    "withdrawMin": "0",
                    "minAccuracy": "8",
                    "chainDeposit": "0",
                    "chainWithdraw": "0",
                    "withdrawPercentageFee": "0",
                    "contractAddress": "",
                    "safeConfirmNumber": "1",
                }
            ],
        }
        for name in coins(catalogue, coin)
    ]


def collateral_rows(catalogue: Catalogue, coin: str | None = None) -> list[Row]:
    """Rows of /v5/account/collateral-info: USDT is collateral, and nothing can be borrowed."""
    return [
        {
            "currency": name,
            "hourlyBorrowRate": "0",
            "maxBorrowingAmount": "0",
            "freeBorrowingLimit": "0",
            "freeBorrowAmount": "0",
            "freeBorrowingAmount": "0",
            "borrowAmount": "0",
            "otherBorrowAmount": "0",
            "availableToBorrow": "0",
            "borrowable": False,
            "borrowUsageRate": "0",
            "marginCollateral": True,
            "collateralSwitch": name == QUOTE,
            "collateralRatio": text(Decimal(1) if name == QUOTE else ZERO),
        }
        for name in coins(catalogue, coin)
    ]
