/** Which elements of an answer are items, for replies without ids: those of this member. These members of an item identify it. */
export interface ShownItems {
  readonly list: string;
  readonly members: readonly string[];
}

/**
 * Identifies an item by what it shows, in this order. Numbers use their JavaScript value, because requests and replies may be
 * parsed differently. It holds the item's content, so it must not be stored or logged.
 */
export function itemKeyOf(shown: readonly unknown[]): string {
  return JSON.stringify(shown, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
}
