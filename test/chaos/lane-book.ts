import type { StandInService } from '../../src/sandbox/stand-ins.ts';

/** What an agent knows of a write: acknowledged, told that nothing was done, or neither. */
export type Certainty = 'acknowledged' | 'refused' | 'unknown';

/** One write of an agent. Instants are of `performance.now()` in the process of all agents. */
export interface Write {
  readonly kind: 'add' | 'clear';
  /** Of an add: unique in all lanes. */
  readonly text: string;
  readonly sentAtMs: number;
  /** Infinity until it is certain that nothing of it can happen any more. */
  endedAtMs: number;
  certainty: Certainty;
}

/** Between these instants a service's file was written and then lost, with what was acknowledged meanwhile. */
export interface LossWindow {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** The writes of one owner, and what its agent was told of each: the measure that both stores are held against. */
export class LaneRecord {
  readonly service: StandInService;
  readonly owner: string;
  readonly writes: Write[] = [];
  readonly losses: LossWindow[] = [];
  /** What reads showed that they should not have, in words. */
  readonly staleReads: string[] = [];
  isOpened = false;

  constructor(service: StandInService, owner: string) {
    this.service = service;
    this.owner = owner;
    // Only these need a session before anything can be stored.
    this.isOpened = service !== 'session-memory';
  }

  get key(): string {
    return `${this.service}/${this.owner}`;
  }

  get acknowledged(): number {
    return this.writes.filter(({ certainty }) => certainty === 'acknowledged').length;
  }

  /** Everything is on its way no more: what is unknown has taken effect or never will. */
  close(atMs: number): void {
    for (const write of this.writes) write.endedAtMs = Math.min(write.endedAtMs, atMs);
  }

  /** The texts that a read must show; undefined where they are not certain. */
  expected(): readonly string[] | undefined {
    if (this.losses.length > 0) return undefined;
    let list: string[] = [];
    for (const { kind, text, certainty } of this.writes) {
      if (certainty === 'unknown') return undefined;
      if (certainty === 'refused') continue;
      if (kind === 'clear') list = [];
      else list.push(text);
    }
    return list;
  }
}
