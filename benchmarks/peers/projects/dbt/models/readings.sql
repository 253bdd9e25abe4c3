{{ config(
    materialized="incremental", incremental_strategy="microbatch", batch_size="day", begin=env_var("PEERS_FIRST_DAY")
) }}

select * from {{ ref("raw_readings") }}
