create view raw_readings as select * from read_parquet(getvariable('source') || '/readings.parquet');
create view raw_shuffled as select * from read_parquet(getvariable('source') || '/shuffled.parquet');
-- Another number each round, so that every partition comes out another one; or the same, so that none does.
create view raw_shift as select * from read_csv(getvariable('source') || '/shift.csv');
