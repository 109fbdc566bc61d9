import { isOpen, isSet } from './accepted-difference.ts';
import type { RuleNode } from './compiled-rules.ts';

/*
 * Numbers of 53 bits that are the same for values that are the same, whatever a rule leaves open. They find partners in lists;
 * partners are compared afterwards, so two values that share one by chance hide nothing.
 */
const HASH_A = 2_654_435_761;
const HASH_B = 1_597_334_677;
const LOW_BITS = 0x1f_ffff;
const HIGH_FACTOR = 0x20_0000;

/** The fingerprints of one comparison. Each value is looked at once, however deep it lies. */
export class Fingerprints {
  readonly #known = new Map<object, number>();

  of(value: unknown, node: RuleNode | undefined): number {
    if (isOpen(node)) return 0;
    if (typeof value !== 'object' || value === null) return hashText(scalarText(value));
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const made = Array.isArray(value) ? this.#ofList(value, node) : this.#ofObject(value, node);
    this.#known.set(value, made);
    return made;
  }

  #ofList(list: readonly unknown[], node: RuleNode | undefined): number {
    const parts = list.map((element) => this.of(element, node?.elements));
    return combine(isSet(node) ? parts.toSorted((a, b) => a - b) : parts, 1);
  }

  #ofObject(object: object, node: RuleNode | undefined): number {
    const parts: number[] = [];
    for (const [key, value] of Object.entries(object)) {
      const rules = node?.members.get(key);
      // A member that may as well be missing identifies nothing.
      if (isOpen(rules) || (value === null && rules !== undefined)) continue;
      parts.push(combine([hashText(key), this.of(value, rules)], 2));
    }
    return combine(
      parts.sort((a, b) => a - b),
      3,
    );
  }
}

/** Spelled so that equal values have equal texts: a bigint and a float may be the same number. */
function scalarText(value: unknown): string {
  if (typeof value === 'string') return `"${value}`;
  const isLarge = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
  return String(isLarge ? BigInt(value) : value);
}

function hashText(text: string): number {
  let a = 0x41c6_4e6d;
  let b = 0x3039;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    a = Math.imul(a ^ unit, HASH_A);
    b = Math.imul(b ^ unit, HASH_B);
  }
  return finish(a, b);
}

function combine(parts: readonly number[], kind: number): number {
  let a = kind;
  let b = parts.length + 1;
  for (const part of parts) {
    a = Math.imul(a ^ (part | 0), HASH_A) ^ (a >>> 15);
    b = Math.imul(b ^ (Math.floor(part / HIGH_FACTOR) | 0), HASH_B) ^ (b >>> 13);
  }
  return finish(a, b);
}

function finish(a: number, b: number): number {
  const high = Math.imul(a ^ (a >>> 16), HASH_B) ^ Math.imul(b ^ (b >>> 13), HASH_A);
  const low = Math.imul(b ^ (b >>> 16), HASH_B) ^ Math.imul(a ^ (a >>> 13), HASH_A);
  return (high >>> 0) * HIGH_FACTOR + (low & LOW_BITS);
}
