"""A25: Django 5.2, unchanged: a project of `startproject` with the admin, and the small application in
`clients/django`, on a node; then what Django wrote is verified offline.

What settings.py says is what docs/applications.md has people write.
"""

import contextlib
import datetime
import decimal
import importlib
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import uuid

from stele_node import COMMAND_SECONDS_MAX, REPOSITORY, NodeCase, clean_environment, stele

PAGE = (REPOSITORY / "docs" / "applications.md").read_text()
BULK = 300


def documented(marker):
    """The block of Python of the page that holds the marker."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    blocks += [re.sub(r"^  ", "", block, flags=re.M) for block in re.findall(r"  ```python\n(.*?)  ```", PAGE, re.S)]
    return [block for block in blocks if marker in block][-1]


class Django(NodeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.project = cls.home / "project"
        cls.project.mkdir()
        made = subprocess.run(
            [sys.executable, "-m", "django", "startproject", "site1", "."], cwd=cls.project, capture_output=True, text=True
        )
        if made.returncode != 0:
            raise AssertionError(made.stderr)
        shutil.copytree(REPOSITORY / "tests" / "clients" / "django", cls.project, dirs_exist_ok=True)
        databases = documented("DATABASES").replace('"5433"', f'"{cls.node.postgres_port}"')
        with open(cls.project / "site1" / "settings.py", "a") as settings:
            settings.write("\n" + databases + '\nINSTALLED_APPS += ["shop"]\nALLOWED_HOSTS = ["*"]\n')
        cls.manage("migrate", "shop", "0001")
        # The second migration finds rows.
        cls.node.query("INSERT INTO shop_author (name, email) VALUES ('first of all', 'a@example.org')")
        cls.manage("migrate")
        cls.manage("createsuperuser", "--noinput", "--username", "root", "--email", "root@example.org")
        sys.path.insert(0, str(cls.project))
        cls.addClassCleanup(sys.path.remove, str(cls.project))
        os.environ["DJANGO_SETTINGS_MODULE"] = "site1.settings"
        importlib.import_module("django").setup()
        from django.db import connections

        cls.addClassCleanup(connections.close_all)
        from django.contrib.auth.models import Group, User
        from shop.models import Author, Book, Tag

        cls.User, cls.Group, cls.Author, cls.Book, cls.Tag = User, Group, Author, Book, Tag

    @classmethod
    def manage(cls, *arguments):
        """Runs manage.py as a person does."""
        done = subprocess.run(
            [sys.executable, "manage.py", *map(str, arguments)],
            cwd=cls.project,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            env=clean_environment(DJANGO_SUPERUSER_PASSWORD="a long secret 1"),
        )
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        return done.stdout + done.stderr

    def author(self, name):
        return self.Author.objects.get_or_create(name=name)[0]

    def test_a25_migrations(self):
        self.assertNotIn("[ ]", self.manage("showmigrations"))
        self.assertIn("No changes detected", self.manage("makemigrations", "--check", "--dry-run"))
        self.assertIn("no issues", self.manage("check", "--database", "default"))
        # Back and forth again.
        self.manage("migrate", "sessions", "zero")
        self.manage("migrate")
        self.assertEqual(self.node.query("SELECT email FROM shop_author WHERE name = 'first of all'"), ["a@example.org"])

    def test_a25_admin(self):
        from django.test import Client

        client = Client()
        self.assertEqual(client.get("/admin/").status_code, 302)
        self.assertFalse(client.login(username="root", password="wrong"))
        self.assertTrue(client.login(username="root", password="a long secret 1"))

        def get(path):
            answer = client.get("/admin/" + path)
            self.assertEqual(answer.status_code, 200, path)
            return answer.content.decode()

        def post(path, **fields):
            answer = client.post("/admin/" + path, fields)
            errors = answer.context and answer.context.get("errors")
            self.assertEqual(answer.status_code, 302, f"{path}: {errors}")

        for page in ("", "auth/user/", "auth/user/add/", "auth/group/add/", "shop/book/", "shop/book/add/"):
            get(page)
        post("auth/user/add/", username="clerk", usable_password="true", password1="Sx9!kk22q", password2="Sx9!kk22q")
        clerk = self.User.objects.get(username="clerk")
        post("auth/group/add/", name="clerks", permissions=["1", "2", "3"])
        self.assertEqual(self.Group.objects.get(name="clerks").permissions.count(), 3)
        post("shop/author/add/", name="Of the admin", email="", born="1999-01-02")
        author = self.Author.objects.get(name="Of the admin")
        tag = self.Tag.objects.create(slug="from-admin")
        book = dict(author=author.pk, code=uuid.uuid4(), stock="3", facts="{}", available="on", blurb="", rating="", tags=[tag.pk])
        post("shop/book/add/", title="First", price="3.50", **book)
        made = self.Book.objects.get(title="First")
        self.assertEqual((made.price, list(made.tags.all())), (decimal.Decimal("3.50"), [tag]))
        post(f"shop/book/{made.pk}/change/", title="Second", price="3.75", **{**book, "facts": '{"pages": 3}'})
        made.refresh_from_db()
        self.assertEqual((made.title, made.price, made.facts), ("Second", decimal.Decimal("3.75"), {"pages": 3}))
        self.assertIn("Second", get("shop/book/?q=sec&available__exact=1"))
        self.assertRegex(get(f"shop/book/{made.pk}/history/"), "Changed .*Title, Price and Facts")
        self.assertIn("Second", get(f"shop/author/{author.pk}/delete/"))
        post("shop/author/", action="delete_selected", _selected_action=[author.pk], post="yes")
        self.assertFalse(self.Book.objects.filter(pk=made.pk).exists())
        post(f"auth/user/{clerk.pk}/delete/", post="yes")
        self.assertEqual(client.post("/admin/logout/").status_code, 200)
        self.assertEqual(client.get("/admin/").status_code, 302)

    def test_a25_rows_written_at_once_get_their_own_keys(self):
        # In no order of any column: the numbers come in the order of the list.
        names = [f"bulk {i * 7919 % BULK:03}" for i in range(BULK)]
        made = self.Author.objects.bulk_create([self.Author(name=name) for name in names])
        stored = dict(self.Author.objects.filter(name__startswith="bulk ").values_list("pk", "name"))
        self.assertEqual({author.pk: author.name for author in made}, stored)
        self.assertEqual([author.pk for author in made], sorted(stored))

    def test_a25_every_field(self):
        author = self.author("fields")
        books = [
            self.Book(
                author=author, title=f"fields {i}", price=decimal.Decimal(i) / 4, stock=i, rating=i / 7 if i else None,
                available=i % 2 == 0, cover=bytes([i, 0, 255]) if i else None, blurb="ü\n" * i, facts={"i": [i, None, "é"]},
            )
            for i in range(20)
        ]
        books[0].save()
        self.Book.objects.bulk_create(books[1:])
        for book in books:
            stored = self.Book.objects.get(pk=book.pk)
            for field in self.Book._meta.concrete_fields:
                given, held = (getattr(one, field.attname) for one in (book, stored))
                if isinstance(held, memoryview):
                    held = bytes(held)
                self.assertEqual(given, held, field.name)

    def test_a25_orm(self):
        from django.db import models
        from django.db.models import functions

        author, books = self.author("orm"), self.Book.objects.filter(author__name="orm")
        for i in range(12):
            self.Book.objects.create(author=author, title=f"orm {i:02}", price=i, stock=i)
        self.assertEqual(books.filter(stock__gte=6).update(price=models.F("price") * 2), 6)
        self.assertEqual(books.aggregate(models.Sum("price"))["price__sum"], decimal.Decimal(15 + 2 * 51))
        found = self.Author.objects.annotate(
            books_there=models.Count("books"), dear=models.Count("books", filter=models.Q(books__price__gt=12)),
            last=models.Subquery(self.Book.objects.filter(author=models.OuterRef("pk")).order_by("-title").values("title")[:1]),
        ).get(pk=author.pk)
        self.assertEqual((found.books_there, found.dear, found.last), (12, 5, "orm 11"))
        for lookup, value in {
            "title__iexact": "ORM 01", "title__icontains": "M 0", "title__startswith": "orm", "title__regex": "^orm 0",
            "title__in": ["orm 03"], "price__range": (2, 3), "added__year": datetime.datetime.now(datetime.UTC).year,
            "added__date": datetime.datetime.now(datetime.UTC).date(), "cover__isnull": True, "author__name__endswith": "m",
        }.items():
            self.assertTrue(books.filter(**{lookup: value}).exists(), lookup)
        shown = books.annotate(day=functions.TruncDate("added"), short=functions.Left("title", 3), rank=models.Window(
            functions.RowNumber(), order_by="-price")).order_by("rank")
        self.assertEqual([(book.short, book.rank) for book in shown[:2]], [("orm", 1), ("orm", 2)])
        self.assertEqual(len(list(self.Book.objects.order_by("author", "-price").distinct("author").filter(author=author))), 1)
        self.assertEqual(len(list(books.iterator(chunk_size=5))), 12)
        self.Author.objects.bulk_create(
            [self.Author(name="orm", email="n@example.org")], update_conflicts=True, update_fields=["email"], unique_fields=["name"])
        self.assertEqual(self.author("orm").email, "n@example.org")
        self.assertEqual(author.delete()[0], 13)

    def test_a25_transactions_and_constraints(self):
        from django.db import IntegrityError, OperationalError, transaction

        with self.assertRaisesRegex(IntegrityError, "price_not_negative"):
            self.Book.objects.create(author=self.author("rules"), title="cheap", price=-1)
        with transaction.atomic():
            self.Author.objects.create(name="kept")
            with self.assertRaises(IntegrityError), transaction.atomic():
                self.Author.objects.create(name="kept")
            self.Author.objects.create(name="kept too")
        self.assertEqual(self.Author.objects.filter(name__startswith="kept").count(), 2)
        # Foreign keys wait for the end of the transaction.
        with transaction.atomic():
            self.Book.objects.create(author_id=10**9, title="early", price=1)
            self.Author.objects.create(id=10**9, name="late")
        with self.assertRaisesRegex(IntegrityError, "foreign key"):
            self.Book.objects.create(author_id=10**9 + 1, title="never", price=1)
        with self.assertRaises(IntegrityError), transaction.atomic():
            self.Book.objects.create(author_id=10**9 + 1, title="never", price=1)
            transaction.get_connection().check_constraints()
        self.assertFalse(self.Book.objects.filter(title="never").exists())
        # Two transactions that read the same row: the second fails, and succeeds when run again.
        book = self.Book.objects.create(author=self.author("rules"), title="contended", price=1, stock=20)
        tries = []

        def take_one():
            held = self.Book.objects.select_for_update().get(pk=book.pk)
            if not tries:
                self.node.query(f"UPDATE shop_book SET stock = stock - 5 WHERE id = {book.pk}")
            tries.append(held.stock)
            held.stock -= 1
            held.save()

        with self.assertRaisesRegex(OperationalError, "serialize"), transaction.atomic():
            take_one()
        tries.clear()
        names = {}
        exec(documented("def atomically"), names)  # as the page has people write it
        names["atomically"](take_one)
        book.refresh_from_db()
        self.assertEqual((tries, book.stock), ([15, 10], 9))

    def test_a25_dump_load_inspect(self):
        from django.core.management import call_command

        kept = self.author("dumped")
        file = self.home / "dump.json"
        call_command("dumpdata", "auth", "contenttypes", "shop.author", output=str(file), verbosity=0)
        top = self.Author.objects.create(name="not in the dump")
        top.delete()
        kept.email = "changed@example.org"
        kept.save()
        call_command("loaddata", str(file), verbosity=0)
        kept.refresh_from_db()
        self.assertEqual(kept.email, "")
        # Numbers go on above what was loaded.
        self.assertGreater(self.Author.objects.create(name="after the load").pk, kept.pk)
        said = io.StringIO()
        call_command("inspectdb", "shop_author", "shop_book", stdout=said)
        model = said.getvalue()
        for line in ("price = models.DecimalField(max_digits=12, decimal_places=2)", "author = models.ForeignKey(ShopAuthor",
                     "name = models.CharField(unique=True, max_length=100)", "unique_together = (('author', 'title'),)"):
            self.assertIn(line, model)
        self.assertIn("OK", self.manage("test", "--keepdb"))
        self.assertFalse(self.Author.objects.filter(name__startswith="of ").exists())
        from django.db import connection

        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, "shop_book")
        self.assertEqual(found["book_newest"]["orders"], ["DESC"])
        self.assertEqual(found["one_title_an_author"]["columns"], ["author_id", "title"])

    def test_a25_what_django_wrote_is_proven(self):
        from django.db import connection

        user = self.User.objects.create_user("proven", password="x")
        with connection.cursor() as cursor:
            cursor.execute("SELECT stele_proof('auth_user', %s)", [user.pk])
            (answer,) = cursor.fetchone()
        # psql prints one newline more.
        self.assertEqual(self.node.query(f"SELECT stele_proof('auth_user', {user.pk})")[-1], "")
        answer += "\n"
        proof = self.home / "user.proof"
        proof.write_text(answer)
        trust = self.node.directory / "trust.txt"
        held = stele("verify", "--trust", trust, proof)
        self.assertEqual(held.returncode, 0, held.stdout + held.stderr)
        self.assertIn("proven", held.stdout)
        other = [sys.executable, REPOSITORY / "verifier" / "python" / "stele_verify.py", "--trust", trust, proof]
        self.assertEqual(subprocess.run(other, capture_output=True).returncode, 0)
        forged = answer.replace("proven", "provem") if "proven" in answer else answer[:-20] + "A" * 19 + "\n"
        proof.write_text(forged)
        self.assertNotEqual(stele("verify", "--trust", trust, proof).returncode, 0)


if __name__ == "__main__":
    unittest.main()
