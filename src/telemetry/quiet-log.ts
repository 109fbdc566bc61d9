const QUIET_MS = 5_000;

interface Line {
  readonly say: (facts: object) => void;
  newest: object;
  count: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * For events that can occur with every request. It logs the first event of a key at once, and then at most one line per 5 s: the newest
 * event, with the number of events that the line stands for.
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
    // No event for a while, so the key is removed and keys do not pile up.
    if (line.count === 0) {
      this.#lines.delete(key);
      return;
    }
    line.say({ ...line.newest, count: line.count });
    line.count = 0;
    // The timer must not keep the process alive.
    line.timer = setTimeout(() => this.#flush(key, line), QUIET_MS).unref();
  }
}
