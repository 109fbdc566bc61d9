import { type TSchema, Type } from 'typebox';
import type { ServiceName } from '../../domain/ids.ts';

export const NOT_BLANK = '\\S';
export const UUID = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';
export const LIMIT = '^([1-9]\\d{0,2}|1000)$';
/** The number of an added entry. */
export const NUMBER = '^\\d{1,9}$';
export const OFFSET = '^\\d{1,6}$';

const words = (most: number) => Type.String({ minLength: 1, maxLength: most, pattern: NOT_BLANK });

/** The person who makes a change, and the reason. With a token the name is the token's. */
export const BY_PERSON = { person: words(200), reason: words(500) };

export const ByPerson = Type.Object(BY_PERSON);

export const OfService = Type.Object({ service: Type.String() });

export const OptionalLimit = Type.Optional(Type.String({ pattern: LIMIT }));

export const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

/** One of a closed set of words. */
export const oneOf = <const Word extends string>(words: readonly Word[]) =>
  Type.Unsafe<Word>(Type.Union(words.map((word) => Type.Literal(word))));

/** A configured service. */
export const Service = Type.Unsafe<ServiceName>(Type.String());

export const Count = Type.Integer({ minimum: 0 });

/** ISO-8601 UTC. */
export const Time = Type.String();

/** Counts by name. */
export const Counts = Type.Record(Type.String(), Type.Number());
