/** So many items are hashed, or looked at, in some milliseconds. */
const ITEMS_AT_ONCE = 100;

/** Lets agents have their turn while many items are gone through in memory. */
export class ItemTurns {
  #items = 0;

  /** After so many more items. */
  async after(items: number): Promise<void> {
    this.#items += items;
    if (this.#items < ITEMS_AT_ONCE) return;
    this.#items = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
