import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/shared/clock.ts';
import type { OperationId } from '../../src/domain/ids.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { Replay } from '../../src/engine/spill/replay.ts';
import type { ReplayPage, SpillRecord, SpillStore } from '../../src/engine/ports/spill-ports.ts';
import { Lane, type Opened } from './journal-contract-lane.ts';
import type { MakePair } from './replica-pair.ts';

/** Whole spills, page by page, and several at a time. */
export function testReplays(makePair: MakePair): void {
  test('replicas that replay do not wait for open writes of the other’s earlier pages', async () => {
    const { here, there } = await makePair();
    const [one, other] = [here.lane, new Lane(here.journal)];
    // What became of the first write stands behind the one that must wait; of the other's nobody has noted it.
    const spills = [
      new PagedSpill([one, other], here, 'applied'),
      new PagedSpill([other, one], there, undefined),
    ];
    const bothHaveBegun = Promise.all(spills.map((spill) => spill.hasBegun));
    for (const spill of spills) spill.goesOn = bothHaveBegun;
    await Promise.all([here, there].map((replica, index) => replayOf(replica, spills[index]).run()));
    expect(await places(here, one)).toEqual(['1', '2?']);
    expect(await places(here, other)).toEqual(['1?', '2?']);
    for (const lane of [one, other]) {
      expect(await lane.state()).toMatchObject({ condition: 'dirty', reason: 'spilled' });
      expect(await isOpenTo(lane, here, there)).toBe(true);
    }
  });

  test('a late reply is recorded in a page whose replay was not answered', async () => {
    const { here } = await makePair();
    const spill = new PagedSpill([here.lane], here, undefined);
    const told: OperationId[] = [];
    let isAnswered = false;
    const replay = replayOf(here, spill, {
      path: {
        isEntering: false,
        isUnderWay: () => true,
        replayed: (ids) => void told.push(...ids),
      },
      journal: {
        ...here.spills,
        async replay(page: ReplayPage) {
          const lanes = await here.spills.replay(page);
          if (!isAnswered) throw new Error('the connection has gone');
          return lanes;
        },
      },
    });
    await expect(replay.run()).rejects.toThrow('gone');
    isAnswered = true;
    await replay.run();
    expect(told).toEqual([spill.firstId]);
    expect(await here.lane.state()).toMatchObject({ sequence: 1 });
  });
}

/** A page for every record: a write to each of the lanes, and what became of the first. */
class PagedSpill implements SpillStore {
  readonly id = randomUUID();
  readonly hasHistory = true;
  readonly shares = { percentages: {}, atMs: 0 };
  noteShares = async (): Promise<void> => undefined;
  readonly isDamaged = false;
  readonly hasBegun: Promise<void>;
  /** Before the second page. */
  goesOn: Promise<unknown> = Promise.resolve();
  readonly #records: SpillRecord[];
  #begun: () => void = () => undefined;

  constructor(lanes: readonly Lane[], { identity }: Opened, outcome: Outcome | undefined) {
    this.#records = lanes.map((lane, index) => ({
      ...lane.intent(),
      kind: 'intent',
      number: index + 1,
      replica: identity.id,
    }));
    const [first] = lanes;
    const number = lanes.length + 1;
    if (outcome !== undefined && first !== undefined)
      this.#records.push({ kind: 'outcome', number, lane: first.key, operationId: this.firstId, outcome });
    this.hasBegun = new Promise((resolve) => {
      this.#begun = resolve;
    });
  }

  get firstId(): OperationId {
    const [first] = this.#records;
    if (first === undefined) throw new Error('The spill is empty');
    return first.operationId;
  }

  async page(after: number): Promise<readonly SpillRecord[]> {
    if (after === 1) await this.goesOn;
    return this.#records.slice(after, after + 1);
  }

  async outcomes(after: number, of: ReadonlySet<OperationId>): Promise<ReadonlyMap<OperationId, Outcome>> {
    const found = new Map<OperationId, Outcome>();
    for (const record of this.#records.slice(after))
      if (record.kind === 'outcome' && of.has(record.operationId))
        found.set(record.operationId, record.outcome);
    return found;
  }

  async replayed(): Promise<void> {
    this.#begun();
  }

  facts(): never {
    throw new Error('Nobody asks');
  }

  async prepare(): Promise<void> {}
  async append(): Promise<void> {}
  recordOutcome(): void {}
  async flush(): Promise<void> {}
  async mended(): Promise<void> {}
}

type Parts = ConstructorParameters<typeof Replay>[0];

const NOBODY_WRITES: Parts['path'] = {
  isEntering: false,
  isUnderWay: () => false,
  replayed: () => undefined,
};

function replayOf(
  { spills }: Opened,
  store: SpillStore | undefined,
  parts: Partial<Pick<Parts, 'path' | 'journal'>> = {},
): Replay {
  if (store === undefined) throw new Error('There is no spill');
  return new Replay({
    store,
    journal: spills,
    path: NOBODY_WRITES,
    outage: { ageMs: 0, close: () => undefined, open: () => undefined },
    clock: systemClock,
    emit: () => undefined,
    signals: { spilled: () => undefined, recover: async () => undefined },
    ...parts,
  });
}

/** Sequences of the lane's writes; with a question mark where nobody knows whether they took effect. */
async function places({ journal }: Opened, lane: Lane): Promise<string[]> {
  const writes = await journal.undelivered(lane.key, 100);
  return writes.map(({ sequence, isUncertain }) => `${sequence}${isUncertain === true ? '?' : ''}`);
}

/** Whether neither of the two has a write open there. */
async function isOpenTo(lane: Lane, here: Opened, there: Opened): Promise<boolean> {
  const state = await here.journal.append(lane.intent());
  if (state === undefined) return false;
  const ref = { laneId: state.id, lane: lane.key, sequence: state.sequence };
  await here.journal.recordOutcome({ ref, outcome: 'refused' });
  return (await there.journal.append(lane.intent())) !== undefined;
}
