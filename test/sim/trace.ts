/** What happened in a run, as a number that changes with every detail, and as lines where somebody wants to read them. */
export class Trace {
  #low = 0x811c9dc5;
  #high = 0x1000193;
  readonly lines: string[] | undefined;

  constructor(keepsLines: boolean) {
    this.lines = keepsLines ? [] : undefined;
  }

  add(atMs: number, who: string, what: string): void {
    const line = `${atMs.toFixed(1)} ${who} ${what}`;
    for (let index = 0; index < line.length; index += 1) {
      const code = line.charCodeAt(index);
      this.#low = Math.imul(this.#low ^ code, 0x01000193) >>> 0;
      this.#high = Math.imul(this.#high ^ (code + index), 0x85ebca6b) >>> 0;
    }
    this.lines?.push(line);
  }

  get hash(): string {
    return this.#low.toString(16).padStart(8, '0') + this.#high.toString(16).padStart(8, '0');
  }
}
