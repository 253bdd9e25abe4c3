-- It reads another table, so it follows each change of orders.
select
    order_date,
    region,
    count(*) as orders,
    sum(amount) as amount
from orders
group by all
