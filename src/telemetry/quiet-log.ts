const QUIET_MS = 5_000;

interface Line {
  readonly say: (facts: object) => void;
  newest: object;
  count: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * For what can happen with every request. Of each key it says the first at once, and then at most one line per 5 s: the newest,
 * with the count of those it stands for.
 */
export class QuietLog {
  readonly #lines = new Map<string, Line>();

  add(key: string, facts: object, say: (facts: object) => void): void {
    const line = this.#lines.get(key) ?? { say, newest: facts, count: 0, timer: undefined };
    line.newest = facts;
    line.count += 1;
    this.#lines.set(key, line);
    if (line.timer === undefined) this.#flush(key, line);
  }

  #flush(key: string, line: Line): void {
    line.timer = undefined;
    // Quiet for a while: keys do not pile up.
    if (line.count === 0) {
      this.#lines.delete(key);
      return;
    }
    line.say({ ...line.newest, count: line.count });
    line.count = 0;
    // Must not keep a process alive that has nothing else to do.
    line.timer = setTimeout(() => this.#flush(key, line), QUIET_MS).unref();
  }
}
