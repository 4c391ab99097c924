"""Lists every method that ccxt and pybit claim for Bybit: where it is tested, or why no bot needs it."""

from __future__ import annotations

from collections.abc import Iterator

FLAGS = frozenset(  # entries of `has` that are no methods
    (
        "CORS",
        "future",
        "margin",
        "option",
        "privateAPI",
        "publicAPI",
        "sandbox",
        "spot",
        "swap",
        "ws",
    )
)

OPTIONS = "options: a spot and linear bot holds none"
BORROWING = "borrowing: the bot spends only what it owns, and its key may not borrow"
FUNDS = "deposits, withdrawals, transfers: the bot refuses a key that may move money"
CONVERT = "conversion at a quote outside the order book: the bot trades by orders"
DELIVERY = "delivery of dated contracts: spot and perpetuals are never delivered"
CLASSIC = "classic accounts: a unified account, which the bot requires, refuses or has outgrown it"
ACCOUNTS = "moving positions between accounts of one owner: the bot knows one account"
SPREADS = "spread trading: another product with its own order book"
TOKENS = "leveraged tokens: another product, no longer listed"
HEDGING = "delta-neutral books across products: the bot holds single directional positions"
REPLACED = "withdrawn by the venue: the topic allLiquidation, which is tested, took its place"
HOUSE = "pushes of what changes rarely or never here: the same figures are read by REST, tested"
NOTHING = "claimed, but the installed client has no such method"

CCXT_NOT_NEEDED: dict[str, str] = {
    OPTIONS: "fetchAllGreeks fetchGreeks fetchOption fetchOptionChain fetchVolatilityHistory",
    BORROWING: "borrowCrossMargin fetchBorrowInterest fetchBorrowRateHistory fetchCrossBorrowRate"
    " repayCrossMargin",
    FUNDS: "fetchDepositAddress fetchDepositAddressesByNetwork fetchDepositWithdrawFee"
    " fetchDepositWithdrawFees fetchDeposits fetchTransfers fetchWithdrawals transfer withdraw",
    CONVERT: "createConvertTrade fetchConvertCurrencies fetchConvertQuote fetchConvertTrade"
    " fetchConvertTradeHistory",
    DELIVERY: "fetchMySettlementHistory fetchSettlementHistory",
    NOTHING: "fetchCurrenciesWs",
}

