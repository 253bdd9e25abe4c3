create view raw_readings as select * from read_parquet(getvariable('source') || '/readings.parquet');
