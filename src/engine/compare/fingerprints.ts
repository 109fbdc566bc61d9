import { combineHashes, hashText } from './digest.ts';
import type { RuleNode } from './compiled-rules.ts';
import { isComposite, plainOf } from './reply-values.ts';

/**
 * The fingerprints of one comparison. Equal values have equal numbers, and values that a rule leaves open do not count.
 * Fingerprints find partners in lists. Partners are compared afterwards, so a collision hides nothing. Each value is hashed once,
 * at any depth.
 */
export class Fingerprints {
  #known: Map<object, number> | undefined;

  of(value: unknown, node: RuleNode | undefined): number {
    if (node?.isOpen === true) return 0;
    if (!isComposite(value)) return hashText(scalarText(plainOf(value)));
    this.#known ??= new Map();
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const made = Array.isArray(value) ? this.#ofList(value, node) : this.#ofObject(value, node);
    this.#known.set(value, made);
    return made;
  }

  /** For an element of a list. In a keyed list, only the key identifies the element. */
  ofElement(element: unknown, list: RuleNode | undefined): number {
    const key = list?.key;
    if (key === undefined || !isComposite(element)) {
      return this.of(element, list?.elements);
    }
    return this.of(element[key] ?? null, undefined);
  }

  #ofList(list: readonly unknown[], node: RuleNode | undefined): number {
    const parts = list.map((element) => this.of(element, node?.elements));
    return combineHashes(node?.setRule !== undefined ? parts.toSorted((a, b) => a - b) : parts, 1);
  }

  #ofObject(object: object, node: RuleNode | undefined): number {
    const parts: number[] = [];
    for (const [key, value] of Object.entries(object)) {
      const rules = node?.members.get(key);
      // A member that a rule allows to be missing identifies nothing.
      if (rules?.isOpen === true || (value === null && rules !== undefined)) continue;
      parts.push(combineHashes([hashText(key), this.of(value, rules)], 2));
    }
    return combineHashes(
      parts.sort((a, b) => a - b),
      3,
    );
  }
}

/** A spelling in which equal values have equal texts. A bigint and a float may be the same number. */
function scalarText(value: unknown): string {
  if (typeof value === 'string') return `"${value}`;
  const isLarge = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
  return String(isLarge ? BigInt(value) : value);
}
