import { expect, test } from 'vitest';
import type { Owner } from '../../../../src/domain/ids.ts';
import type { LegacyLane } from '../../../../src/domain/service-definition.ts';
import { surveyService } from '../../../../src/engine/runs/survey.ts';
import { pagesOf } from '../../../../src/engine/runs/legacy-lanes.ts';
import type { ServiceRuntime } from '../../../../src/engine/ports/service-runtime.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { surveyed } from '../../../support/surveyed.ts';
import { ownerNamed, serviceWith } from '../engine-parts.ts';

type Stored = Readonly<Record<string, readonly { readonly timestamp: number; readonly memory: unknown }[]>>;

/** jarvis-memory by its file alone, or by its API alone. */
function runtime(text: string | undefined): ServiceRuntime {
  const access =
    text === undefined
      ? { call: async () => ({ text: '', fields: { status: 'ok' }, raw: { memories: '[]' } }) as never }
      : { jsonFile: async () => text };
  return serviceWith({ access });
}

const survey = (stored: Stored | undefined, journaled: readonly string[] = []) =>
  surveyed(
    surveyService(runtime(stored && JSON.stringify(stored)), {
      nowMs: 0,
      journaled: pagesOf(journaled.map(ownerNamed)),
    }),
  );

test('owners come by activity, the newest item first', async () => {
  const { owners } = await survey({
    old: [{ timestamp: 10, memory: 'a' }],
    new: [
      { timestamp: 5, memory: 'b' },
      { timestamp: 30, memory: 'c' },
    ],
    none: [],
  });
  expect(owners).toEqual(['new', 'old', 'none']);
});

test('expected differences on the orchestrator are reported before, with owners', async () => {
  const { survey: found } = await survey({
    twice: [
      { timestamp: 2, memory: 'x' },
      { timestamp: 1, memory: 'x' },
    ],
    nul: [{ timestamp: 1, memory: 'a\u0000b' }],
    half: [{ timestamp: 1, memory: 'a\ud83d' }],
    whole: [{ timestamp: 1, memory: '😀 "\\u0000"' }],
    big: [{ timestamp: 1, memory: 'x'.repeat(1024 * 1024) }],
    ['l'.repeat(80)]: [{ timestamp: 1, memory: 'x' }],
  });
  const { concerns } = found;
  expect(concerns.repeated_items).toEqual({ count: 1, owners: ['twice'] });
  expect(concerns.times_going_backwards).toEqual({ count: 1, owners: ['twice'] });
  expect(concerns.escaped_items).toEqual({ count: 2, owners: ['nul', 'half'] });
  expect(concerns.oversize_items).toEqual({ count: 1, owners: ['big'] });
  expect(concerns.shortened_ids.count).toBe(1);
  expect(concerns.unreadable.count).toBe(0);
  expect(found.items).toBe(7);
  expect(found.to_embed).toEqual({ items: 7, seconds_with_the_built_in_model: 1 });
});

test('items without a readable time are reported, and not as out of order', async () => {
  const { survey: found } = await survey({
    text: [
      { timestamp: 20, memory: 'oldest' },
      { timestamp: 'yesterday' as never, memory: 'b' },
      { timestamp: 30, memory: 'newest' },
    ],
    none: [{ memory: 'c' } as never],
  });
  expect(found.concerns.unknown_times).toEqual({ count: 2, owners: ['text', 'none'] });
  expect(found.concerns.times_going_backwards.count).toBe(0);
});

test('with only an API, the journal lists the lanes, and the report shows that', async () => {
  const { owners, survey: found } = await survey(undefined, ['known']);
  expect(found.owners_from).toBe('journal');
  expect(owners).toEqual(['known']);
});

test('owners from the journal are listed once, next to those of the store', async () => {
  const stored = { there: [{ timestamp: 10, memory: 'a' }] };
  const { owners, survey: found } = await survey(stored, ['there', 'gone']);
  expect(owners).toEqual(['there', 'gone']);
  expect(found).toMatchObject({ owners_from: 'store', lanes: 2, items: 1 });
});

test('a lane that cannot be read hides no other', async () => {
  const broken: ServiceRuntime = {
    ...runtime('{}'),
    definition: {
      ...jarvisMemory,
      lanes: {
        ...jarvisMemory.lanes,
        owners: async () => ['good', 'bad'].map(ownerNamed),
        readMany: async () => {
          throw new Error('half a file');
        },
        readLegacy: async (owner: Owner): Promise<LegacyLane> => {
          if ((owner as string) === 'bad') throw new SyntaxError('Unexpected "secret" in JSON');
          return {
            exists: true,
            items: [{ fields: { memory: '"m"' }, timestamp: '1', at: '2026-01-01T00:00:00.000Z' }],
          };
        },
      },
    },
  };
  const { survey: found } = await surveyed(surveyService(broken, { nowMs: 0, journaled: pagesOf([]) }));
  expect(found.concerns.unreadable).toEqual({ count: 1, owners: ['bad'] });
  expect(found.items).toBe(1);
});
