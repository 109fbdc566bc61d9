/** A queue whose head is removed in constant time at any length. */
export class Fifo<Item> {
  #items: (Item | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    // The slot stays until the array is cut. It must not keep the removed item in memory, which may be megabytes.
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) this.#reset([]);
    else if (this.#head >= 1024) this.#reset(this.#items.slice(this.#head));
    return item;
  }

  /** Takes out the newest item. */
  pop(): Item | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items.pop();
    if (this.size === 0) this.#reset([]);
    return item;
  }

  /** Takes out every item that matches, in order. */
  removeWhere(matches: (item: Item) => boolean): Item[] {
    const removed: Item[] = [];
    const kept: Item[] = [];
    for (let at = this.#head; at < this.#items.length; at += 1) {
      const item = this.#items[at] as Item;
      (matches(item) ? removed : kept).push(item);
    }
    this.#reset(kept);
    return removed;
  }

  /** The smallest number that `read` gives of any item; Infinity when empty. */
  minimum(read: (item: Item) => number): number {
    let least = Infinity;
    for (let at = this.#head; at < this.#items.length; at += 1) {
      least = Math.min(least, read(this.#items[at] as Item));
    }
    return least;
  }

  #reset(items: (Item | undefined)[]): void {
    this.#items = items;
    this.#head = 0;
  }
}
