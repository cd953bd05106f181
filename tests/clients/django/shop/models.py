"""A small shop: every field of Django that Stele has a type for, and each kind of constraint."""

import json
import uuid

from django.db import models


class TextJSONField(models.JSONField):
    """JSON as its text: the column's type is JSON. (docs/applications.md shows it.)"""

    def db_type(self, connection):
        return "json"

    def get_db_prep_value(self, value, connection, prepared=False):
        return None if value is None else json.dumps(value, cls=self.encoder)

    def from_db_value(self, value, expression, connection):
        return value


class Author(models.Model):
    name = models.CharField(max_length=100, unique=True)
    email = models.EmailField(blank=True)
    born = models.DateField(null=True, blank=True)

    def __str__(self):
        return self.name


class Tag(models.Model):
    slug = models.SlugField(unique=True)

    def __str__(self):
        return self.slug


class Book(models.Model):
    code = models.UUIDField(default=uuid.uuid4, unique=True)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    title = models.CharField(max_length=200, db_index=True)
    price = models.DecimalField(max_digits=12, decimal_places=2)
    stock = models.PositiveIntegerField(default=0)
    rating = models.FloatField(null=True, blank=True)
    added = models.DateTimeField(auto_now_add=True)
    available = models.BooleanField(default=True)
    cover = models.BinaryField(null=True, blank=True)
    blurb = models.TextField(blank=True)
    facts = TextJSONField(default=dict, blank=True)
    tags = models.ManyToManyField(Tag, blank=True)

    class Meta:
        ordering = ["title"]
        constraints = [
            models.UniqueConstraint(fields=["author", "title"], name="one_title_an_author"),
            models.CheckConstraint(condition=models.Q(price__gte=0), name="price_not_negative"),
        ]
        indexes = [
            models.Index(fields=["-added"], name="book_newest"),
            models.Index(fields=["price"], condition=models.Q(available=True), name="book_available_price"),
        ]

    def __str__(self):
        return self.title