CCXT_TESTED: dict[str, str] = {
    # test_ccxt_market.py
    "test_the_clock_and_the_status": "fetchTime fetchStatus",
    "test_markets_and_currencies_are_those_of_the_venue": "fetchMarkets fetchCurrencies",
    "test_tickers_agree_with_each_other_and_the_book": "fetchTicker fetchTickers fetchBidsAsks",
    "test_the_order_book_is_sorted_and_not_crossed": "fetchOrderBook fetchL2OrderBook",
    "test_candles_equal_the_rest_rows": "fetchOHLCV",
    "test_mark_index_and_premium_candles": "fetchMarkOHLCV fetchIndexOHLCV fetchPremiumIndexOHLCV",
    "test_public_trades_lie_inside_their_candle": "fetchTrades",
    "test_funding_rates_and_their_history": "fetchFundingRate fetchFundingRates"
    " fetchFundingRateHistory",
    "test_open_interest_and_the_crowd": "fetchOpenInterest fetchOpenInterestHistory"
    " fetchLongShortRatioHistory",
    "test_leverage_tiers": "fetchLeverageTiers fetchMarketLeverageTiers",
    # test_ccxt_orders.py
    "test_a_market_order_is_filled_with_right_amount_cost_and_fee": "createOrder fetchOrder"
    " fetchOrderTrades fetchMyTrades",
    "test_a_market_order_is_one_whichever_method_sends_it": "createMarketOrder",
    "test_spot_is_bought_by_cost_and_sold_by_cost": "createMarketBuyOrderWithCost"
    " createMarketSellOrderWithCost fetchBalance",
    "test_a_limit_order_rests_is_edited_and_canceled": "createLimitOrder fetchOpenOrder"
    " fetchOpenOrders editOrder cancelOrder fetchCanceledOrders",
    "test_lists_of_orders_are_created_edited_and_canceled": "createOrders editOrders cancelOrders"
    " cancelOrdersForSymbols",
    "test_cancel_all_keeps_the_stops_that_it_shall_keep": "cancelAllOrders",
    "test_closed_orders_are_told_from_canceled_ones": "fetchClosedOrders fetchClosedOrder"
    " fetchCanceledAndClosedOrders",
    "test_post_only_and_reduce_only": "createPostOnlyOrder createReduceOnlyOrder",
    "test_conditional_orders_wait_for_their_trigger": "createStopOrder createStopLimitOrder"
    " createStopMarketOrder createTriggerOrder createStopLossOrder createTakeProfitOrder",
    "test_a_bracket_closes_the_position_at_its_stop": "createOrderWithTakeProfitAndStopLoss",
    "test_a_trailing_stop_is_held_by_the_venue": "createTrailingAmountOrder",
    "test_the_dead_mans_switch_is_configured": "cancelAllOrdersAfter",
    # test_ccxt_account.py
    "test_leverage_and_modes_are_set_and_read": "setLeverage fetchLeverage setMarginMode"
    " fetchMarginMode setPositionMode",
    "test_a_position_and_its_history": "fetchPosition fetchPositions fetchPositionsHistory"
    " fetchPositionHistory fetchPositionADLRank fetchPositionsADLRank",
    "test_fees_are_those_that_are_charged": "fetchTradingFee fetchTradingFees",
    "test_the_ledger_explains_the_balance": "fetchLedger",
    "test_funding_is_paid_once_and_told": "fetchFundingHistory",
    "test_a_liquidation_is_told": "fetchMyLiquidations",
    # test_ccxt_pro.py
    "test_tickers_are_watched": "watchTicker watchTickers watchBidsAsks unWatchTicker"
    " unWatchTickers",
    "test_books_are_watched": "watchOrderBook watchOrderBookForSymbols unWatchOrderBook"
    " unWatchOrderBookForSymbols",
    "test_trades_are_watched": "watchTrades watchTradesForSymbols unWatchTrades"
    " unWatchTradesForSymbols",
    "test_candles_are_watched": "watchOHLCV watchOHLCVForSymbols unWatchOHLCV"
    " unWatchOHLCVForSymbols",
    "test_orders_trades_positions_and_balance_are_watched": "watchOrders watchMyTrades"
    " watchPositions watchBalance unWatchOrders unWatchMyTrades unWatchPositions",
    "test_orders_are_sent_over_the_socket": "createOrderWs createLimitOrderWs createMarketOrderWs"
    " editOrderWs cancelOrderWs",
    "test_liquidations_of_others_are_watched": "watchLiquidations",
}

PYBIT_NOT_NEEDED: dict[str, str] = {
    OPTIONS: "get_historical_volatility get_coin_greeks set_mmp reset_mmp get_mmp_state"
    " get_closed_options_positions greek_stream",
    DELIVERY: "get_option_delivery_price get_new_delivery_price",
    BORROWING: "get_borrow_history repay_liability manual_no_convert_repay borrow repay",
    CLASSIC: "upgrade_to_unified_trading_account get_contract_transaction_log",
    REPLACED: "liquidation_stream",
    HOUSE: "insurance_pool_stream price_limit_stream rpi_orderbook_stream",
    ACCOUNTS: "move_position get_move_position_history",
    HEDGING: "set_delta_mode",
    SPREADS: "spread_order_stream spread_execution_stream",
    TOKENS: "lt_kline_stream lt_ticker_stream lt_nav_stream",
}

