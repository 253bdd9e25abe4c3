{{ config(materialized="view") }}

select reading_date, sensor_id, reading_at, value + shift as value, status
from read_parquet('{{ env_var("PEERS_READINGS") }}'), read_csv('{{ env_var("PEERS_SHIFT") }}')
