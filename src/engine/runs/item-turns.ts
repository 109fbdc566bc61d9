/** This many items are hashed or checked in a few milliseconds. */
const ITEMS_AT_ONCE = 100;

/** Lets agents' requests run while many items are processed in memory. */
export class ItemTurns {
  #items = 0;

  /** After this many more items. */
  async after(items: number): Promise<void> {
    this.#items += items;
    if (this.#items < ITEMS_AT_ONCE) return;
    this.#items = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
