import type { Random } from '../sim/random.ts';

type Json = Readonly<Record<string, unknown>>;

export const WORDS = [
  '',
  ' ',
  '\u0000',
  '\u202e',
  '\ud800',
  '__proto__',
  '../../etc',
  "' or 1=1 --",
  '💣',
  'NaN',
];
const NUMBERS = [0, -0, -1, 1e308, 1e-300, 2 ** 53, 0.1, Number.MAX_SAFE_INTEGER, -(2 ** 31)];

/** A request as bytes, a little or very different from the valid one that it was made of. */
export function mutated(valid: Json, random: Random): Buffer {
  const value = random.chance(0.8) ? withOtherValue(valid, random) : valid;
  const text = otherText(JSON.stringify(value), random);
  return random.chance(0.25) ? otherBytes(Buffer.from(text), random) : Buffer.from(text);
}

/** One to three members anywhere in it are replaced, added or removed. */
function withOtherValue(valid: Json, random: Random): Json {
  const copy = structuredClone(valid) as Record<string, unknown>;
  for (let times = random.whole(1, 3); times > 0; times -= 1) {
    let at = copy;
    for (let depth = random.whole(0, 3); depth > 0; depth -= 1) {
      const inner = Object.values(at).filter((value) => typeof value === 'object' && value !== null);
      if (inner.length === 0) break;
      at = random.pick(inner) as Record<string, unknown>;
    }
    const name =
      random.chance(0.85) && Object.keys(at).length > 0 ? random.pick(Object.keys(at)) : random.pick(WORDS);
    if (random.chance(0.15)) delete at[name];
    else at[name] = anyValue(random);
  }
  return copy;
}

function anyValue(random: Random): unknown {
  switch (random.weighted({ word: 6, number: 5, scalar: 4, long: 1, list: 2, deep: 1, many: 0.05 })) {
    case 'word':
      return random.pick(WORDS);
    case 'number':
      return random.pick(NUMBERS);
    case 'scalar':
      return random.pick([null, true, false, [], {}]);
    case 'long':
      return 'x'.repeat(random.pick([256, 512, 513, 65_536, 300_000]));
    case 'list':
      return listOf(random.pick([1, 256, 1_001]), random.pick([() => 1, () => '', () => ({}), () => null]));
    case 'deep':
      return nested(random.pick([10, 100, 499, 501]));
    case 'many':
      // A message near its limit, of the smallest values that there are.
      return listOf(random.pick([200_000, 900_000, 1_900_000]), random.pick([() => 1, () => ({}), () => '']));
  }
}

/** Each item is an object of its own. Otherwise a later mutation of one could make the text of all longer than a string can be. */
function listOf(length: number, item: () => unknown): unknown[] {
  return Array.from({ length }, item);
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

function otherText(text: string, random: Random): string {
  switch (random.weighted({ same: 12, nan: 1, twice: 1, bom: 1, deep: 0.2, space: 1 })) {
    case 'same':
      return text;
    case 'nan':
      return text.replace(/:(?:\d+|"[^"]*")/, ':NaN');
    case 'twice':
      return text.replace(/^\{/, '{"action":"health_check",');
    case 'bom':
      return `\ufeff${text}`;
    case 'deep':
      return '['.repeat(100_000);
    case 'space':
      return text.replaceAll(',', ' \r\n,\t');
  }
}

function otherBytes(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0 || random.chance(0.3)) return bytes.subarray(0, random.whole(0, bytes.length));
  const changed = Buffer.from(bytes);
  for (let times = random.whole(1, 8); times > 0; times -= 1)
    changed[random.whole(0, changed.length - 1)] = random.whole(0, 255);
  return changed;
}
