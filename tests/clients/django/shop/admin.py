from django.contrib import admin

from .models import Author, Book, Tag

admin.site.register(Author, list_display=["name", "email"], search_fields=["name"])
admin.site.register(Tag)


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    list_display = ["title", "author", "price", "stock", "added"]
    list_filter = ["available", "author"]
    search_fields = ["title", "author__name"]
    date_hierarchy = "added"
    filter_horizontal = ["tags"]
