"""Accounts, and the transfers between them."""

from django.db import models


class Account(models.Model):
    owner = models.CharField(max_length=40, unique=True)
    balance = models.DecimalField(max_digits=12, decimal_places=2)


class Transfer(models.Model):
    source = models.ForeignKey(Account, models.PROTECT, related_name="outgoing")
    destination = models.ForeignKey(Account, models.PROTECT, related_name="incoming")
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    made_at = models.DateTimeField(auto_now_add=True)
