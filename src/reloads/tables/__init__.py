"""What a table is: its folder, its parameters, which tables it reads, and the catalog of all."""
