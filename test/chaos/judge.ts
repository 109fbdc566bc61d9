import type { StoreContents } from '../accept/stores.ts';
import { DIALECTS } from './agent-dialect.ts';
import type { LaneRecord, Write } from './lane-book.ts';

/** Each a number of items, except misordered: lanes. */
export interface Counts {
  /** Acknowledged, and missing where it should be. */
  lost: number;
  /** There more often than it was written, or there although its agent was told that nothing was done. */
  duplicated: number;
  misordered: number;
  /** Deleted or never there on the primary, and there all the same. */
  resurrected: number;
  /** Acknowledged, and gone with a file that a killed service left in pieces. */
  lost_by_legacy: number;
}

export interface Judgement {
  readonly counts: Counts;
  readonly findings: readonly string[];
}

export interface Stores {
  readonly legacy: StoreContents;
  readonly orchestrator: StoreContents;
  /** Keys of lanes that wait for a person. */
  readonly stopped: ReadonlySet<string>;
  /** Keys of lanes with a write that waits for a person before legacy gets it. */
  readonly halted: ReadonlySet<string>;
  /** Keys of lanes whose primary is the orchestrator. */
  readonly flipped: ReadonlySet<string>;
  /** Services whose legacy gets no more writes. */
  readonly ended: ReadonlySet<string>;
}

/** Holds both stores against what agents were told. Nothing of the lanes may be under way. */
export function judge(lanes: readonly LaneRecord[], stores: Stores): Judgement {
  const counts = { lost: 0, duplicated: 0, misordered: 0, resurrected: 0, lost_by_legacy: 0 };
  const findings: string[] = [];
  for (const lane of lanes) {
    const judged = new LaneJudgement(lane, listsOf(lane, stores));
    judged.run();
    for (const name of Object.keys(counts) as (keyof Counts)[]) counts[name] += judged.counts[name];
    findings.push(...judged.findings);
  }
  return { counts, findings };
}

/** What a backend holds of a lane. */
interface Side {
  /** As findings name it. */
  readonly name: 'legacy' | 'the orchestrator';
  readonly list: readonly string[];
}

interface Lists {
  readonly primary: Side;
  readonly secondary: Side;
  readonly isFlipped: boolean;
  readonly isStopped: boolean;
  readonly isHalted: boolean;
  readonly isEnded: boolean;
}

function listsOf({ key, service, owner }: LaneRecord, stores: Stores): Lists {
  const { listOf } = DIALECTS[service];
  const legacy: Side = { name: 'legacy', list: listOf(stores.legacy, owner) };
  const orchestrator: Side = { name: 'the orchestrator', list: listOf(stores.orchestrator, owner) };
  const isFlipped = stores.flipped.has(key);
  return {
    primary: isFlipped ? orchestrator : legacy,
    secondary: isFlipped ? legacy : orchestrator,
    isFlipped,
    isStopped: stores.stopped.has(key),
    isHalted: stores.halted.has(key),
    isEnded: stores.ended.has(service),
  };
}

class LaneJudgement {
  readonly counts: Counts = { lost: 0, duplicated: 0, misordered: 0, resurrected: 0, lost_by_legacy: 0 };
  readonly findings: string[] = [];
  readonly #lane: LaneRecord;
  readonly #lists: Lists;
  readonly #adds: ReadonlyMap<string, Write>;
  readonly #clears: readonly Write[];
  /** What is found by comparing the stores is on the orchestrator. */
  readonly #lostByLegacy: string[] = [];

