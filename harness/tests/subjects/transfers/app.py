"""Transfers between accounts, on Django's ORM, in as many processes as gunicorn is told.

VARIANT=right locks both accounts in the order of their ids; VARIANT=wrong saves what it has read.
`python app.py` makes the schema.
"""

import json
import os
from decimal import Decimal
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

address = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY="of no use here",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="app",
    INSTALLED_APPS=["bank"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": address.hostname,
            "PORT": address.port,
            "USER": unquote(address.username),
            "PASSWORD": unquote(address.password or ""),
            "NAME": address.path.lstrip("/"),
            "CONN_MAX_AGE": None,
        }
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import transaction  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from bank.models import Account, Transfer  # noqa: E402

LOCKS = os.environ.get("VARIANT") != "wrong"


@transaction.atomic
def transfer(source, destination, amount):
    accounts = Account.objects.filter(owner__in=[source, destination]).order_by("id")
    if LOCKS:
        accounts = accounts.select_for_update()
    accounts = {account.owner: account for account in accounts}
    if accounts[source].balance < amount:
        return {"error": "insufficient_funds"}, 402
    accounts[source].balance -= amount
    accounts[destination].balance += amount
    for account in accounts.values():
        account.save()
    made = Transfer.objects.create(
        source=accounts[source], destination=accounts[destination], amount=amount)
    return {"id": made.id, "made_at": made.made_at}, 201


def transfers(request):
    order = json.loads(request.body)
    body, status = transfer(order["from"], order["to"], Decimal(order["amount"]))
    return JsonResponse(body, status=status)


urlpatterns = [path("transfers", transfers)]
application = get_wsgi_application()

if __name__ == "__main__":
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
