"""What `manage.py test` runs: each test is rolled back."""

from django.test import TestCase

from .models import Author


class RolledBack(TestCase):
    @classmethod
    def setUpTestData(cls):
        Author.objects.create(name="of the class")

    def test_one(self):
        Author.objects.create(name="of a test")
        self.assertEqual(Author.objects.filter(name__startswith="of ").count(), 2)

    def test_two(self):
        self.assertEqual(Author.objects.filter(name__startswith="of ").count(), 1)
