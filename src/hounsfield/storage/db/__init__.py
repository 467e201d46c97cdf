"""The database: tables, migrations, statements."""
