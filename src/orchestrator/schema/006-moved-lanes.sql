-- Lanes whose writes have moved, in the order of their keys. A proxy compares all of them with its journal.
create index memory_lanes_moved on memory_lanes (key) where epoch > 0;
