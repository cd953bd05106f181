"""Operations that change what is there: the tables may be filled."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]

    operations = [
        migrations.AddField("Author", "nick", models.CharField(max_length=20, default="none")),
        migrations.AddField("Author", "rank", models.IntegerField(db_default=5)),
        migrations.AddField(
            "Author",
            "mentor",
            models.ForeignKey("shop.Author", null=True, blank=True, on_delete=django.db.models.deletion.SET_NULL),
        ),
        migrations.AlterField("Author", "nick", models.CharField(max_length=40, default="none")),
        migrations.AlterField("Author", "nick", models.TextField(default="none")),
        migrations.AlterField("Author", "rank", models.BigIntegerField(db_default=5, db_index=True)),
        migrations.AlterField("Book", "price", models.DecimalField(max_digits=12, decimal_places=2)),
        migrations.RenameField("Book", "stock", "copies"),
        migrations.RenameField("Book", "copies", "stock"),
        migrations.AddIndex("Author", models.Index(Lower("name"), name="author_lower")),
        migrations.RenameIndex("Author", new_name="author_folded", old_name="author_lower"),
        migrations.AddConstraint(
            "Author", models.CheckConstraint(condition=models.Q(rank__gte=0), name="rank_not_negative")
        ),
        migrations.RenameField("Author", "rank", "grade"),
        migrations.AlterUniqueTogether("Author", {("name", "email")}),
        migrations.RenameModel("Author", "Writer"),
        migrations.RenameModel("Writer", "Author"),
        migrations.RemoveConstraint("Author", "rank_not_negative"),
        migrations.RemoveIndex("Author", "author_folded"),
        migrations.AlterUniqueTogether("Author", set()),
        migrations.RemoveField("Author", "mentor"),
        migrations.RemoveField("Author", "grade"),
        migrations.RemoveField("Author", "nick"),
    ]