  constructor(lane: LaneRecord, lists: Lists) {
    this.#lane = lane;
    this.#lists = lists;
    this.#adds = new Map(
      lane.writes.filter(({ kind }) => kind === 'add').map((write) => [write.text, write]),
    );
    this.#clears = lane.writes.filter(({ kind, certainty }) => kind === 'clear' && certainty !== 'refused');
  }

  run(): void {
    for (const stale of this.#lane.staleReads) this.#find('lost', [stale], 'a read was stale');
    this.#judgePrimary();
    // Legacy lacks writes when it gets no more of them.
    if (!this.#lists.isEnded) this.#judgeSecondary();
    this.#judgeStop();
  }

  #judgePrimary(): void {
    const { list, name } = this.#lists.primary;
    const there = new Set(list);
    const adds = [...this.#adds.values()];
    const missing = adds.filter(
      (add) => add.certainty === 'acknowledged' && !there.has(add.text) && !this.#mayBeCleared(add),
    );
    const byLegacy = missing.filter((add) => this.#mayBeLost(add));
    this.counts.lost_by_legacy += byLegacy.length;
    this.#lostByLegacy.push(...textsOf(byLegacy));
    this.#find('lost', textsOf(missing.filter((add) => !byLegacy.includes(add))), `not on ${name}`);
    this.#find('duplicated', repeated(list), `twice on ${name}`);
    this.#find(
      'duplicated',
      textsOf(adds.filter(({ certainty, text }) => certainty === 'refused' && there.has(text))),
      `refused, and on ${name}`,
    );
    this.#find(
      'resurrected',
      list.filter((text) => this.#isCleared(text)),
      `cleared, and on ${name}`,
    );
    if (this.#isOutOfOrder(list)) this.#find('misordered', ['order'], `on ${name}`);
  }

  #judgeSecondary(): void {
    const { primary, secondary } = this.#lists;
    const [there, here] = [new Set(primary.list), new Set(secondary.list)];
    const { name } = secondary;
    this.#find('duplicated', repeated(secondary.list), `twice on ${name}`);
    this.#find(
      'resurrected',
      secondary.list.filter((text) => !there.has(text) && !this.#mayBeLeftOver(text)),
      `on ${name} only`,
    );
    // A lane that waits for a person is listed; what came after its stop waits with it.
    const isWaiting = this.#lists.isStopped || this.#lists.isHalted;
    const silent = isWaiting ? [] : this.#lostByLegacy.filter((text) => !here.has(text));
    this.#find('lost', silent, 'lost by its service, and nothing says so');
    const missing = isWaiting ? [] : primary.list.filter((text) => !here.has(text));
    this.#find(
      'lost',
      missing.filter((text) => !this.#mayBeMissing(text)),
      `not on ${name}`,
    );
    const both = [
      primary.list.filter((text) => here.has(text)),
      secondary.list.filter((text) => there.has(text)),
    ];
    if (both[0]?.join('\n') !== both[1]?.join('\n') && repeated(secondary.list).length === 0)
      this.#find('misordered', ['order'], `on ${name}`);
  }

  #judgeStop(): void {
    if (this.#lane.losses.length > 0) return;
    const { isStopped, isHalted } = this.#lists;
    if (isStopped) this.#find('lost', ['the lane'], 'stopped although its service lost nothing');
    if (isHalted) this.#find('lost', ['the lane'], 'halted although its service lost nothing');
  }

  /** Whether the secondary may hold what the primary does not. */
  #mayBeLeftOver(text: string): boolean {
    // A clear may have been lost with legacy's file.
    if (this.#lists.isFlipped) return this.#lists.isHalted || this.#hasLostClear();
    return this.#mayBeLost(this.#adds.get(text)) || this.#waitsForPerson(text);
  }

  /** Whether the secondary may lack what the primary holds. */
  #mayBeMissing(text: string): boolean {
    return this.#lists.isFlipped ? this.#mayBeLost(this.#adds.get(text)) : this.#hasLostClear();
  }

  /** A clear may have come after it. */
  #mayBeCleared(add: Write): boolean {
    return this.#clears.some((clear) => clear.endedAtMs >= add.sentAtMs);
  }

  /** A clear has certainly come after it, and was not lost itself. */
  #isCleared(text: string): boolean {
    const add = this.#adds.get(text);
    return this.#clears.some(
      (clear) =>
        clear.certainty === 'acknowledged' &&
        !this.#mayBeLost(clear) &&
        clear.sentAtMs >= (add?.endedAtMs ?? -Infinity),
    );
  }

  /** What the service took before its file was lost. */
  #mayBeLost(write: Write | undefined): boolean {
    return this.#lane.losses.some(
      ({ fromMs, untilMs }) => write !== undefined && write.endedAtMs >= fromMs && write.sentAtMs <= untilMs,
    );
  }

  /** What a clear behind the loss has taken from legacy stays on the orchestrator as long as the stopped lane waits. */
  #waitsForPerson(text: string): boolean {
    const [loss] = this.#lane.losses;
    const add = this.#adds.get(text);
    if (!this.#lists.isStopped || loss === undefined || add === undefined) return false;
    return this.#clears.some(({ endedAtMs }) => endedAtMs >= Math.max(loss.untilMs, add.sentAtMs));
  }

  #hasLostClear(): boolean {
    return this.#clears.some((clear) => this.#mayBeLost(clear));
  }

  #isOutOfOrder(list: readonly string[]): boolean {
    let latestStartMs = -Infinity;
    for (const text of list) {
      const add = this.#adds.get(text);
      if (add === undefined || add.certainty !== 'acknowledged') continue;
      if (add.endedAtMs < latestStartMs) return true;
      latestStartMs = Math.max(latestStartMs, add.sentAtMs);
    }
    return false;
  }

  #find(name: Exclude<keyof Counts, 'lost_by_legacy'>, texts: readonly string[], where: string): void {
    if (texts.length === 0) return;
    this.counts[name] += texts.length;
    const shown = texts.slice(0, 5).map((text) => `"${text}"`);
    const more = texts.length > shown.length ? ` and ${texts.length - shown.length} more` : '';
    this.findings.push(`${name}: ${this.#lane.key}: ${where}: ${shown.join(', ')}${more}`);
  }
}

function textsOf(writes: readonly Write[]): string[] {
  return writes.map(({ text }) => text);
}

/** What stands in the list before, each time it comes again. */
function repeated(list: readonly string[]): string[] {
  const seen = new Set<string>();
  return list.filter((text) => {
    const isAgain = seen.has(text);
    seen.add(text);
    return isAgain;
  });
}
