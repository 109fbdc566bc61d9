import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Beat } from '../../src/engine/ports/replica-ports.ts';
import type { ReplayPage, SettledSpill, SpilledIntent } from '../../src/engine/ports/spill-ports.ts';
import type { Begin, Opened, Lane } from './journal-contract-lane.ts';
import type { MakePair } from './replica-pair.ts';

const NOTHING: Beat = { coverage: {}, shares: {}, isSpilling: false };

type Process = Opened & { readonly lane: Lane };

/** What becomes of writes that a replica has noted down while the journal was away. */
export function testReplay(begin: Begin, makePair: MakePair): void {
  test('spilled writes get the next places of their lane, which is dirty', async () => {
    const process = begin();
    await process.lane.write('applied');
    await replay(process, spilled(process, 2));
    expect(await process.lane.state()).toMatchObject({ sequence: 3, condition: 'dirty', reason: 'spilled' });
    expect(await placed(process)).toEqual(['1', '2', '3']);
  });

  test('spilled writes keep the coverage under which they were accepted', async () => {
    const process = begin();
    const number = await process.coverage.begin(process.lane.service);
    const page = spilled(process, 2);
    const intents = page.intents.map((intent, index) => ({
      ...intent,
      ...(index === 0 && { coverage: number }),
    }));
    await replay(process, { ...page, intents });
    const writes = await process.journal.undelivered(process.lane.key, 100);
    expect(writes.map(({ isCovered = false }) => isCovered)).toEqual([true, false]);
  });

  test('a page of a spill is replayed once', async () => {
    const process = begin();
    const page = spilled(process, 2);
    await replay(process, page);
    await expect(replay(process, page)).rejects.toThrow();
    expect(await placed(process)).toEqual(['1', '2']);
  });

  test('writes of another replica make the sequences of spilled writes uncertain', async () => {
    const { here, there } = await makePair();
    await here.lane.write('applied');
    await there.lane.write('applied');
    await replay(here, spilled(here, 1));
    expect(await placed(here)).toEqual(['1', '2', '3?']);
  });

  test.for(['unknown', 'not_applied', undefined] as const)(
    'so does an own earlier intent that became durable too late (%s)',
    async (outcome) => {
      const { here, there } = await makePair();
      await there.lane.write('applied');
      await here.lane.write(outcome);
      await replay(here, spilled(here, 1));
      expect((await placed(here)).at(-1)).toBe('3?');
    },
  );

  test('a spilled write precedes what was journaled after its outcome was known', async () => {
    const { here, there } = await makePair();
    const page = spilled(here, 3);
    const settled: SettledSpill[] = [];
    for (const { lane, operationId } of page.intents.slice(0, 2)) {
      await there.lane.write('applied');
      const { nowMs } = await here.replicas.heartbeat(here.identity.id, NOTHING);
      settled.push({ lane, operationId, journalMs: nowMs });
    }
    await replay(here, { ...page, settled });
    const writes = await here.journal.undelivered(here.lane.key, 100);
    expect(writes.map(({ precedes }) => precedes)).toEqual([undefined, undefined, 2, undefined, undefined]);
  });

  test('an own write with a known outcome proves that spilled writes follow it', async () => {
    const { here, there } = await makePair();
    await there.lane.write('applied');
    await here.lane.write('refused');
    await replay(here, spilled(here, 1));
    expect((await placed(here)).at(-1)).toBe('3');
  });

  test('spilled writes wait for another replica’s open write and hold, unless it is dead', async () => {
    const { here, there, dies } = await makePair();
    await there.lane.write('applied');
    await there.journal.hold(there.lane.key, 30);
    const page = spilled(here, 1);
    expect(await here.spills.replay(page)).toBeUndefined();
    await there.journal.releaseHold(there.lane.key);
    expect(await here.spills.replay(page)).toBeDefined();
    const open = await here.lane.write();
    expect(await there.spills.replay(spilled(there, 1))).toBeUndefined();
    await dies();
    await there.journal.recover();
    expect(await there.spills.replay(spilled(there, 1))).toBeDefined();
    expect(open.sequence).toBe(3);
  });
}

function spilled({ lane, identity }: Process, writes: number): ReplayPage {
  const intents = Array.from({ length: writes }, (_, index): SpilledIntent => {
    const intent = lane.intent();
    return { ...intent, kind: 'intent', number: index + 1, replica: identity.id };
  });
  const outcomes = new Map(intents.map(({ operationId }) => [operationId, 'applied' as const]));
  return {
    spill: randomUUID(),
    after: 0,
    through: writes,
    intents,
    outcomes,
    settled: [],
    earlier: [],
    isOutOfOrder: () => false,
  };
}

async function replay({ spills }: Process, page: ReplayPage): Promise<void> {
  expect(await spills.replay(page)).toBeDefined();
}

/** Sequences of the writes that may have taken effect; with a question mark where that is not known. */
async function placed({ journal, lane }: Process): Promise<string[]> {
  const writes = await journal.undelivered(lane.key, 100);
  return writes.map(({ sequence, isUncertain }) => `${sequence}${isUncertain === true ? '?' : ''}`);
}
