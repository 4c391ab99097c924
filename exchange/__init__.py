"""A simulated exchange that speaks Bybit V5 (REST and WebSocket, spot and linear) on loopback."""
