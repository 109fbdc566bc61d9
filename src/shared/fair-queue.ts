/**
 * Whose item it is, from the outside in: the address of an agent, its protocol with its name, and its connection. An agent that opens
 * more connections, or gives itself more names, gets no more turns than its address has.
 */
export type Caller = readonly string[];

const UNKNOWN_CALLER: Caller = [''];

/**
 * Callers take turns: addresses first, then the names of an address, then the connections of a name. Within a connection, first come,
 * first served. A caller that queues thousands of items therefore delays another caller by one item.
 */
export class FairQueue<Item> {
  readonly #all = new Share<Item>();

  get size(): number {
    return this.#all.size;
  }

  push(item: Item, caller: Caller = UNKNOWN_CALLER): void {
    this.#all.push(item, caller);
  }

  shift(): Item | undefined {
    return this.#all.shift();
  }

  /**
   * Takes out the newest item of the caller with the most items, to make room for an item of this caller. Undefined if this caller
   * itself has its share already.
   */
  displace(caller: Caller = UNKNOWN_CALLER): Item | undefined {
    return this.#all.displace(caller);
  }

  /** Takes out every item that matches. */
  removeWhere(matches: (item: Item) => boolean): Item[] {
    return this.#all.removeWhere(matches);
  }

  /** The smallest number that `read` gives of any item; Infinity when empty. */
  minimum(read: (item: Item) => number): number {
    return this.#all.minimum(read);
  }
}

/** The items of one caller, or of all that share its address or its name. */
class Share<Item> {
  size = 0;
  readonly #key: string;
  readonly #items = new Fifo<Item>();
  readonly #shares = new Map<string, Share<Item>>();
  /** The shares within this one, the next to be served first. An empty one is no longer in `#shares`. */
  readonly #turns = new Fifo<Share<Item>>();

  constructor(key = '') {
    this.#key = key;
  }

  push(item: Item, caller: Caller, depth = 0): void {
    this.size += 1;
    const key = caller[depth];
    if (key === undefined) return this.#items.push(item);
    let share = this.#shares.get(key);
    if (share === undefined) {
      share = new Share(key);
      this.#shares.set(key, share);
      this.#turns.push(share);
    }
    share.push(item, caller, depth + 1);
  }

  shift(): Item | undefined {
    if (this.size === 0) return undefined;
    this.size -= 1;
    for (let share = this.#turns.shift(); share !== undefined; share = this.#turns.shift()) {
      // Its items were displaced before its turn came.
      if (share.size === 0) continue;
      const item = share.shift();
      if (share.size > 0) this.#turns.push(share);
      else this.#shares.delete(share.#key);
      return item;
    }
    return this.#items.shift();
  }

  displace(caller: Caller, depth = 0): Item | undefined {
    const key = caller[depth];
    if (key === undefined) return undefined;
    const own = this.#shares.get(key);
    const sharers = this.#shares.size + (own === undefined ? 1 : 0);
    if ((own?.size ?? 0) + 1 <= this.size / sharers) return this.#takeNewest();
    const item = own?.displace(caller, depth + 1);
    if (item !== undefined) this.size -= 1;
    return item;
  }

  #takeNewest(): Item | undefined {
    this.size -= 1;
    let largest: Share<Item> | undefined;
    for (const share of this.#shares.values()) if (share.size > (largest?.size ?? 0)) largest = share;
    if (largest === undefined) return this.#items.pop();
    const item = largest.#takeNewest();
    if (largest.size === 0) this.#shares.delete(largest.#key);
    return item;
  }

  removeWhere(matches: (item: Item) => boolean): Item[] {
    const shares = [...this.#shares.values()];
    const removed = [
      this.#items.removeWhere(matches),
      ...shares.map((share) => share.removeWhere(matches)),
    ].flat();
    this.size -= removed.length;
    for (const share of shares) if (share.size === 0) this.#shares.delete(share.#key);
    this.#turns.removeWhere(({ size }) => size === 0);
    return removed;
  }

  minimum(read: (item: Item) => number): number {
    let least = this.#items.minimum(read);
    for (const share of this.#shares.values()) least = Math.min(least, share.minimum(read));
    return least;
  }
}

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
