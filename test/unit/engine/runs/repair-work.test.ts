import { expect, test } from 'vitest';
import type { Owner, ReplicaId } from '../../../../src/domain/ids.ts';
import type { ItemFinding } from '../../../../src/engine/runs/attribute.ts';
import type { Divergence } from '../../../../src/engine/runs/divergence-ports.ts';
import { RepairWork } from '../../../../src/engine/runs/repair-work.ts';
import type { Run } from '../../../../src/engine/ports/run.ts';
import { ownerNamed, SERVICE } from '../engine-parts.ts';

const OWNERS = ['ann', 'bob', 'cid', 'dan', 'eve', 'fay'].map(ownerNamed);
const FOUND: ItemFinding = { side: 'legacy', kind: 'added', after: 'a'.repeat(32) };
const OTHER: ItemFinding = { ...FOUND, after: 'b'.repeat(32) };
const RUN: Run = {
  id: 2,
  kind: 'repair',
  request: { services: [SERVICE], of: 1 },
  state: 'running',
  reason: '',
  beganAtMs: 0,
  finishedAtMs: null,
  survey: {},
  report: null,
};
const SIDE = { items: 0, digest: '' };
const LOOK = {
  secondary: 'orchestrator',
  sequence: 1,
  generation: 0,
  epoch: 0,
  source: { exists: true, items: [] },
  listed: [],
  removable: [],
  lost: [],
  forgotten: 0,
  before: SIDE,
  after: SIDE,
} as const;

/** A page of six lanes, `surprising` ones of which differ in another way by now. */
async function repair(width: number, surprising: ReadonlySet<Owner>, before: readonly Owner[] = []) {
  const open = new Set(OWNERS.filter((owner) => !before.includes(owner)));
  const [compared, repaired]: [Owner[], Owner[]] = [[], []];
  const work = new RepairWork({
    divergences: {
      open: async () =>
        [...open].map((owner): Divergence => ({ owner, service: SERVICE, findings: [FOUND] }) as never),
      ofRun: async () =>
        OWNERS.map((owner) => ({
          owner,
          service: SERVICE,
          findings: [FOUND, FOUND],
          state: open.has(owner) ? 'open' : 'repaired',
        })),
      resolve: async (_service: unknown, owner: Owner) => void open.delete(owner),
    } as never,
    directory: { homesElsewhere: async () => new Map<never, ReplicaId>() } as never,
    comparer: {
      compare: async (_service, owner) => {
        compared.push(owner);
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (repaired.includes(owner)) return { verdict: 'equal', ...LOOK, findings: [] };
        return { verdict: 'different', ...LOOK, findings: [surprising.has(owner) ? OTHER : FOUND] };
      },
    },
    repairer: {
      repair: async (_run, _service, owner) => repaired.push(owner),
    },
    repairs: {
      steps: async () =>
        before.map((owner) => ({ run: 2, service: SERVICE, owner, inverse: '[{}, {}, {}]', sequence: 1 })),
    },
  });
  const control = { isStopped: () => false, width: () => width, after: async () => undefined };
  const page = { run: 2, page: 1, service: SERVICE, owners: OWNERS, attempts: 1 };
  return { outcome: await work.page(RUN, page, control), open, compared, repaired };
}

test('a repair stops at the first surprise, and leaves the rest for another one', async () => {
  const [first, ...others] = OWNERS;
  const { outcome, open, compared, repaired } = await repair(1, new Set(OWNERS.slice(0, 1)));
  expect(outcome.halt).toContain(`${SERVICE}/${first ?? ''}: its difference is not the one`);
  expect(compared).toEqual([first]);
  expect(repaired).toEqual([]);
  expect([...open]).toEqual(OWNERS);
  expect(outcome.tally.counts).toMatchObject({
    lanes: 6,
    lanes_repaired: 0,
    lanes_left: 6,
    lanes_not_tried: 5,
  });
  expect(outcome.tally.skipped.slice(1)).toEqual(
    others.map((owner) => ({ owner, reason: 'not tried, because an earlier lane was not as expected' })),
  );
});

test('lanes in progress at a surprise are finished', async () => {
  const { outcome, open, repaired } = await repair(2, new Set(OWNERS.slice(0, 1)));
  expect(repaired).toEqual(OWNERS.slice(1, 2));
  expect([...open]).toEqual(OWNERS.filter((_, at) => at !== 1));
  expect(outcome.tally.counts).toMatchObject({ lanes_repaired: 1, lanes_left: 5, lanes_not_tried: 4 });
});

test('without a surprise every lane is repaired', async () => {
  const { outcome, open } = await repair(2, new Set());
  expect(outcome.halt).toBeUndefined();
  expect(open.size).toBe(0);
  expect(outcome.tally.counts).toMatchObject({ lanes_repaired: 6, lanes_left: 0, lanes_not_tried: 0 });
});

test('lanes repaired before an interruption count, and are not repaired again', async () => {
  const before = OWNERS.slice(0, 2);
  const { outcome, repaired } = await repair(1, new Set(), before);
  expect(repaired).toEqual(OWNERS.slice(2));
  expect(outcome.tally.counts).toMatchObject({ lanes: 6, lanes_repaired: 6, lanes_left: 0 });
  expect(outcome.tally.counts['findings_repaired']).toBe(4 + 2 * before.length);
});
