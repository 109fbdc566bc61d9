/**
 * Python's values, as far as JSON needs them. Integers stay integers and floats stay floats, because the services print `1000.0`
 * and `1000` differently, and agents see the difference.
 */

/** An exception of the imitated program. Its message is the result of `str(e)` there. */
export class PythonError extends Error {
  override readonly name = 'PythonError';
}

/** A Python float. An integer is a `number` while it is safe, otherwise a `bigint`. */
export class PythonFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A dict with only string keys, as every dict from JSON text has. */
export type PythonMap = Map<string, PythonValue>;
export type PythonScalar = null | boolean | number | bigint | string | PythonFloat;
export type PythonValue = PythonScalar | PythonValue[] | PythonMap | PythonDict<PythonValue>;

type HashKey = string | number | bigint | null;

/**
 * A dict that a program fills with keys from requests, so keys may be numbers, booleans or None. 42 and "42" are two entries; 1,
 * 1.0 and true are one. It iterates as `[name, value]`, with the name that json.dumps writes for the key.
 */
export class PythonDict<Value> {
  readonly #entries = new Map<HashKey, [name: string, value: Value]>();

  static fromMap(map: PythonMap): PythonDict<PythonValue> {
    const dict = new PythonDict<PythonValue>();
    for (const [key, value] of map) dict.set(key, value);
    return dict;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @throws PythonError for a key that is a list or a dict */
  get(key: PythonValue): Value | undefined {
    return this.#entries.get(hashKey(key))?.[1];
  }

  has(key: PythonValue): boolean {
    return this.#entries.has(hashKey(key));
  }

  set(key: PythonValue, value: Value): void {
    const hashed = hashKey(key);
    const entry = this.#entries.get(hashed);
    if (entry === undefined) this.#entries.set(hashed, [keyName(key), value]);
    else entry[1] = value;
  }

  delete(key: PythonValue): void {
    this.#entries.delete(hashKey(key));
  }

  [Symbol.iterator](): IterableIterator<[name: string, value: Value]> {
    return this.#entries.values();
  }
}

function hashKey(key: PythonValue): HashKey {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint' || key === null)
    return key;
  if (typeof key === 'boolean') return Number(key);
  if (!(key instanceof PythonFloat)) throw new PythonError(`unhashable type: '${typeName(key)}'`);
  const { value } = key;
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? BigInt(value) : value;
}

function keyName(key: PythonValue): string {
  if (typeof key === 'string') return key;
  if (key instanceof PythonFloat) return formatFloat(key.value);
  return typeof key === 'object' ? 'null' : String(key);
}

/** The type's name in Python's error messages. */
export function typeName(value: PythonValue): string {
  if (value === null) return 'NoneType';
  if (Array.isArray(value)) return 'list';
  switch (typeof value) {
    case 'string':
      return 'str';
    case 'boolean':
      return 'bool';
    case 'number':
    case 'bigint':
      return 'int';
    default:
      return value instanceof PythonFloat ? 'float' : 'dict';
  }
}

/** The result of `if value:`. */
export function isTruthy(value: PythonValue): boolean {
  if (value === null) return false;
  if (value instanceof PythonFloat) return value.value !== 0;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object') return value.size > 0;
  return Boolean(value);
}

/** The value as an object with `.get`, which the programs assume for every request. @throws PythonError */
export function asDict(value: PythonValue): PythonMap {
  if (value instanceof Map) return value;
  throw new PythonError(`'${typeName(value)}' object has no attribute 'get'`);
}

/** A number for arithmetic and comparison. Undefined if Python raises a TypeError. */
export function asNumber(value: PythonValue): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return Number(value);
  return value instanceof PythonFloat ? value.value : undefined;
}

/** `repr` of a float as JSON writes it: the shortest digits, always with a point or an exponent. */
export function formatFloat(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e16) return Number.isInteger(value) ? `${value}.0` : String(value);
  if (size === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  if (!Number.isFinite(value)) return String(value);
  const [digits = '', exponent = ''] = value.toExponential().split('e');
  const sign = exponent.startsWith('-') ? '-' : '+';
  return `${digits}e${sign}${exponent.slice(1).padStart(2, '0')}`;
}

const SURROGATE = /[\ud800-\udfff]/;

/** `len` of a string: Python counts code points. */
export function codePointLength(text: string): number {
  if (!SURROGATE.test(text)) return text.length;
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/** `text[:end]`, in code points. A negative end counts from the back. */
export function codePointPrefix(text: string, end: number): string {
  if (!SURROGATE.test(text)) return text.slice(0, end);
  return Array.from(text).slice(0, end).join('');
}
