"""Carries out private requests, of REST and of the trade stream: rights, rate, then the action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange import holdings, trading
from exchange.auth import Key
from exchange.dcp import Dcp
from exchange.query import Answer
from exchange.venue import Venue

Body = dict[str, Any]
GETS: dict[str, Callable[[Venue, Body], Answer]] = {
    "/v5/account/wallet-balance": holdings.wallet_balance,
    "/v5/account/info": holdings.account_info,
    "/v5/account/fee-rate": holdings.fee_rate,
    "/v5/account/transaction-log": holdings.transaction_log,
    "/v5/account/query-dcp-info": holdings.dcp_info,
    "/v5/account/collateral-info": holdings.collateral_info,
    "/v5/account/withdrawal": holdings.withdrawal,
    "/v5/account/instruments-info": holdings.instruments,
    "/v5/account/smp-group": holdings.smp_group,
    "/v5/account/user-setting-config": holdings.user_settings,
    "/v5/asset/coin/query-info": holdings.coin_info,
    "/v5/order/realtime": trading.realtime,
    "/v5/order/history": trading.history,
    "/v5/order/spot-borrow-check": trading.borrow_check,
    "/v5/execution/list": trading.executions,
    "/v5/position/list": holdings.positions,
    "/v5/position/closed-pnl": holdings.closed_pnl,
}
POSTS: dict[str, Callable[[Venue, Body], Answer]] = {
    **trading.SINGLE,
    "/v5/order/cancel-all": trading.cancel_all,
    "/v5/order/pre-check": trading.pre_check,
    "/v5/order/disconnected-cancel-all": Dcp.configure,
    "/v5/position/trading-stop": holdings.trading_stop,
    "/v5/position/set-leverage": holdings.set_leverage,
    "/v5/position/switch-mode": holdings.switch_mode,
    "/v5/position/add-margin": holdings.cross_only,
    "/v5/position/set-auto-add-margin": holdings.cross_only,
    "/v5/position/confirm-pending-mmr": holdings.confirm_risk,
    "/v5/position/set-risk-limit": holdings.not_in_unified,
    "/v5/position/switch-isolated": holdings.not_in_unified,
    "/v5/position/set-tpsl-mode": holdings.not_in_unified,
    "/v5/account/set-margin-mode": holdings.set_margin_mode,
    "/v5/account/set-hedging-mode": holdings.set_hedging,
    "/v5/account/set-limit-px-action": holdings.set_limit_price_action,
    "/v5/account/set-collateral-switch": holdings.set_collateral,
    "/v5/account/set-collateral-switch-batch": holdings.set_collateral,
}
_QUERY_API = "/v5/user/query-api"


def is_known(path: str, *, get: bool) -> bool:
    """True if the path is a private one of this method."""
    return path in GETS or path == _QUERY_API if get else path in POSTS or path in trading.BATCHES


def admit(
    venue: Venue, path: str, body: Body, key: Key, headers: dict[str, str]
) -> Callable[[], tuple[Answer, Answer]]:
    """What carries the request out, giving the result and retExtInfo; `headers` get its rate.

    Raises `Refused` for a key without the right, and over the rate limit.
    """
    if path == _QUERY_API:
        headers.update(venue.limits.take(path, "").headers)
        return lambda: (key.describe(venue.clock.now_ms()), {})
    if path not in GETS:
        venue.keys.check_right(key)
    is_batch = path in trading.BATCHES
    wanted = trading.batch_size(body) if is_batch else 1
    grant = venue.limits.take(path, str(body.get("category") or ""), wanted)
    headers.update(grant.headers)
    if is_batch:
        return lambda: trading.batch(venue, path, body, grant.allowed)
    action = GETS.get(path) or POSTS[path]
    return lambda: (action(venue, body), {})
