import type { ServiceDefinition } from '../../../src/domain/service-definition.ts';

/** Every write of an agent carries a number of its own, in what it stores and beside it. */
const MARK = /n(\d+)n/g;

export function markOf(number: number): string {
  return `n${number}n`;
}

/** The numbers of the writes whose content a text shows, in its order. */
export function marksIn(text: string): number[] {
  return [...text.matchAll(MARK)].map(([, digits]) => Number(digits));
}

/** The write that stored an item. Its content need not show that, because agents also write what they wrote before. */
const WRITERS = new WeakMap<object, number>();

export interface Execution {
  readonly number: number;
  readonly owner: string;
  readonly action: string;
  readonly atMs: number;
  /** It changed nothing. @defaultValue false */
  readonly isRefused?: boolean;
}

/** What a service has done, for who compares later. The services themselves never look at it. */
export class Effects {
  readonly executions: Execution[] = [];
  /** Items that are gone because of a write, by the write that stored them: the instant of their delete. */
  readonly deletedAtMs = new Map<number, number>();
  /** Items that the service forgot by itself, as it declares. */
  readonly forgotten = new Set<number>();
  readonly stored = new Set<number>();
  /** Items that the service lost, by whom they were of: it never declared to forget them. */
  readonly lost = new Map<number, string>();
  /** How many items of what was said twice are lost, by their number: others of them are there. */
  readonly lostRepeats = new Map<number, number>();
  /** Not every item has a number. */
  readonly lostFrom = new Set<string>();
  /** Owners that the service forgot whole, by themselves. */
  readonly goneOwners = new Set<string>();
  /** Side effects outside the store, by the write that raised them. */
  readonly raised = new Map<number, number>();

  /** The write with this number has stored the item. */
  store(item: object, number: number): void {
    WRITERS.set(item, number);
    this.stored.add(number);
  }

  /** A write has taken the items away. */
  delete(items: readonly object[], atMs: number): void {
    for (const item of items) {
      const number = WRITERS.get(item);
      if (number !== undefined) this.deletedAtMs.set(number, atMs);
    }
  }

  lose(owner: string, gone: readonly number[], left: readonly number[]): void {
    this.lostFrom.add(owner);
    // Of what was said twice one may be there.
    for (const number of gone)
      if (!left.includes(number)) this.lost.set(number, owner);
      else this.lostRepeats.set(number, (this.lostRepeats.get(number) ?? 0) + 1);
  }

  /** How often a write was executed: agents say things twice. */
  times(number: number): number {
    return this.executions.filter((one) => one.number === number).length;
  }
}

/** A legacy service: one request in, one reply out, and a store that others can look into. */
export interface LegacyModel {
  readonly definition: ServiceDefinition;
  readonly effects: Effects;
  /** Its effect is there when it returns. */
  execute(body: Buffer): Buffer;
  /** Forgets what was not used for too long, of these owners. */
  cleanUp?(concerns: (owner: string) => boolean): void;
  /** So many others use the service that it forgets these owners. */
  crowd?(concerns: (owner: string) => boolean): void;
  /** A write may find the store locked: it is answered with an error, and stored with the next write. */
  readonly locksRows?: true;
  /** Loses what it has stored since of these owners, as when its file is an older copy. */
  loseSince?(ms: number, concerns: (owner: string) => boolean): void;
  /** Gets an empty owner if it has none: the orchestrator keeps what legacy forgets. */
  revive?(owner: string): void;
  /** What it holds of an owner, as one text for each item. */
  textsOf(owner: string): readonly string[];
  /** Holds of an owner what another model of the service does. */
  adopt(owner: string, from: LegacyModel): void;
  /** The service's JSON file as it stands. */
  readonly jsonFile?: () => string;
  /** The service's SQLite file, by the definition's own statements. */
  readonly sqlite?: (
    sql: string,
    parameters: readonly string[],
  ) => readonly Readonly<Record<string, unknown>>[];
}

export interface ModelClock {
  nowMs(): number;
  wallMs(): number;
}

export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(body: Buffer): Fields {
  return JSON.parse(body.toString('utf8')) as Fields;
}

export function replyOf(reply: object): Buffer {
  return Buffer.from(JSON.stringify(reply));
}
