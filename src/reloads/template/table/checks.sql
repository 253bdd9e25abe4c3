-- A check is a view of the rows of `new`, the rows that are about to be published, that are wrong; any row refuses them.
create view amount_is_positive as select * from new where amount <= 0;