PYBIT_TESTED: dict[str, str] = {
    # test_pybit_http.py
    "test_the_time_is_told_in_seconds_and_nanoseconds": "get_server_time",
    "test_candles_and_what_is_derived_from_them": "get_kline get_mark_price_kline"
    " get_index_price_kline get_premium_index_price_kline",
    "test_instruments_are_paged_where_the_venue_pages_them": "get_instruments_info"
    " get_account_instruments_info",
    "test_book_ticker_trades_and_price_limits_agree": "get_orderbook get_rpi_orderbook get_tickers"
    " get_public_trade_history get_price_limit",
    "test_funding_interest_and_ratios_of_the_past_do_not_change": "get_funding_rate_history"
    " get_open_interest get_long_short_ratio",
    "test_limits_pools_indices_and_fee_groups": "get_risk_limit get_insurance get_adl_alert"
    " get_index_price_components get_fee_group_info",
    "test_an_order_is_placed_amended_and_canceled": "place_order amend_order cancel_order"
    " get_order_history",
    "test_orders_are_canceled_all_at_once": "get_open_orders cancel_all_orders",
    "test_batches_answer_each_order_for_itself": "place_batch_order amend_batch_order"
    " cancel_batch_order",
    "test_an_order_is_checked_before_it_is_sent": "pre_check_order",
    "test_the_dead_mans_switch_is_set_and_told": "set_dcp query_dcp_info",
    "test_a_position_its_leverage_stops_fills_and_profit": "set_leverage get_positions"
    " set_trading_stop get_executions get_closed_pnl",
    "test_position_mode_stays_one_way": "switch_position_mode",
    "test_the_wallet_is_the_sum_of_its_coins": "get_wallet_balance",
    "test_account_settings_are_told_and_set": "get_account_info set_margin_mode get_smp_group"
    " set_limit_price_action get_user_setting_config",
    "test_only_what_is_collateral_backs_positions": "get_collateral_info"
    " set_collateral_coin batch_set_collateral_coin",
    "test_what_could_leave_the_account_is_what_is_free": "get_transferable_amount get_borrow_quota",
    "test_what_a_unified_cross_margin_account_does_not_have_is_refused": "switch_margin_mode"
    " set_tp_sl_mode set_risk_limit set_auto_add_margin add_or_reduce_margin"
    " confirm_new_risk_limit set_hedging_mode",
    "test_fee_rates_are_those_of_each_symbol": "get_fee_rates",
    "test_the_transaction_log_adds_up_to_the_wallet": "get_transaction_log",
    # test_pybit_streams.py
    "test_books_trades_tickers_and_candles_are_pushed": "orderbook_stream trade_stream"
    " ticker_stream kline_stream",
    "test_orders_fills_positions_and_the_wallet_are_pushed": "order_stream execution_stream"
    " fast_execution_stream position_stream wallet_stream",
    "test_liquidations_and_maintenance_are_pushed": "all_liquidation_stream system_status_stream",
}

# Names that pybit's trade socket shares with its REST client.
PYBIT_SOCKET_TESTED: dict[str, str] = {
    "test_orders_are_placed_amended_and_canceled_over_the_socket": "place_order amend_order"
    " cancel_order",
    "test_batches_go_over_the_socket_too": "place_batch_order amend_batch_order cancel_batch_order",
}


def named(table: dict[str, str]) -> dict[str, str]:
    """Method → test or reason; a method may stand only once."""
    rows = [(name, key) for key, names in table.items() for name in names.split()]
    assert len(rows) == len(dict(rows)), "expected each method once"
    return dict(rows)


def report() -> Iterator[str]:
    """What is tested, by count, and every method that is not, with its reason."""
    for client, tested, others in (
        ("ccxt", CCXT_TESTED, CCXT_NOT_NEEDED),
        ("pybit", PYBIT_TESTED, PYBIT_NOT_NEEDED),
        ("pybit's trade socket", PYBIT_SOCKET_TESTED, {}),
    ):
        yield f"{client}: {len(named(tested))} methods tested, {len(named(others))} not needed"
        for test, names in tested.items():
            yield f"  tested      {names}: {test}"
        for reason, names in others.items():
            yield f"  not needed  {names}: {reason}"
