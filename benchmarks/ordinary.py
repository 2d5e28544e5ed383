"""Records as an ordinary service makes them, without a secret: the same number makes the same record.

Ids and numbers are random, so that unlucky ones (an id in which sixteen digits stand side by side) come in their true
proportion.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

Made = tuple[str, dict[str, Any]]
"""Message and attributes."""

_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "python-httpx/0.27.0",
    "kube-probe/1.29",
)
_FILES = (
    ("/srv/shop/app/services/checkout_service.py", "CheckoutService.place_order"),
    ("/usr/local/lib/python3.12/site-packages/shop_inventory/repository/stock_levels.py", "reserve"),
    ("/opt/venv/lib/python3.11/site-packages/sqlalchemy/engine/base.py", "Connection._execute_context"),
    ("/app/main.py", "lifespan"),
)
_WORDED = (
    "token for customer {0} refreshed in {1} ms",
    "session {0} of the customer was opened on shard {1}",
    "the password of customer {0} was changed {1} days ago",
    "sent {1} tokens to the model for order {0}",
    "cookie banner shown to customer {0} after {1} ms",
)

_NAMES = ("Jörg Müller", "Zoë Lefèvre", "王秀英", "Łukasz Żak", "Мария Иванова", "Γιώργος Παππάς")
_FOREIGN = (
    "Bestellung {0} für {1} geprüft",
    "commande {0} de {1} expédiée",
    "订单 {0} 已创建:{1}",
    "zamówienie {0} dla {1} gotowe",
)


def ordinary(number: int) -> Made:
    """What a log call in a request says, with its place in the code and the request's own attributes."""
    chance = random.Random(number)
    path, function = chance.choice(_FILES)
    return _sentence(chance, number), {
        "code.file.path": path,
        "code.function.name": function,
        "code.line.number": chance.randrange(1, 900),
        "http.request.id": _uuid(chance),
        "url.path": f"/api/v1/customers/{_uuid(chance)}/orders/{number}",
        "user_agent.original": chance.choice(_AGENTS),
    }


def foreign(number: int) -> Made:
    """The same with letters that ASCII does not have, in the sentence and in a name."""
    chance = random.Random(number)
    message, attributes = ordinary(number)
    name = chance.choice(_NAMES)
    return f"{chance.choice(_FOREIGN).format(number, name)} → {message}", {**attributes, "customer.name": name}


def request(number: int) -> Made:
    """What logspan itself says of each request."""
    chance = random.Random(number)
    method, status, seconds = chance.choice(("GET", "GET", "POST")), chance.choice((200, 201, 404)), chance.random()
    path = f"/customers/{_uuid(chance)}/orders"
    return f"{method} {path} {status} in {seconds * 1000:.1f} ms", {
        "http.request.method": method,
        "http.route": "/customers/{customer_id}/orders",
        "url.path": path,
        "url.query": f"page={chance.randrange(9)}&sort=-created_at",
        "url.scheme": "http",
        "http.response.status_code": status,
        "http.server.request.duration": seconds,
        "logspan.request.time_to_first_byte": round(seconds * 0.9, 6),
        "http.response.body.size": chance.randrange(100_000),
        "client.address": f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}",
        "client.port": chance.randrange(30_000, 60_000),
        "server.address": "shop.internal",
        "server.port": 8080,
        "user_agent.original": chance.choice(_AGENTS),
        "network.protocol.version": "1.1",
        "logspan.request.outcome": "success",
        "http.request.id": chance.randbytes(16).hex(),
    }


def worded(number: int) -> Made:
    """An ordinary record whose sentence speaks of what a secret is kept in, and holds none."""
    chance = random.Random(number)
    sentence = chance.choice(_WORDED).format(number, chance.randrange(900))
    return sentence, ordinary(number)[1]


def _sentence(chance: random.Random, number: int) -> str:
    size, host = chance.randrange(1, 10_000), f"db-{chance.randrange(9)}.shop.svc.cluster.local"
    return chance.choice(
        (
            f"order {_uuid(chance)} of customer c-{number} placed in {size} ms",
            f"GET http://{host}:8080/stock/{number}?page=2 answered 200 in {size / 7:.3f} ms",
            f"retrying in {size / 1000:.2f} s: connection to {host}:5432 refused (attempt {size % 5} of 5)",
            f"job {chance.randbytes(8).hex()} finished: {size} rows read, {number} written, {size % 7} skipped",
            f"cache miss for product:{number}:stock, asked 10.0.{size % 256}.{number % 256}:6379 again",
            f"shipment {_uuid(chance)} leaves at 2026-03-{size % 28 + 1:02}T{size % 24:02}:15:00.{size:06}Z",
            f"uploaded sha256:{chance.randbytes(32).hex()} ({size * 977} bytes) to bucket invoices-eu",
            f"worker {size % 8} took batch {chance.randbytes(12).hex()} of {size} messages from orders.created",
        )
    )


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


WORKLOADS = {"ordinary": ordinary, "foreign": foreign, "request": request, "worded": worded}
