/** Which elements of an answer are items, where replies carry no ids: those of this member, each named by these members of its own. */
export interface ShownItems {
  readonly list: string;
  readonly members: readonly string[];
}

/**
 * Names an item by what it shows, in this order. Numbers by their JavaScript value, as requests and replies may be parsed differently.
 * It holds the item's content: never to be stored or logged.
 */
export function itemKeyOf(shown: readonly unknown[]): string {
  return JSON.stringify(shown, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
}
