-- What a content was sent as, where jsonb spells it differently: numbers with an exponent, negative zero, the order and the
-- repetition of keys below the top. Null for all other contents, and for sealed ones, which hold their text anyway. Readers give it
-- as long as it says the same as the column content, which searches, filters and everything generated go by.
alter table memory_entries add column content_text text;
